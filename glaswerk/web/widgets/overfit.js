// <glaswerk-overfit>: a small network learns noisy points; its curve and both losses along the training.

import { Figure, define, html, svg } from "../figure.js";
import { chart } from "../chart.js";
import texts from "../texts/overfit.js";

const WIDTHS = [1, 4, 16, 64];

class Overfit extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["width", "dropout", "decay"];

  initial() { return { width: 64, dropout: false, decay: false, at: -1 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { width, dropout, decay } = this.state;
    return this.demo("fit", { width, dropout, decay }, signal);
  }

  get at() { return this.state.at < 0 ? this.data.steps.length - 1 : Math.min(this.state.at, this.data.steps.length - 1); }

  body() {
    const { steps, learned, held_out, best, parameters } = this.data;
    const { at } = this;
    // a logarithmic axis has no place for step 0
    const over = (/** @type {number[]} */ losses) => losses.map((loss, place) => /** @type {[number, number]} */ ([steps[place], loss])).slice(1);
    const tick = (/** @type {string} */ key) => html`<label class="check"><input type="checkbox" data-key=${key} .checked=${this.state[key]} @change=${(/** @type {any} */ event) => this.set({ [key]: event.target.checked })}>${this.t(key)}</label>`;
    return html`<div class="controls">${this.segments("width", WIDTHS.map((value) => ({ value, label: `${value}` })), this.t("width"))}${tick("dropout")}${tick("decay")}
        <label class="slider">${this.t("step")}<span class="value">${this.n(steps[at], 0)}</span><input type="range" data-key="at" min="0" max=${steps.length - 1} step="1" .value=${String(at)} aria-valuetext=${this.n(steps[at], 0)}
          @input=${(/** @type {any} */ event) => this.set({ at: Number(event.target.value) })}></label>
        <button type="button" class="button quiet" @click=${() => this.set({ at: best })}>${this.t("stop", { step: this.n(steps[best], 0) })}</button></div>
      <div class="two even">${this.curve()}${chart({
        label: this.t("losses"), logX: true, logY: true, x: [1, steps[steps.length - 1]], y: [Math.max(1e-4, Math.min(...learned) * 0.8), Math.max(...learned, ...held_out)],
        xLabel: this.t("step"), yLabel: this.t("loss"), at: Math.max(1, steps[at]), width: 440, height: 300, right: 70,
        series: [
          { name: this.t("learned"), label: true, points: over(learned) },
          { name: this.t("held_out"), label: true, className: "held-out", dash: "6 3", points: over(held_out) },
        ],
      })}</div>
      <dl class="facts"><div><dd>${this.n(parameters, 0)}</dd><dt>${this.t("parameters")}</dt></div><div><dd class="c-loss" data-name="learned">${this.n(learned[at], 4)}</dd><dt>${this.t("learned_said")}</dt></div>
        <div><dd data-name="held-out">${this.n(held_out[at], 4)}</dd><dt>${this.t("held_out_said")}</dt></div><div><dd>${this.n(this.data.noise, 2)}</dd><dt>${this.t("noise")}</dt></div></dl>`;
  }

  curve() {
    const { line, truth, curves, points } = this.data;
    const along = (/** @type {number[]} */ values) => values.map((value, place) => /** @type {[number, number]} */ ([line[place], value]));
    return chart({
      label: this.t("curve"), x: [-2, 2], y: [-2, 2], width: 440, height: 300,
      series: [{ name: "", className: "truth", dash: "3 4", points: along(truth) }, { name: "", className: "fit", points: along(curves[this.at]) }],
      more: (/** @type {any} */ x, /** @type {any} */ y) => points.map((/** @type {number[]} */ [px, py]) => svg`<circle class="dot" cx=${x(px)} cy=${y(py)} r="4"></circle>`),
    });
  }
}
define("glaswerk-overfit", Overfit);
