// <glaswerk-paired>: the same questions asked in two ways (or of two stages); the difference item by item, and what the
// bootstrap says of it.

import { define, html, nothing, svg } from "../figure.js";
import { chart } from "../chart.js";
import { language } from "../data.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/paired.js";

class Paired extends Pieces {
  static texts = texts;
  static reloads = ["rival"];
  static starts = ["rival"];

  initial() { return { rival: "examples" }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("paired", { language, rival: this.state.rival, piece }, signal); }

  count() { return Math.ceil(this.data.total / 5); }

  /** @param {string} rival */
  named(rival) { return ["examples", "letters"].includes(rival) ? this.t(rival) : this.t("stage", { stage: rival }); }

  choice() {
    const rivals = this.data?.rivals ?? ["examples", "letters"];
    return html`<label class="control">${this.t("rival")}<select data-key="rival" @change=${(/** @type {any} */ event) => this.set({ rival: rivals[event.target.selectedIndex] })}>
      ${rivals.map((/** @type {string} */ name) => html`<option ?selected=${this.state.rival === name}>${this.named(name)}</option>`)}</select></label>`;
  }

  whenWrong() { return html`<div class="controls">${this.choice()}</div>`; }

  body() {
    const { done, total, right, difference, low, high, apart, needed, against } = this.data;
    const span = (/** @type {number[]} */ pair) => `${this.n(100 * pair[0], 1)} … ${this.n(100 * pair[1], 1)}`;
    const sure = low > 0 || high < 0;
    return html`<div class="controls">${this.choice()}${this.runner()}</div>${this.progress()}
      <dl class="facts"><div><dd data-name="asked">${done} / ${total}</dd><dt>${this.t("asked")}</dt></div><div><dd>${this.percent(right[0])}</dd><dt>${this.t("plain")}</dt></div><div><dd>${this.percent(right[1])}</dd><dt>${this.named(this.data.rival)}</dt></div>
        <div><dd class="c-logit" data-name="difference">${this.n(100 * difference, 1)}</dd><dt>${this.t("difference")}</dt></div><div><dd data-name="interval">${span([low, high])}</dd><dt>${this.t("interval")}</dt></div><div><dd>${span(apart)}</dd><dt>${this.t("apart")}</dt></div></dl>
      <div class="two even">${this.histogram()}<div class="reading">${this.table()}
        <p class="verdict" data-name="verdict">${this.t(sure ? "sure" : difference ? "unsure" : "same", { against: this.percent(against, 1) })}</p>
        ${needed > done && !sure ? html`<p class="faint">${this.t("needed", { needed: this.n(needed, 0) })}</p>` : nothing}</div></div>`;
  }

  histogram() {
    const { edges, low, high } = this.data;
    const bars = this.data.bars.map((/** @type {number} */ share) => 100 * share);
    const most = Math.max(...bars) * 1.1, edge = 100 * edges[edges.length - 1];
    return chart({
      label: this.t("chart"), x: [-edge, edge], y: [0, most], xLabel: this.t("points"), yLabel: this.t("often"), width: 460, height: 240, series: [],
      more: (/** @type {any} */ x, /** @type {any} */ y) => svg`${bars.map((/** @type {number} */ bar, /** @type {number} */ place) => svg`<rect class=${`bar ${Math.abs(edges[place] + edges[place + 1]) < 1e-9 ? "even" : edges[place] < 0 ? "bad" : "good"}`} x=${x(100 * edges[place])} width=${Math.max(0, x(100 * edges[place + 1]) - x(100 * edges[place]) - 0.5)} y=${y(bar)} height=${y(0) - y(bar)}></rect>`)}
        <line class="now" x1=${x(0)} x2=${x(0)} y1="22" y2=${y(0)}></line><line class="span" x1=${x(100 * low)} x2=${x(100 * high)} y1="24" y2="24"></line>`,
    });
  }

  table() {
    const [[both, onlyA], [onlyB, none]] = this.data.table;
    return html`<table class="crossed"><caption>${this.t("table")}</caption><thead><tr><td></td><th scope="col">${this.t("b_right")}</th><th scope="col">${this.t("b_wrong")}</th></tr></thead>
      <tbody><tr><th scope="row">${this.t("a_right")}</th><td>${both}</td><td class="turned">${onlyA}</td></tr><tr><th scope="row">${this.t("a_wrong")}</th><td class="turned">${onlyB}</td><td>${none}</td></tr></tbody></table>`;
  }

  provenance() { return html`${super.provenance()} · ${this.t("source")}`; }
}
define("glaswerk-paired", Paired);
