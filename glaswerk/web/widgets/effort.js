// <glaswerk-effort>: what one pass of the open model over a prompt costs, counted from its shape.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/effort.js";

class Effort extends Figure {
  static texts = texts;

  initial() { return { prompt: "Paris ist die Hauptstadt von" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("effort", { prompt: this.state.prompt }, signal); }

  body() {
    const { tokens, layers, weights, twice, operations } = this.data;
    const line = (/** @type {string} */ words, /** @type {number} */ value, how = "") => html`<tr class=${how}><th scope="row">${words}</th><td class="n" data-value=${value}>${this.n(value, 0)}</td></tr>`;
    return html`<div class="controls">${this.promptField()}</div>
      <div class="scroll"><table class="made effort"><tbody>${line(this.t("tokens"), tokens)}${line(this.t("weights"), weights.together)}
        ${line(this.t("in_layers", { layers: this.n(layers, 0) }), weights.layers, "faint")}${line(this.t("in_output"), weights.output, "faint")}
        ${line(this.t("twice"), twice)}${line(this.t("operations"), operations, "result")}</tbody></table></div>`;
  }
}
define("glaswerk-effort", Effort);
