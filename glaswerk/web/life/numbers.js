// Numbers of the trace in the page. Each carries the step and the place it came from (data-step, data-index), so that a
// reader, and a test, can find it in the trace's JSON.

import { html } from "lit";
import { number } from "../figure.js";

/** @typedef {import("../data.js").Tensor} Tensor */

/** How many digits after the point show a number to three figures. @param {number} value */
export function digitsFor(value) {
  const size = Math.abs(value);
  if (!size || !Number.isFinite(size)) return 0;
  return Math.min(7, Math.max(0, 2 - Math.floor(Math.log10(size))));
}

/** A number to three figures. @param {number} value */
export const short = (value) => number(value, digitsFor(value));

/** Digits that suit a whole table, from its largest number. @param {number} most */
export const tableDigits = (most) => (most >= 1000 ? 0 : most >= 100 ? 1 : most >= 1 ? 2 : most >= 0.05 ? 3 : 4);

/** The place of an index in the row-by-row data. @param {number[]} shape @param {number[]} index */
export function offset(shape, index) {
  let place = 0;
  index.forEach((at, axis) => { place = place * shape[axis] + at; });
  return place;
}

/** One number of a tensor. @param {Tensor} of @param {...number} index */
export const pick = (of, ...index) => of.data[offset(of.shape, index)];

/** A traced number as it stands on the page. @param {Tensor} of @param {number[]} index @param {string} [colour] class */
export function traced(of, index, colour = "") {
  const value = of.data[offset(of.shape, index)];
  return html`<span class="n ${colour}" data-step=${of.name} data-index=${index.join(",")}>${short(value)}</span>`;
}

/** A plane of a tensor, the same object for the same place every time, so that nothing is drawn twice.
 * @type {WeakMap<Tensor, Map<string, Float32Array>>} */
const planes = new WeakMap();
/** @param {Tensor} of @param {...number} index @returns {Float32Array} */
export function plane(of, ...index) {
  let known = planes.get(of);
  if (!known) planes.set(of, (known = new Map()));
  const key = index.join();
  let found = known.get(key);
  if (!found) {
    const size = of.shape.slice(index.length).reduce((a, b) => a * b, 1);
    const start = offset(of.shape.slice(0, index.length), index) * size;
    known.set(key, (found = of.data.subarray(start, start + size)));
  }
  return found;
}
