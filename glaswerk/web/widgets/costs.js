// <glaswerk-costs>: what one token costs the open model in training and in use, in operations and in memory.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/costs.js";

class Costs extends Figure {
  static texts = texts;
  static reloads = ["time"];

  initial() { return { time: 256 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("costs", { time: this.state.time }, signal); }

  body() {
    const { flops, bytes, parameters } = this.data;
    const memory = bytes.weights + bytes.gradients + bytes.adam;
    const bar = (/** @type {number} */ size, /** @type {string} */ kind) => html`<span class=${kind} .style=${`--size: ${size}`}></span>`;
    return html`<div class="controls"><label class="slider">${this.t("time")}<span class="value">${this.n(this.state.time, 0)}</span><input type="range" data-key="time" min="4" max="10" step="1" .value=${String(Math.log2(this.state.time))} aria-valuetext=${this.n(this.state.time, 0)}
          @input=${(/** @type {any} */ event) => this.set({ time: 2 ** Number(event.target.value) })}></label></div>
      <table class="ledger ways"><thead><tr><td></td><th scope="col">${this.t("training")}</th><th scope="col">${this.t("inference")}</th></tr></thead><tbody>
        <tr><th scope="row">${this.t("operations")}</th><td><b data-name="training">${this.big(flops.training)}</b><span class="stack">${bar(1 / 3, "forward")}${bar(2 / 3, "backward")}</span><small>${this.t("passes")}</small></td>
          <td><b data-name="inference">${this.big(flops.inference)}</b><span class="stack">${bar(1 / 3, "forward")}</span><small>${this.t("pass")}</small></td></tr>
        <tr><th scope="row">${this.t("memory", { count: this.big(parameters) })}</th><td><b>${this.bytes(memory)}</b><span class="stack">${bar(bytes.weights / memory, "forward")}${bar(bytes.gradients / memory, "backward")}${bar(bytes.adam / memory, "adam")}</span><small>${this.t("kept")}</small></td>
          <td><b>${this.bytes(bytes.weights)}</b><span class="stack">${bar(bytes.weights / memory, "forward")}</span><small>${this.t("weights")}</small></td></tr>
        <tr><th scope="row">${this.t("changes")}</th><td>${this.t("all_weights")}</td><td>${this.t("nothing")}</td></tr>
        <tr><th scope="row">${this.t("at_once")}</th><td>${this.t("all_positions")}</td><td>${this.t("one_by_one")}</td></tr>
        <tr><th scope="row">Dropout</th><td>${this.t("on")}</td><td>${this.t("off")}</td></tr></tbody></table>`;
  }

  /** @param {number} value */
  big(value) {
    const step = Math.max(0, Math.min(4, Math.floor(Math.log10(value) / 3)));
    return `${this.n(value / 1000 ** step, step ? 1 : 0)}${["", ` ${this.t("thousand")}`, ` ${this.t("million")}`, ` ${this.t("billion")}`, ` ${this.t("trillion")}`][step]}`;
  }
  /** @param {number} value */
  bytes(value) { return value >= 1e9 ? `${this.n(value / 1e9, 2)} GB` : `${this.n(value / 1e6, 1)} MB`; }
}
define("glaswerk-costs", Costs);
