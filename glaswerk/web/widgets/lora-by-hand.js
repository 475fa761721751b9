// <glaswerk-lora-by-hand>: one or two columns times as many rows make a whole matrix. The numbers come from demo.py.

import { Figure, define, html } from "../figure.js";
import { matrix } from "../numbers.js";
import texts from "../texts/lora-by-hand.js";

class LoraByHand extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["rank"];

  initial() { return { rank: 1 }; }
  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("outer", { rank: this.state.rank }, signal); }

  body() {
    const { a, b, change, values, narrow, full } = this.data;
    return html`<div class="controls">${this.segments("rank", [1, 2].map((value) => ({ value, label: `${value}` })), this.t("rank"))}</div>
      <div class="matrices">${matrix(b, { label: "B", concept: "mlp", digits: 0 })}<span class="times">·</span>${matrix(a, { label: "A", concept: "mlp", digits: 0 })}<span class="times">=</span>${matrix(change, { label: "ΔW = B A", concept: "mlp", digits: 0 })}</div>
      <dl class="facts"><div><dd data-name="narrow">${this.n(narrow, 0)}</dd><dt>${this.t("narrow")}</dt></div><div><dd>${this.n(full, 0)}</dd><dt>${this.t("full")}</dt></div>
        <div><dd>${values.filter((/** @type {number} */ value) => value > 1e-4).map((/** @type {number} */ value) => this.n(value, 2)).join(" · ")}</dd><dt>${this.t("values")}</dt></div></dl>`;
  }
}
define("glaswerk-lora-by-hand", LoraByHand);
