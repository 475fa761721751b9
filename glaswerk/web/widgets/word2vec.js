// <glaswerk-word2vec>: word2vec trained while the reader waits: its loss, and what the vectors then know.

import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { Figure, define, html, svg } from "../figure.js";
import { field, orMissing, why, withOrigins } from "../origins.js";
import texts from "../texts/word2vec.js";

const W = 360, H = 190, LEFT = 40, BOTTOM = 24;

class Word2Vec extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["seed", "word"];

  initial() { return { seed: 0, word: "music" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return orMissing(this.demo("training", { seed: this.state.seed, word: this.state.word }, signal)); }

  body() {
    const { missing, losses, pairs, articles, of, width, window: reach, found } = this.data;
    return html`<div class="controls">${field(this, "word", this.t("word"))}
        <button type="button" class="button quiet" @click=${() => this.set({ seed: (this.state.seed + 1) % 100 })}>${this.t("again_seed", { seed: this.state.seed + 1 })}</button></div>
      ${missing ? why(this, missing) : html`<div class="two"><div>${this.curve(losses)}<p class="num faint">${this.t("facts", { pairs: this.n(pairs, 0), articles: this.n(articles, 0), of: this.n(of, 0), width, window: reach })}</p></div>
      <div><p class="faint">${this.t("nearest", { word: this.data.word })}</p><div class="bars vector-bars" role="list">${found.map((/** @type {[string, number]} */ [word, cosine]) => html`
        <span role="listitem" class="chip">${word}</span><span class="bar"><span .style=${`width: ${100 * Math.max(0, cosine)}%`}></span></span><span class="percent">${this.n(cosine)}</span>`)}</div></div></div>`}`;
  }

  /** @param {number[]} losses */
  curve(losses) {
    const most = Math.max(...losses), least = Math.min(...losses);
    const x = scaleLinear([0, losses.length - 1], [LEFT, W - 8]), y = scaleLinear([least, most], [H - BOTTOM, 10]);
    const path = line((/** @type {number} */ _, /** @type {number} */ at) => x(at), (/** @type {number} */ value) => y(value));
    return html`<svg class="plot" viewBox="0 0 ${W} ${H}" role="img" aria-label=${this.t("curve", { from: this.n(losses[0]), to: this.n(losses[losses.length - 1]) })}>
      ${[least, (least + most) / 2, most].map((tick) => svg`<line class="grid" x1=${LEFT} x2=${W - 8} y1=${y(tick)} y2=${y(tick)}></line><text x=${LEFT - 6} y=${y(tick) + 4} text-anchor="end">${this.n(tick)}</text>`)}
      <path class="curve" d=${path(losses) ?? ""}></path><text x=${W - 8} y=${H - 6} text-anchor="end">${this.t("course")} →</text></svg>`;
  }
  whenWrong() { return html`<div class="controls">${field(this, "word", this.t("word"))}</div>`; }
}
define("glaswerk-word2vec", Word2Vec);
