// <glaswerk-word2vec>: word2vec trained while the reader watches, tenth by tenth: its loss, and what the vectors know by then.
// Who stops asking has stopped it. On an exported site the recorded tenths are played.

import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { live } from "../data.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import { field, orMissing, why, withOrigins } from "../origins.js";
import texts from "../texts/word2vec.js";

const W = 360, H = 190, LEFT = 40, BOTTOM = 24;

class Word2Vec extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["seed", "word"];

  constructor() {
    super();
    this.going = false;
    /** tenths trained with this seed */
    this.tenth = 0;
    this.trainedWith = -1;
  }

  initial() { return { seed: 0, word: "music" }; }

  /** Nothing is trained before somebody asks for it.
   * @param {AbortSignal} signal */
  load(signal) {
    if (this.trainedWith !== this.state.seed) this.tenth = 0;
    return this.tenth ? this.told(signal) : Promise.resolve({ losses: [] });
  }

  /** @param {AbortSignal} [signal] */
  told(signal) {
    const { seed, word } = this.state;
    return orMissing(this.demo("training", { seed, word, part: this.tenth }, signal));
  }

  async train() {
    const { seed } = this.state;
    this.going = true;
    this.setAttribute("data-busy", "");
    this.tenth = 0;
    this.trainedWith = seed;
    try {
      do {
        this.tenth++;
        const data = await this.told();
        if (!this.isConnected || this.trainedWith !== this.state.seed) return;
        this.data = data;
        this.requestUpdate();
        if (!live) await new Promise((done) => setTimeout(done, 200));
      } while (!this.data.missing && this.tenth < this.data.parts);
      if (this.data.missing) this.tenth = 0;
      else this.announce(this.t("done"));
    } finally {
      this.going = false;
      this.removeAttribute("data-busy");
      this.requestUpdate();
    }
  }

  /** From other random vectors. */
  anew() {
    this.trainedWith = (this.state.seed + 1) % 100;
    this.set({ seed: this.trainedWith });
    this.train();
  }

  body() {
    const { missing, losses } = this.data;
    const trained = losses?.length && !this.going;
    return html`<div class="controls">${field(this, "word", this.t("word"))}
        <button type="button" class="button ${trained ? "quiet" : ""}" data-name="train" ?disabled=${this.going} @click=${() => (trained ? this.anew() : this.train())}>${trained ? this.t("again_seed", { seed: this.state.seed + 1 }) : this.t(this.going ? "going" : "train")}</button></div>
      ${this.going ? html`<progress max="10" value=${this.tenth} aria-label=${this.t("course")}></progress>` : nothing}
      ${missing ? why(this, missing) : losses.length ? this.result() : html`<p class="faint">${this.t(this.going ? "computing" : "none")}</p>`}`;
  }

  result() {
    const { losses, pairs, articles, of, width, window: reach, found } = this.data;
    return html`<div class="two"><div>${this.curve(losses)}<p class="num faint">${this.t("facts", { pairs: this.n(pairs, 0), articles: this.n(articles, 0), of: this.n(of, 0), width, window: reach })}</p></div>
      <div><p class="faint">${this.t("nearest", { word: this.data.word })}</p><div class="bars vector-bars" role="list">${found.map((/** @type {[string, number]} */ [word, cosine]) => html`
        <span role="listitem" class="chip">${word}</span><span class="bar"><span .style=${`width: ${100 * Math.max(0, cosine)}%`}></span></span><span class="percent">${this.n(cosine)}</span>`)}</div></div></div>`;
  }

  /** @param {number[]} losses */
  curve(losses) {
    const most = Math.max(...losses), least = Math.min(...losses);
    const x = scaleLinear([0, this.data.parts - 1], [LEFT, W - 8]), y = scaleLinear([least, most], [H - BOTTOM, 10]);
    const path = line((/** @type {number} */ _, /** @type {number} */ at) => x(at), (/** @type {number} */ value) => y(value));
    const ticks = most > least ? [least, (least + most) / 2, most] : [least];
    return html`<svg class="plot" viewBox="0 0 ${W} ${H}" role="img" aria-label=${this.t("curve", { from: this.n(losses[0]), to: this.n(losses[losses.length - 1]) })}>
      ${ticks.map((tick) => svg`<line class="grid" x1=${LEFT} x2=${W - 8} y1=${y(tick)} y2=${y(tick)}></line><text x=${LEFT - 6} y=${y(tick) + 4} text-anchor="end">${this.n(tick)}</text>`)}
      <path class="curve" d=${path(losses) ?? ""}></path><text x=${W - 8} y=${H - 6} text-anchor="end">${this.t("course")} →</text></svg>`;
  }
  whenWrong() { return html`<div class="controls">${field(this, "word", this.t("word"))}</div>`; }
}
define("glaswerk-word2vec", Word2Vec);
