// <glaswerk-ngrams>: what follows the end of a text in a corpus, by counting the last 0 to 4 tokens; beside it what the
// model expects after the whole text.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/ngrams.js";

class Ngrams extends Figure {
  static texts = texts;

  initial() { return { prompt: "The city is the capital of", n: 3 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("ngrams", { prompt: this.state.prompt }, signal); }

  body() {
    const { rows, top, corpus, own, corpus_tokens: tokens } = this.data;
    const n = Math.min(this.state.n, rows.length);
    const row = rows[n - 1];
    return html`<div class="controls">${this.promptField()}</div>
      <div class="controls">${this.segments("n", rows.map((/** @type {any} */ one) => ({ value: one.n, label: `${one.n}` })), this.t("n"))}</div>
      <p class="faint">${this.t(own ? "own" : "pulled", { corpus, tokens: this.n(tokens, 0) })}</p>
      <div class="two even">
        <div class="reading"><p><b>${this.t("counts")}</b></p>
          <p>${row.context.length ? html`${this.t("after")} ${row.context.map((/** @type {string} */ token) => html`<span class="chip">${token}</span>`)}` : this.t("nothing_before")}</p>
          <p class="num"><b class="big" data-name="seen">${this.n(row.seen, 0)}</b> ${this.t("seen", { different: this.n(row.different, 0) })}</p>
          ${row.seen ? this.bars(row.top, true) : html`<p>${this.t("never")}</p>`}</div>
        <div class="reading"><p><b>${this.t("model_says")}</b></p>
          <p>${this.t("after_all")}</p><p class="num"><b class="big">${this.percent(top[0].share)}</b> ${this.t("for_first")} <span class="chip">${top[0].token}</span></p>
          ${this.bars(top, false)}</div>
      </div>`;
  }

  /** @param {any[]} list @param {boolean} counts */
  bars(list, counts) {
    return html`<div class="bars" role="list">${list.map((one) => html`<span role="listitem" class="chip">${one.token}</span>
      <span class="bar"><span .style=${`width: ${(100 * one.share) / list[0].share}%`}></span></span>
      <span class="percent">${counts ? html`<span class="faint">${this.n(one.count, 0)} ×</span> ` : ""}${this.percent(one.share)}</span>`)}</div>`;
  }
}
define("glaswerk-ngrams", Ngrams);
