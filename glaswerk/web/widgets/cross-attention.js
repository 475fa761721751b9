// <glaswerk-cross-attention>: one head of the worked example, looking at its own sentence and at another one.

import { Figure, define, html } from "../figure.js";
import { matrix } from "../numbers.js";
import texts from "../texts/cross-attention.js";

class CrossAttention extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  initial() { return { row: 4 }; }
  load() { return this.demo("cross"); }

  body() {
    const { words, other } = this.data;
    return html`<div class="controls">${this.segments("row", words.map((/** @type {string} */ label, /** @type {number} */ value) => ({ value, label })), this.t("who"))}</div>
      <div class="two even">${["self", "cross"].map((how) => html`<div class="reading"><p><b>${this.t(how)}</b></p>
        ${matrix(this.data[how].weights, { label: this.t(`${how}_label`), rows: words, columns: how === "self" ? words : other, row: this.state.row, concept: "weight", shade: true })}
        <p>${this.t(`${how}_says`, { word: words[this.state.row] })} <b class="c-residual" data-name="h-${how}">h = (${this.data[how].h[this.state.row].map((/** @type {number} */ value) => this.n(value)).join(this.t("and"))})</b></p></div>`)}</div>`;
  }
}
define("glaswerk-cross-attention", CrossAttention);
