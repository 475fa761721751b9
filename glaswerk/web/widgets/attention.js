// <glaswerk-attention>: one head's weights as a map, and for any cell the dot product that made it.

import { Figure, define, html } from "../figure.js";
import { at, tokenOf, trace, values } from "../data.js";
import "../heat.js";
import texts from "../texts/attention.js";

class Attention extends Figure {
  static texts = texts;
  static reloads = ["prompt", "layer"];

  initial() { return { prompt: "Paris ist die Hauptstadt von Frankreich", word: "", layer: 0, head: 0, row: -1, column: 0 }; }

  async load() {
    const told = await trace(this.state.prompt);
    const layer = Math.min(this.state.layer, told.model.layers - 1);
    const block = `blocks.${layer}.attention.`;
    // the last form that queries and keys take is what is multiplied
    const names = new Set(told.steps.map((step) => step.name));
    const form = (/** @type {string} */ letter) => [`${letter}_rotated`, `${letter}_normed`, letter].map((name) => block + name).find((name) => names.has(name)) ?? "";
    const q = form("q"), k = form("k");
    const found = await values(this.state.prompt, [q, k, `${block}scores`, `${block}weights`]);
    return { ...told, layer, q: found[q], k: found[k], scores: found[`${block}scores`], weights: found[`${block}weights`] };
  }

  get cell() {
    const size = this.data.tokens.length;
    const word = tokenOf(this.data.tokens, this.data.prompt, this.state.word);
    const row = this.state.row >= 0 && this.state.row < size ? this.state.row : word >= 0 ? word : size - 1;
    return { row, column: Math.min(this.state.column, row) };
  }

  body() {
    const { tokens, model, weights, scores, q, k } = this.data;
    const size = tokens.length;
    const head = Math.min(this.state.head, model.heads - 1);
    const { row, column } = this.cell;
    const labels = tokens.map((/** @type {any} */ token) => token.text);
    const map = at(weights, 0, head);
    const query = at(q, 0, head, row);
    const key = at(k, 0, Math.floor((head * model.kv_heads) / model.heads), column);
    const products = Array.from(query, (value, place) => value * key[place]);
    const dot = products.reduce((sum, value) => sum + value, 0);
    const most = Math.max(...products.map(Math.abs), 1e-12);
    const largest = products.map((value, place) => ({ value, place })).sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 3);
    const share = map[row * size + column];
    return html`<div class="controls">${this.promptField()}
        ${this.numbers("layer", model.layers, this.t("layer"))}${this.numbers("head", model.heads, this.t("head"))}</div>
      <p class="faint">${this.t("strip", { token: labels[row] })}</p>
      <ul class="look-strip" aria-label=${this.t("choose")}>${labels.map((/** @type {string} */ label, /** @type {number} */ place) => html`<li><button type="button"
        class="chip ${place > row ? "future" : ""} ${place === row ? "on" : ""}" aria-pressed=${String(place === row)}
        .style=${`--share: ${place <= row ? map[row * size + place] : 0}`}
        @click=${() => this.set({ row: place, column: Math.min(column, place) })}>${label}<small>${place <= row ? this.n(map[row * size + place], 2) : " "}</small></button></li>`)}</ul>
      <div class="two">
        <glaswerk-heat .values=${map} .rows=${size} .columns=${size} .rowLabels=${labels} .columnLabels=${labels} .most=${1}
          .cell=${{ row, column }} .hidden_=${(/** @type {number} */ r, /** @type {number} */ c) => c > r} label=${this.t("map")}
          @cell=${(/** @type {CustomEvent} */ event) => this.point(event.detail)}></glaswerk-heat>
        <div class="reading">
          <p><b>${this.t("looks", { from: labels[row], to: labels[column] })}</b></p>
          <p class="faint">${this.t("terms", { count: products.length })}</p>
          <div class="products" aria-hidden="true">${products.map((value) => html`<span class=${value < 0 ? "down" : "up"} .style=${`--size: ${Math.abs(value) / most}`}></span>`)}</div>
          <p class="faint">${this.t("first_terms")}</p><p class="sum">${largest.map(({ value, place }) => html`<span class="c-query">${this.n(query[place])}</span> · <span class="c-key">${this.n(key[place])}</span> = ${this.n(value)}<br>`)}</p>
          <dl><dt>${this.t("product")}</dt><dd data-name="dot">${this.n(dot, 3)}</dd>
            <dt>${this.t("divided", { d: products.length, root: this.n(Math.sqrt(products.length)) })}</dt><dd data-name="score">${this.n(at(scores, 0, head)[row * size + column], 3)}</dd>
            <dt>${this.t("share")}</dt><dd class="c-weight" data-name="weight">${this.n(share, 4)}</dd></dl>
        </div>
      </div>`;
  }

  /** @param {{row: number, column: number, locked: boolean}} cell */
  point({ row, column, locked }) {
    if (row === this.cell.row && column === this.cell.column) return;
    if (locked) this.set({ row, column });
    else this.state = { ...this.state, row, column };
    const { tokens, weights } = this.data;
    const share = at(weights, 0, Math.min(this.state.head, this.data.model.heads - 1))[row * tokens.length + column];
    if (locked) this.announce(`${this.t("looks", { from: tokens[row].text, to: tokens[column].text })}: ${this.n(share, 3)}`);
  }
}
define("glaswerk-attention", Attention);
