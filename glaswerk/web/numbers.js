// A small matrix as a table, to read or to edit. Left out: large ones; those are heat maps (heat.js).

import { html, nothing, number } from "./figure.js";

/** @typedef {import("./by-hand.js").Matrix} Matrix */

/** @param {Matrix} values
 * @param {{label: string, rows?: string[], columns?: string[], digits?: number, concept?: string, row?: number,
 *   edit?: (values: Matrix) => void, least?: number, most?: number, step?: number, shade?: boolean}} how
 *   label: what it is, for the table's caption; row: the one that is marked; edit: called with the changed matrix;
 *   shade: cells are shares, the larger the darker */
export function matrix(values, how) {
  const { rows = [], columns = [], digits = 2, edit } = how;
  // a wide table scrolls on a phone; without a field in it, it must take the focus itself
  const focus = !edit && columns.length > 4 ? 0 : nothing;
  return html`<div class="scroll" tabindex=${focus}><table class="matrix ${how.concept ? `of-${how.concept}` : ""}"><caption>${how.label}</caption>
    ${columns.length ? html`<thead><tr>${rows.length ? html`<td></td>` : nothing}${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>` : nothing}
    <tbody>${values.map((row, at) => html`<tr class=${at === how.row ? "on" : ""}>${rows.length ? html`<th scope="row">${rows[at]}</th>` : nothing}
      ${row.map((value, place) => html`<td .style=${how.shade ? `--share: ${value}` : ""} class=${how.shade ? "shade" : ""}>${edit
        ? html`<input type="number" min=${how.least ?? -9} max=${how.most ?? 9} step=${how.step ?? 0.5} .value=${String(value)}
            aria-label="${how.label}, ${rows[at] ?? at + 1}, ${columns[place] ?? place + 1}" @input=${(/** @type {any} */ event) => change(event.target, values, at, place, edit)}>`
        : number(value, digits)}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** @param {HTMLInputElement} input @param {Matrix} values @param {number} row @param {number} column
 * @param {(values: Matrix) => void} edit */
function change(input, values, row, column, edit) {
  const value = Number(input.value);
  const good = input.value !== "" && Number.isFinite(value) && value >= Number(input.min) && value <= Number(input.max);
  input.setAttribute("aria-invalid", String(!good));
  if (good) edit(values.map((line, at) => (at === row ? line.map((old, place) => (place === column ? value : old)) : line)));
}

/** A sum of products as it is written on paper: 2·1 + 0·3. @param {number[]} a @param {number[]} b
 * @param {string} left @param {string} right concepts of the two, for their colours */
export function products(a, b, left, right) {
  const shown = (/** @type {number} */ value, /** @type {string} */ concept) => html`<span class="c-${concept}">${value < 0 ? `(${short(value)})` : short(value)}</span>`;
  return a.map((value, place) => html`${place ? " + " : ""}${shown(value, left)}·${shown(b[place], right)}`);
}

/** No digits that say nothing. @param {number} value */
export function short(value) { return number(value, Number.isInteger(value) ? 0 : Number.isInteger(value * 10) ? 1 : 2); }
