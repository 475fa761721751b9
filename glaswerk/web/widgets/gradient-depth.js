// <glaswerk-gradient-depth>: the gradient's size on its way back through many layers, for four ways to build them.

import { Figure, define, html } from "../figure.js";
import { chart } from "../chart.js";
import texts from "../texts/gradient-depth.js";

/** @type {[string, string][]} */
const VARIANTS = [["plain", "none"], ["norm", "2 4"], ["residual", "9 4"], ["both", "none"]];

class GradientDepth extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["depth", "gain"];

  initial() { return { depth: 32, gain: 1, what: "gradients" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("through", { depth: this.state.depth, gain: this.state.gain }, signal); }

  body() {
    const { variants, depth } = this.data;
    const { what } = this.state;
    const series = VARIANTS.map(([name, dash]) => ({
      name: this.t(name), label: true, dash, className: `variant-${name}`,
      points: variants[name][what].map((/** @type {number} */ value, /** @type {number} */ layer) => /** @type {[number, number]} */ ([layer, value])),
    }));
    const all = series.flatMap((each) => each.points.map((/** @type {[number, number]} */ point) => point[1])).filter((/** @type {number} */ value) => value > 0);
    const ratio = (/** @type {string} */ name) => variants[name].first / variants[name].last;
    return html`<div class="controls">${this.segments("what", ["gradients", "sizes"].map((value) => ({ value, label: this.t(value) })), this.t("what"))}
        ${this.slider("depth", { label: this.t("depth"), min: 2, max: 64, step: 2, digits: 0 })}
        ${this.slider("gain", { label: this.t("gain"), min: 0.25, max: 4, step: 0.25 })}</div>
      ${chart({ label: this.t("chart"), series, logY: true, x: [0, depth], y: [Math.max(1e-30, Math.min(...all)), Math.max(...all)], xLabel: this.t("layer"), yLabel: this.t(`${what}_axis`), width: 760, height: 320, right: 132 })}
      <dl class="facts">${VARIANTS.map(([name]) => html`<div><dd data-name="ratio-${name}">${this.power(ratio(name))}</dd><dt class="variant-${name}">${this.t("ratio", { name: this.t(name) })}</dt></div>`)}</dl>`;
  }

  /** @param {number} value */
  power(value) {
    if (!Number.isFinite(value) || value === 0) return value === 0 ? "0" : "–";
    const ten = Math.floor(Math.log10(value));
    if (ten >= -2 && ten < 4) return this.n(value, ten < 1 ? 2 : 0);
    return html`${this.n(value / 10 ** ten, 1)} · 10<sup>${this.n(ten, 0)}</sup>`;
  }
}
define("glaswerk-gradient-depth", GradientDepth);
