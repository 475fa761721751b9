// <glaswerk-luck>: two imagined models, one really better; how often does a test say the opposite?

import { Figure, define, html, svg } from "../figure.js";
import { chart } from "../chart.js";
import texts from "../texts/luck.js";

const COUNTS = [50, 100, 200, 500, 1000, 2000];

class Luck extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["gap", "count"];

  initial() { return { gap: 3, count: 100 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("luck", { gap: this.state.gap, count: this.state.count }, signal); }

  body() {
    const { wrong, tied, low, high, needed, gap, worse } = this.data;
    return html`<div class="controls">${this.slider("gap", { label: this.t("gap"), min: 1, max: 10, step: 1, digits: 0 })}
        ${this.segments("count", COUNTS.map((value) => ({ value, label: this.n(value, 0) })), this.t("count"))}</div>
      ${this.spread()}
      <dl class="facts"><div><dd class="c-loss" data-name="wrong">${this.percent(wrong)}</dd><dt>${this.t("wrong")}</dt></div><div><dd>${this.percent(tied)}</dd><dt>${this.t("tied")}</dt></div>
        <div><dd data-name="interval">${this.n(low, 1)} … ${this.n(high, 1)}</dd><dt>${this.t("interval")}</dt></div><div><dd data-name="needed">${this.n(needed, 0)}</dd><dt>${this.t("needed", { gap, worse: this.n(100 * worse, 0), better: this.n(100 * worse + gap, 0) })}</dt></div></dl>`;
  }

  spread() {
    const { apart, gap } = this.data;
    const spread = this.data.spread.map((/** @type {number} */ share) => 100 * share);
    const most = Math.max(...spread), edge = Math.max(Math.abs(apart[0]), Math.abs(apart[apart.length - 1]));
    return chart({
      label: this.t("chart"), x: [-edge, edge], y: [0, most * 1.08], xLabel: this.t("points"), yLabel: this.t("often"), width: 900, height: 250, series: [],
      more: (/** @type {any} */ x, /** @type {any} */ y) => {
        const area = (/** @type {(value: number) => boolean} */ within) => {
          const places = apart.map((/** @type {number} */ _, /** @type {number} */ place) => place).filter((/** @type {number} */ place) => within(apart[place]));
          return places.length ? [`${x(apart[places[0]])},${y(0)}`, ...places.map((/** @type {number} */ place) => `${x(apart[place])},${y(spread[place])}`), `${x(apart[places[places.length - 1]])},${y(0)}`].join(" ") : "";
        };
        return svg`<polygon class="area good" points=${area((value) => value >= 0)}></polygon><polygon class="area bad" points=${area((value) => value <= 0)}></polygon>
          <line class="now" x1=${x(0)} x2=${x(0)} y1="22" y2=${y(0)}></line><line class="really" x1=${x(gap)} x2=${x(gap)} y1="22" y2=${y(0)}></line><text x=${x(gap) + 5} y="30">${this.t("really", { gap })}</text>`;
      },
    });
  }

  provenance() { return this.t("source"); }
}
define("glaswerk-luck", Luck);
