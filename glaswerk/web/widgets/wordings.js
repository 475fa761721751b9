// <glaswerk-wordings>: one request in different wordings, each as a dot with its interval: how far a score moves when
// nothing but the words changes, with and without two examples before it.

import { Pieces } from "../pieces.js";
import { define, html } from "../figure.js";
import texts from "../texts/wordings.js";
import { track } from "./prompt-score.js";

class Wordings extends Pieces {
  static texts = texts;
  static reloads = ["examples"];
  static starts = ["examples"];

  initial() { return { examples: false }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("wordings", { examples: this.state.examples, piece }, signal); }

  controls() {
    return html`<div class="controls">${this.segments("examples", [false, true].map((value) => ({ value, label: this.t(value ? "two" : "none") })), this.t("examples"))}${this.runner()}</div>${this.progress()}`;
  }

  whenWrong() { return this.controls(); }

  body() {
    const { rows, low, high, average, deviation, asked } = this.data;
    return html`${this.controls()}
      <dl class="facts"><div><dd data-name="span">${this.n(100 * low, 0)}–${this.percent(high, 0)}</dd><dt>${this.t("span")}</dt></div>
        <div><dd data-name="average">${this.percent(average, 0)}</dd><dt>${this.t("average")}</dt></div>
        <div><dd class="c-loss" data-name="deviation">${deviation === null ? "–" : this.n(100 * deviation, 0)}</dd><dt>${this.t("deviation")}</dt></div></dl>
      <div class="scored-lines" role="list">${rows.map((/** @type {any} */ row) => html`<code role="listitem" lang="">${row.text.replace(/\n/g, "⏎")}</code>${track(row.interval, row.share)}<span class="num">${row.right} / ${asked} <small class="visually-hidden">${this.t("interval", { low: this.n(100 * row.interval[0], 0), high: this.percent(row.interval[1], 0) })}</small></span>`)}
        <span></span><span class="ends faint"><span>${this.percent(0, 0)}</span><span>${this.percent(0.5, 0)}</span><span>${this.percent(1, 0)}</span></span><span></span></div>`;
  }
}
define("glaswerk-wordings", Wordings);
