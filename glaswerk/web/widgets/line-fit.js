// <glaswerk-line-fit>: a line finds two points by gradient descent; beside it the same walk on the loss as a landscape.

import { unpack } from "../data.js";
import { Figure, define, html, svg } from "../figure.js";
import { paint } from "../chart.js";
import { mix, resolved } from "../colour.js";
import texts from "../texts/line-fit.js";

const SIZE = 300, WIDE = 400;

class LineFit extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["rate"];

  initial() { return { rate: 0.5, step: 1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const told = await this.demo("line", { rate: this.state.rate, steps: 20 }, signal);
    return { ...told, heights: unpack(told.field) };
  }

  body() {
    const { path } = this.data;
    const step = Math.min(this.state.step, path.length - 1);
    const now = path[step], before = path[Math.max(0, step - 1)];
    return html`<div class="controls">${this.slider("step", { label: this.t("step"), min: 0, max: path.length - 1, step: 1, digits: 0 })}
        ${this.slider("rate", { label: this.t("rate"), min: 0.1, max: 2.3, step: 0.1, digits: 1, accent: "var(--loss)" })}</div>
      <div class="two even">${this.points(now, before)}${this.valley(step)}</div>
      <p class="sum"><span class="c-mlp">w</span> = <span data-name="w">${this.n(now.w, 4)}</span> · <span class="c-mlp">b</span> = <span data-name="b">${this.n(now.b, 4)}</span> · <span class="c-loss">L</span> = <span class="c-loss" data-name="loss">${this.n(now.loss, 6)}</span><br>
        ${step ? html`<span class="c-mlp">w</span>: ${this.n(before.w, 4)} − ${this.n(this.state.rate, 1)} · <span class="c-loss">${this.signed(before.grad_w)}</span> = ${this.n(now.w, 4)}<br>
        <span class="c-mlp">b</span>: ${this.n(before.b, 4)} − ${this.n(this.state.rate, 1)} · <span class="c-loss">${this.signed(before.grad_b)}</span> = ${this.n(now.b, 4)}` : html`<span class="faint">${this.t("begin")}</span>`}</p>`;
  }

  /** @param {number} value */
  signed(value) { return value < 0 ? `(${this.n(value, 4)})` : this.n(value, 4); }

  /** @param {any} now @param {any} before */
  points(now, before) {
    const x = (/** @type {number} */ value) => 30 + ((value + 2) / 4) * (WIDE - 44);
    const y = (/** @type {number} */ value) => SIZE - 24 - ((value + 6) / 16) * (SIZE - 30);
    const across = (/** @type {any} */ of, /** @type {string} */ kind) => svg`<line class=${kind} x1=${x(-2)} y1=${y(of.b - 2 * of.w)} x2=${x(2)} y2=${y(of.b + 2 * of.w)}></line>`;
    return html`<svg class="plot clip" viewBox="0 0 ${WIDE} ${SIZE}" role="img" aria-label=${this.t("line", { w: this.n(now.w), b: this.n(now.b) })}>
      ${[-5, 0, 5, 10].map((tick) => svg`<line class="grid" x1=${x(-2)} x2=${x(2)} y1=${y(tick)} y2=${y(tick)}></line><text x="24" y=${y(tick)} text-anchor="end" dominant-baseline="central">${this.n(tick, 0)}</text>`)}
      ${[-2, -1, 0, 1, 2].map((tick) => svg`<text x=${x(tick)} y=${SIZE - 8} text-anchor="middle">${this.n(tick, 0)}</text>`)}
      ${across(before, "before")}${across(now, "fitted")}
      ${this.data.points.map((/** @type {number[]} */ [px, py]) => svg`<line class="error" x1=${x(px)} x2=${x(px)} y1=${y(py)} y2=${y(now.w * px + now.b)}></line><circle class="dot" cx=${x(px)} cy=${y(py)} r="6"></circle>`)}</svg>`;
  }

  /** @param {number} step */
  valley(step) {
    const { path, w, b } = this.data;
    const x = (/** @type {number} */ value) => ((value - w[0]) / (w[1] - w[0])) * SIZE;
    const y = (/** @type {number} */ value) => SIZE - ((value - b[0]) / (b[1] - b[0])) * SIZE;
    const walk = path.slice(0, step + 1).map((/** @type {any} */ at) => `${x(at.w).toFixed(1)},${y(at.b).toFixed(1)}`).join(" ");
    return html`<div class="plane"><canvas aria-hidden="true"></canvas><svg class="clip" viewBox="-26 -8 ${SIZE + 34} ${SIZE + 34}" role="img" aria-label=${this.t("valley")}>
      <rect class="edge" x="0" y="0" width=${SIZE} height=${SIZE}></rect>
      <svg x="0" y="0" width=${SIZE} height=${SIZE} viewBox="0 0 ${SIZE} ${SIZE}"><polyline class="walk" points=${walk}></polyline>
        ${path.slice(0, step + 1).map((/** @type {any} */ at, /** @type {number} */ place) => svg`<circle class=${place === step ? "here" : "was"} cx=${x(at.w)} cy=${y(at.b)} r=${place === step ? 6 : 3}></circle>`)}</svg>
      ${[0, 2, 4, 6].map((tick) => svg`<text x=${x(tick)} y=${SIZE + 15} text-anchor="middle">${tick}</text>`)}
      ${[0, 2, 4].map((tick) => svg`<text x="-7" y=${y(tick)} text-anchor="end" dominant-baseline="central">${tick}</text>`)}
      <text class="c-mlp" x=${SIZE} y=${SIZE + 24} text-anchor="end">w</text><text class="c-mlp" x="-7" y="6" text-anchor="end">b</text></svg></div>`;
  }

  drawn() {
    const ground = resolved(this, "--paper"), full = resolved(this, "--loss");
    // rings, so that the shape can be seen: the root of the loss, in steps
    paint(this.querySelector("canvas"), this.data.heights, 65, [ground, full], (/** @type {number} */ value) => mix(ground, full, Math.min(0.75, 0.055 * Math.floor(Math.sqrt(value) / 0.28))));
  }
}
define("glaswerk-line-fit", LineFit);
