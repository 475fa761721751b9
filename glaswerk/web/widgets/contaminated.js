// <glaswerk-contaminated>: a copy of the small model goes on, with the words of the test or with others; its score on the
// test and on fresh words.

import { define, html, svg } from "../figure.js";
import { chart } from "../chart.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/contaminated.js";

class Contaminated extends Pieces {
  static texts = texts;
  static needsModel = false;
  static lazy = true;
  static reloads = ["leak"];
  static starts = ["leak"];

  initial() { return { leak: "test" }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("contaminated", { leak: this.state.leak, piece }, signal); }

  body() {
    return html`<div class="controls">${this.runner()}${this.segments("leak", ["test", "new"].map((value) => ({ value, label: this.t(value) })), this.t("leak"))}</div>${this.progress()}
      ${this.data.looks ? this.scores() : html`<p class="faint">${this.t(this.asking ? "computing" : "none")}</p>`}`;
  }

  scores() {
    const { looks, tested } = this.data;
    const now = looks[looks.length - 1];
    const span = (/** @type {number[]} */ pair) => `${this.n(100 * pair[0], 0)}–${this.percent(pair[1], 0)}`;
    const list = (/** @type {string} */ part) => html`<div><p class="faint">${this.t(`${part}_writes`)}</p><p>${now.written[part].map((/** @type {any} */ each) => html`<span class="turned-word"><code>${each.word} → ${each.reply || "∅"}</code> ${each.right ? "✓" : "✗"}</span> `)}</p></div>`;
    return html`<dl class="facts"><div><dd>${this.n(now.step, 0)}</dd><dt>${this.t("step_said")}</dt></div><div><dd class="c-loss" data-name="test">${this.percent(now.test.exact, 0)}</dd><dt>${this.t("test_said", { tested, span: span(now.test.exact_interval) })}</dt></div>
        <div><dd class="c-value" data-name="fresh">${this.percent(now.fresh.exact, 0)}</dd><dt>${this.t("fresh_said", { tested, span: span(now.fresh.exact_interval) })}</dt></div></dl>
      <div class="two even">${this.curves()}<div class="reading">${list("test")}${list("fresh")}</div></div>`;
  }

  curves() {
    const { looks, steps } = this.data;
    const along = (/** @type {string} */ part) => looks.map((/** @type {any} */ each) => /** @type {[number, number]} */ ([each.step, 100 * each[part].exact]));
    const area = (/** @type {string} */ part, /** @type {any} */ x, /** @type {any} */ y) => svg`<polygon class=${`interval ${part}`} points=${[...looks.map((/** @type {any} */ each) => `${x(each.step)},${y(100 * each[part].exact_interval[1])}`), ...[...looks].reverse().map((each) => `${x(each.step)},${y(100 * each[part].exact_interval[0])}`)].join(" ")}></polygon>`;
    return chart({
      label: this.t("chart"), x: [0, steps], y: [0, 100], xLabel: this.t("step"), yLabel: this.t("percent"), width: 440, height: 260, right: 84,
      series: [{ name: this.t("test_line"), label: true, points: along("test") }, { name: this.t("fresh_line"), label: true, className: "exact", dash: "6 3", points: along("fresh") }],
      more: (/** @type {any} */ x, /** @type {any} */ y) => svg`${area("test", x, y)}${area("fresh", x, y)}`,
    });
  }

  provenance() { return this.t("source"); }
}
define("glaswerk-contaminated", Contaminated);
