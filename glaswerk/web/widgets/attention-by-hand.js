// <glaswerk-attention-by-hand>: one head on five words, two numbers each, every step a table; every number that goes in
// can be changed. The start comes from the chapter's demo.py; by-hand.js computes on.

import { Figure, define, html } from "../figure.js";
import { attention } from "../by-hand.js";
import { matrix, products, short } from "../numbers.js";
import texts from "../texts/attention-by-hand.js";

class AttentionByHand extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  /** null: as demo.py has it */
  initial() { return { x: null, w_q: null, w_k: null, w_v: null, root: true, mask: true, row: 4 }; }

  load() { return this.demo("chain"); }

  get given() {
    const { x, w_q, w_k, w_v } = this.data;
    const own = { x: this.state.x ?? x, w_q: this.state.w_q ?? w_q, w_k: this.state.w_k ?? w_k, w_v: this.state.w_v ?? w_v };
    return { ...own, root: this.state.root, mask: this.state.mask };
  }

  body() {
    const { words } = this.data, given = this.given;
    const found = attention(given), row = Math.min(this.state.row, words.length - 1), word = words[row];
    const two = [this.t("place"), this.t("grammar")];
    const edit = (/** @type {string} */ key) => (/** @type {number[][]} */ values) => this.set({ [key]: values });
    const table = (/** @type {string} */ key, /** @type {string} */ concept = "") => matrix(/** @type {any} */ (found)[key],
      { label: this.t(key), rows: words, columns: key.length > 1 ? words : [], row, concept, shade: key === "weights" });
    const weights = found.weights[row];
    return html`<div class="controls">${this.segments("row", words.map((/** @type {string} */ text, /** @type {number} */ value) => ({ value, label: text })), this.t("who"))}
        ${this.onOff("root")}${this.onOff("mask")}</div>
      <ol class="by-hand">
        ${this.step(1, html`${matrix(given.x, { label: "x", rows: words, columns: two, row, concept: "residual", edit: edit("x") })}`)}
        ${this.step(2, html`${["q", "k", "v"].map((each) => html`<div class="pair">${matrix(/** @type {any} */ (given)[`w_${each}`], { label: `W_${each.toUpperCase()}`, concept: { q: "query", k: "key", v: "value" }[each], edit: edit(`w_${each}`) })}
            ${table(each, { q: "query", k: "key", v: "value" }[each])}</div>`)}`,
          html`${given.w_q.map((/** @type {number[]} */ line, /** @type {number} */ place) => html`<span class="c-query">q</span><sub>${place + 1}</sub> = ${products(line, given.x[row], "query", "residual")} = <span class="c-query">${short(found.q[row][place])}</span><br>`)}`, { word })}
        ${this.step(3, table("scores"), html`${words.slice(0, this.state.mask ? row + 1 : words.length).map((/** @type {string} */ other, /** @type {number} */ place) => html`${word} · ${other}: ${products(found.q[row], found.k[place], "query", "key")} = ${short(found.scores[row][place])}<br>`)}`, { word })}
        ${this.step(4, table("scaled"), html`√${given.w_q.length} = ${this.n(Math.sqrt(given.w_q.length), 3)}`)}
        ${this.step(5, table("masked"))}
        ${this.step(6, table("weights", "weight"), html`${weights.map((share, place) => (share > 0 ? html`${place ? " · " : ""}<span class="c-weight">${words[place]} ${this.percent(share, 0)}</span>` : ""))}`, { word })}
        ${this.step(7, table("h", "residual"), html`${found.v[0].map((_, column) => html`h<sub>${column + 1}</sub> = ${weights.map((share, place) => (share > 0 ? html`${place ? " + " : ""}<span class="c-weight">${this.n(share)}</span>·<span class="c-value">${short(found.v[place][column])}</span>` : ""))} = <b data-name="h-${column + 1}">${this.n(found.h[row][column])}</b><br>`)}`, { word })}
      </ol>`;
  }

  /** @param {number} number @param {any} inside @param {any} [sum] the same step for one word, written out @param {any} [values] */
  step(number, inside, sum, values = {}) {
    return html`<li><p><b>${this.t(`step_${number}`)}</b> ${this.t(`says_${number}`, values)}</p><div class="matrices">${inside}</div>
      ${sum ? html`<p class="sum">${sum}</p>` : ""}</li>`;
  }

  /** @param {string} key */
  onOff(key) {
    return html`<label class="tick"><input type="checkbox" data-key=${key} .checked=${this.state[key]}
      @change=${(/** @type {any} */ event) => this.set({ [key]: event.target.checked })}>${this.t(`use_${key}`)}</label>`;
  }
}
define("glaswerk-attention-by-hand", AttentionByHand);
