// <glaswerk-masks>: who may see whom in GPT, BERT and T5.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/masks.js";

const FAMILIES = { gpt: ["gpt"], bert: ["bert"], t5: ["t5_encoder", "t5_decoder", "t5_cross"] };

class Masks extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  initial() { return { family: "gpt", row: 2 }; }
  load() { return this.demo("masks"); }

  body() {
    const family = /** @type {keyof typeof FAMILIES} */ (this.state.family in FAMILIES ? this.state.family : "gpt");
    return html`<div class="controls">${this.segments("family", Object.keys(FAMILIES).map((value) => ({ value, label: this.t(value) })), this.t("which"))}</div>
      <p>${this.t(`says_${family}`)}</p><div class="mask-tables">${FAMILIES[family].map((name) => this.mask(name))}</div>`;
  }

  /** @param {string} name */
  mask(name) {
    const { rows, columns, see } = this.data.masks[name];
    const row = Math.min(this.state.row, rows.length - 1);
    const seen = columns.filter((/** @type {string} */ _, /** @type {number} */ place) => see[row][place]);
    return html`<div class="scroll"><table class="matrix of-weight mask"><caption>${this.t(`table_${name}`)}</caption>
      <thead><tr><td></td>${columns.map((/** @type {string} */ word) => html`<th scope="col">${word}</th>`)}</tr></thead>
      <tbody>${rows.map((/** @type {string} */ word, /** @type {number} */ at) => html`<tr class=${at === row ? "on" : ""}><th scope="row"><button type="button" class="chip" aria-pressed=${String(at === row)} @click=${() => this.set({ row: at })}>${word}</button></th>
        ${see[at].map((/** @type {number} */ may) => html`<td class=${may ? "may" : "not"}><span class="visually-hidden">${this.t(may ? "may" : "not")}</span><span aria-hidden="true">${may ? "●" : "·"}</span></td>`)}</tr>`)}</tbody></table>
      <p class="faint" data-name=${name}>${this.t("sees", { word: rows[row], count: seen.length, of: columns.length })} ${seen.join(" ")}</p></div>`;
  }
}
define("glaswerk-masks", Masks);
