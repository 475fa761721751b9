// <glaswerk-live-training>: a small model is trained while one watches, by the library's loop, piece by piece. The page
// asks for the next piece; who stops asking has stopped it. On an exported site the recorded pieces are played.

import { Told, language, live } from "../data.js";
import { Figure, define, html, nothing, number } from "../figure.js";
import { chart } from "../chart.js";
import texts from "../texts/live-training.js";

class LiveTraining extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["factor", "muon"];

  constructor() {
    super();
    this.going = false;
    this.trouble = "";
    /** @type {AbortController|null} */
    this.asking = null;
  }

  initial() { return { factor: 1, muon: true }; }

  /** Nothing is trained before somebody asks for it. */
  async load() {
    this.stop();
    this.trouble = "";
    return { pieces: [] };
  }

  disconnectedCallback() { super.disconnectedCallback(); this.stop(); }

  stop() {
    this.asking?.abort();
    this.asking = null;
    this.going = false;
    this.requestUpdate();
  }

  async begin() {
    const asking = (this.asking = new AbortController());
    const { data } = this;
    this.going = true;
    this.trouble = "";
    if (data.pieces.length && this.over) data.pieces = [];
    this.requestUpdate();
    try {
      while (!asking.signal.aborted && !this.over) {
        const { factor, muon } = this.state;
        const piece = await this.demo("lesson", { language, factor, muon, piece: data.pieces.length }, asking.signal);
        if (asking.signal.aborted) return;
        data.pieces = [...data.pieces, piece];
        this.requestUpdate();
        if (!live) await new Promise((done) => setTimeout(done, 350));
      }
      const last = data.pieces.at(-1);
      if (last) this.announce(this.t(last.diverged ? "diverged" : "done", { step: last.step }));
    } catch (error) {
      if (asking.signal.aborted) return;
      this.trouble = error instanceof Told ? (error.message === "not-exported" || error.message === "stopped" ? this.t(error.message) : error.message) : String(error);
    }
    this.going = false;
    this.requestUpdate();
  }

  get over() {
    const last = this.data.pieces.at(-1);
    return Boolean(last) && (last.diverged || last.step >= last.steps);
  }

  body() {
    const { pieces } = this.data;
    const last = pieces.filter((/** @type {any} */ piece) => !piece.diverged).at(-1);
    const end = pieces.at(-1);
    return html`<div class="controls"><button type="button" class="button" data-name="go" @click=${() => (this.going ? this.stop() : this.begin())}>${this.t(this.going ? "stop" : !pieces.length ? "start" : this.over ? "over" : "on")}</button>
        ${this.segments("factor", [0.1, 1, 10, 100].map((value) => ({ value, label: `× ${number(value, value < 1 ? 1 : 0)}` })), this.t("factor"))}
        ${this.segments("muon", [{ value: true, label: "Muon" }, { value: false, label: "AdamW" }], this.t("optimizer"))}</div>
      ${live ? nothing : html`<p class="faint">${this.t("recorded")}</p>`}
      ${this.trouble ? html`<p class="figure-state error" role="alert">${this.trouble}</p>` : nothing}
      ${end?.diverged ? html`<p class="figure-state error">${this.t("diverged", { step: this.n(end.step, 0) })}</p>` : nothing}
      ${last ? html`${this.facts(last)}<div class="two even">${this.curves()}${this.samples()}</div>` : html`<p class="faint">${this.t(this.going ? "computing" : "none")}</p>`}`;
  }

  /** @param {any} last */
  facts(last) {
    return html`<progress max=${last.steps} value=${last.step} aria-label=${this.t("progress")}></progress><dl class="facts">
      <div><dd data-name="step">${this.n(last.step, 0)} / ${this.n(last.steps, 0)}</dd><dt>${this.t("step")}</dt></div><div><dd class="c-loss" data-name="learned">${this.n(last.learned, 3)}</dd><dt>${this.t("learned_said")}</dt></div>
      <div><dd data-name="held-out">${this.n(last.held_out, 3)}</dd><dt>${this.t("held_out_said")}</dt></div><div><dd>${this.n(last.parameters, 0)}</dd><dt>${this.t("parameters")}</dt></div>
      <div><dd>${this.n(last.text, 0)}</dd><dt>${this.t("text", { vocabulary: last.vocabulary })}</dt></div></dl>`;
  }

  curves() {
    const known = this.data.pieces.filter((/** @type {any} */ piece) => !piece.diverged);
    const blind = Math.log(known[0].vocabulary);
    const along = (/** @type {string} */ key) => known.map((/** @type {any} */ piece) => /** @type {[number, number]} */ ([piece.step, piece[key]]));
    const all = known.flatMap((/** @type {any} */ piece) => [piece.learned, piece.held_out]);
    return chart({
      label: this.t("chart"), x: [0, known[0].steps], y: [Math.floor(Math.min(1.5, ...all) * 2) / 2, Math.ceil(Math.max(blind, ...all) * 2) / 2], xLabel: this.t("step"), yLabel: this.t("loss"), width: 440, height: 290, right: 104,
      series: [
        { name: "", className: "faint-line", dash: "1 4", points: [[0, blind], [known[0].steps, blind]] },
        { name: this.t("learned"), label: true, points: along("learned") },
        { name: this.t("held_out"), label: true, className: "held-out", dash: "6 3", points: along("held_out") },
      ],
    });
  }

  samples() {
    const known = this.data.pieces.filter((/** @type {any} */ piece) => !piece.diverged);
    return html`<div class="reading"><p class="faint">${this.t("writes")}</p><ol class="samples" tabindex="0" aria-label=${this.t("writes")}>${[...known].reverse().map((piece) => html`<li><small>${this.n(piece.step, 0)}</small><span lang=""><b>${piece.prompt}</b>${piece.sample.replace(/\n/g, "⏎")}</span></li>`)}</ol></div>`;
  }

  provenance() { return this.t("source"); }
}
define("glaswerk-live-training", LiveTraining);
