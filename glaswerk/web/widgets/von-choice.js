// <glaswerk-von-choice>: the last step of the "von" chain, for a vocabulary of three: z = W_out h + b, e^z, shares. Every
// number can be changed; what depends on it is computed here, what it starts from came from the chapter's demo.py.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/von-choice.js";

class VonChoice extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  // null: as demo.py gave it
  initial() { return { h: null, w: null, b: null, temperature: 1 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("chain", {}, signal); }

  get given() {
    const { h, w_out, b } = this.data;
    return { h: this.state.h ?? h, w: this.state.w ?? w_out.flat(), b: this.state.b ?? b };
  }

  body() {
    const { words } = this.data;
    const { h, w, b } = this.given;
    const T = this.state.temperature;
    /** @type {number[]} */
    const z = words.map((/** @type {string} */ _, /** @type {number} */ row) => w[2 * row] * h[0] + w[2 * row + 1] * h[1] + b[row]);
    const powers = z.map((value) => Math.exp(value / T));
    const sum = powers.reduce((total, value) => total + value, 0);
    const shares = powers.map((value) => value / sum);
    const best = shares.indexOf(Math.max(...shares));
    return html`<div class="controls">
        <div class="control"><span class="c-residual">h</span><span class="fields">${this.field("h", 0, this.t("h_of", { place: 1 }))}${this.field("h", 1, this.t("h_of", { place: 2 }))}</span></div>
        ${this.slider("temperature", { label: this.t("temperature"), min: 0.1, max: 3, step: 0.1, digits: 1 })}</div>
      <div class="sheets"><table class="sheet"><thead><tr><th scope="col">${this.t("word")}</th><th scope="col" colspan="2">W<sub>out</sub></th><th scope="col">b</th></tr></thead>
        <tbody>${words.map((/** @type {string} */ word, /** @type {number} */ row) => html`<tr><th scope="row"><span class="chip">${word}</span></th>
          <td>${this.field("w", 2 * row, this.t("w_of", { word, place: 1 }))}</td><td>${this.field("w", 2 * row + 1, this.t("w_of", { word, place: 2 }))}</td><td>${this.field("b", row, this.t("b_of", { word }))}</td></tr>`)}</tbody></table>
      <table class="sheet shares"><thead><tr><th scope="col">${this.t("word")}</th><th scope="col" class="c-logit">z</th><th scope="col">e<sup>z/T</sup></th><th scope="col" colspan="2" class="c-logit last">P</th></tr></thead>
        <tbody>${words.map((/** @type {string} */ word, /** @type {number} */ row) => html`<tr class=${row === best ? "chosen" : ""}><th scope="row"><span class="chip">${word}</span></th>
          <td data-name="z-${row}">${this.n(z[row], 3)}</td><td>${this.n(powers[row], 3)}</td><td class="c-logit" data-name="p-${row}" data-value=${shares[row]}>${this.n(shares[row], 2)}</td>
          <td class="wide-cell"><span class="share-bar" .style=${`--size: ${shares[row]}`}></span></td></tr>`)}</tbody>
        <tfoot><tr><th scope="row" colspan="2">${this.t("sum")}</th><td>${this.n(sum, 3)}</td><td>${this.n(1, 2)}</td><td></td></tr></tfoot></table></div>
      <p class="sum"><span class="c-logit">z</span>(${words[best]}) = ${this.n(w[2 * best])} · <span class="c-residual">${this.n(h[0])}</span> + ${this.n(w[2 * best + 1])} · <span class="c-residual">${this.n(h[1])}</span> + ${this.n(b[best])} = ${this.n(z[best], 3)}</p>
      <p>${this.t("argmax")} <b class="chip">${words[best]}</b> <span class="num">P = <b class="c-logit" data-name="best">${this.n(shares[best], 2)}</b></span></p>`;
  }

  /** One number that can be changed. @param {"h"|"w"|"b"} key @param {number} place @param {string} label */
  field(key, place, label) {
    return html`<input class="cell-field" type="number" step="0.1" min="-10" max="10" aria-label=${label} .value=${String(Number(this.given[key][place].toFixed(2)))}
      @input=${(/** @type {any} */ event) => this.change(key, place, event.target.valueAsNumber)}>`;
  }

  /** @param {"h"|"w"|"b"} key @param {number} place @param {number} value */
  change(key, place, value) {
    if (!Number.isFinite(value)) return;  // half typed
    const row = [...this.given[key]];
    row[place] = Math.max(-10, Math.min(10, value));
    this.set({ [key]: row });
  }
}
define("glaswerk-von-choice", VonChoice);
