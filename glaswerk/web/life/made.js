// What one number is made of, with the numbers: a dot product, a sum, a turn, a share, a norm. Both sides come from the
// trace or from the model's weights; the arithmetic between them is done again here, so that it can be followed.

import { html, nothing } from "lit";
import { unpack } from "../data.js";
import { offset, pick, short, traced } from "./numbers.js";

/** @typedef {import("../data.js").Tensor} Tensor */
/** @typedef {import("../widgets/life.js").Life} Life */
/** @typedef {{left: any, right: any, value: number, label?: any}} Term */

const SHOWN = 5;

/** The products as small bars, up or down. @param {ArrayLike<number>} values */
function bars(values) {
  const list = Array.from(values);
  const most = Math.max(...list.map(Math.abs), 1e-30);
  // more than a few hundred bars are no longer seen one by one: the strongest of each group stands for it
  const each = Math.max(1, Math.ceil(list.length / 288));
  const shown = [];
  for (let i = 0; i < list.length; i += each) shown.push(list.slice(i, i + each).reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0));
  return html`<div class="products ${shown.length > 100 ? "dense" : ""}" aria-hidden="true">${shown.map((value) => html`<span class=${value < 0 ? "down" : "up"} .style=${`--size: ${Math.abs(value) / most}`}></span>`)}</div>`;
}

/** A sum of products, the largest of them written out.
 * @param {Life} life @param {{count: number, left: (i: number) => number, right: (i: number) => number,
 *   show: (i: number) => {left: any, right: any, label?: any}, bias?: number|null, divide?: number, all?: boolean, result: any}} of */
export function dot(life, of) {
  const products = new Float64Array(of.count);
  let sum = 0;
  for (let i = 0; i < of.count; i++) sum += products[i] = of.left(i) * of.right(i);
  const order = Array.from(products.keys()).sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
  const shown = order.slice(0, of.all ? 12 : SHOWN);
  const rest = sum - shown.reduce((total, i) => total + products[i], 0);
  return html`${of.count > 2 ? bars(products) : nothing}
    <table class="made sum-of"><tbody>${shown.map((i) => {
      const { left, right, label } = of.show(i);
      return html`<tr><th scope="row">${label ?? i}</th><td>${left}</td><td class="op">·</td><td>${right}</td><td class="op">=</td><td class="n" data-part=${products[i]}>${short(products[i])}</td></tr>`;
    })}
    ${of.count > shown.length ? html`<tr class="faint"><td colspan="5">${life.t("others", { count: life.n(of.count - shown.length, 0) })}</td><td class="n" data-part=${rest}>${short(rest)}</td></tr>` : nothing}
    ${of.bias ? html`<tr class="faint"><td colspan="5">${life.t("bias")}</td><td class="n" data-part=${of.bias}>${short(of.bias)}</td></tr>` : nothing}
    ${of.divide ? html`<tr class="faint"><td colspan="5">${life.t("sum")}</td><td class="n">${short(sum)}</td></tr>
      <tr class="faint"><td colspan="5">${life.t("divided", { d: life.n(of.count, 0) })}</td><td class="n" data-divide=${of.divide}>${short(of.divide)}</td></tr>` : nothing}
    <tr class="result"><td colspan="5">${life.t("together")}</td><td>${of.result}</td></tr></tbody></table>`;
}

/** A row of weights times a vector of the trace.
 * @param {Life} life @param {Tensor} input @param {number[]} at where the vector stands in it @param {string} step whose row
 * @param {number} place @param {any} result @param {string} colour */
export function rowProduct(life, input, at, step, place, result, colour) {
  const found = life.row(step, place);
  if (!found) return life.waiting();
  if (found.error) return html`<p class="faint">${found.error}</p>`;
  const weights = unpackOnce(found);
  const start = offset(input.shape, [...at, 0]);
  return html`<p class="faint">${life.t("row_of", { row: life.n(found.row, 0), matrix: found.matrix })}</p>
    ${dot(life, {
      count: weights.length, left: (i) => input.data[start + i], right: (i) => weights[i], bias: found.bias, result,
      show: (i) => ({ left: traced(input, [...at, i], "c-residual"), right: html`<span class="n ${colour}">${short(weights[i])}</span>` }),
    })}`;
}

/** @param {any} found @returns {Float32Array} */
export function unpackOnce(found) { return (found.unpacked ??= unpack(found.weights)); }

/** a + b = c, all traced. @param {Life} life @param {{tensor: Tensor, index: number[], colour?: string, words: string}[]} parts
 * @param {any} result */
export function sum(life, parts, result) {
  return html`<table class="made"><tbody>${parts.map((part, place) => html`<tr><td class="op">${place ? "+" : ""}</td>
    <td>${traced(part.tensor, part.index, part.colour)}</td><td class="faint">${part.words}</td></tr>`)}
    <tr class="result"><td class="op">=</td><td>${result}</td><td></td></tr></tbody></table>`;
}

/** A norm of a vector, at one place of it. @param {Life} life @param {Tensor} input @param {number[]} at @param {string} step
 * @param {number} place @param {any} result */
export function norm(life, input, at, step, place, result) {
  const found = life.row(step, place);
  if (!found) return life.waiting();
  if (found.error) return html`<p class="faint">${found.error}</p>`;
  const size = input.shape[input.shape.length - 1];
  const start = offset(input.shape, [...at, 0]);
  let mean = 0, squares = 0;
  const layer = life.config.norm === "layer" && !step.endsWith("_normed");
  if (layer) { for (let i = 0; i < size; i++) mean += input.data[start + i]; mean /= size; }
  for (let i = 0; i < size; i++) squares += (input.data[start + i] - mean) ** 2;
  const root = Math.sqrt(squares / size + found.eps);
  return html`<table class="made"><tbody>
    <tr><td class="op"></td><td>${traced(input, [...at, place], "c-residual")}</td><td class="faint">${life.t("norm_in")}</td></tr>
    ${layer ? html`<tr><td class="op">−</td><td class="n">${short(mean)}</td><td class="faint">${life.t("norm_mean")}</td></tr>` : nothing}
    <tr><td class="op">÷</td><td class="n">${short(root)}</td><td class="faint">${life.t(layer ? "norm_std" : "norm_rms", { count: life.n(size, 0) })}</td></tr>
    <tr><td class="op">·</td><td class="n">${short(found.gain)}</td><td class="faint">${life.t("norm_gain")}</td></tr>
    ${found.bias === null ? nothing : html`<tr><td class="op">+</td><td class="n">${short(found.bias)}</td><td class="faint">${life.t("bias")}</td></tr>`}
    <tr class="result"><td class="op">=</td><td>${result}</td><td></td></tr></tbody></table>`;
}

/** A rotary turn of one pair. @param {Life} life @param {Tensor} input @param {Tensor} cosine @param {Tensor} sine
 * @param {number} head @param {number} place @param {number} column @param {string} colour @param {any} result */
export function turn(life, input, cosine, sine, head, place, column, colour, result) {
  const half = input.shape[3] / 2;
  const partner = column < half ? column + half : column - half;
  const angle = (Math.atan2(pick(sine, place, (column % half) + half), pick(cosine, place, column % half)) * 180) / Math.PI;
  return html`<p class="faint">${life.t("pair", { a: column % half, b: (column % half) + half, angle: life.n(angle, 1), place })}</p>
    <table class="made"><tbody>
    <tr><td class="op"></td><td>${traced(input, [0, head, place, column], colour)}</td><td class="op">·</td><td>${traced(cosine, [place, column], "c-position")}</td><td class="faint">cos</td></tr>
    <tr><td class="op">+</td><td>${traced(input, [0, head, place, partner], colour)}</td><td class="op">·</td><td>${traced(sine, [place, column], "c-position")}</td><td class="faint">${column < half ? "−sin" : "sin"}</td></tr>
    <tr class="result"><td class="op">=</td><td>${result}</td><td colspan="3"></td></tr></tbody></table>`;
}

/** One share of a softmax over a row of scores. @param {Life} life @param {Tensor} scores @param {Tensor} weights
 * @param {number} head @param {number} row @param {number} column */
export function share(life, scores, weights, head, row, column) {
  const list = Array.from({ length: row + 1 }, (_, s) => pick(scores, 0, head, row, s));
  const largest = Math.max(...list);
  const powers = list.map((score) => Math.exp(score - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  const order = Array.from(list.keys()).sort((a, b) => powers[b] - powers[a]);
  const shown = order.slice(0, 6);
  if (!shown.includes(column)) shown[shown.length - 1] = column;
  return html`<p class="faint">${life.t("share_of", { largest: short(largest) })}</p>
    <table class="made"><thead><tr><td></td><th>${life.t("score")}</th><th>e^(…)</th><th>${life.t("share")}</th></tr></thead><tbody>
    ${shown.map((s) => html`<tr class=${s === column ? "on" : ""}><th scope="row"><bdi>${life.label(s)}</bdi></th><td>${traced(scores, [0, head, row, s])}</td><td class="n">${short(powers[s])}</td>
      <td>${traced(weights, [0, head, row, s], "c-weight")}</td></tr>`)}
    ${list.length > shown.length ? html`<tr class="faint"><td colspan="4">${life.t("more_tokens", { count: list.length - shown.length })}</td></tr>` : nothing}
    <tr class="result"><td>${life.t("sum")}</td><td></td><td class="n">${short(total)}</td><td class="n">1</td></tr></tbody></table>`;
}

/** A neuron: the activation function of what enters, times the second input where there is one.
 * @param {Life} life @param {Tensor} pre @param {Tensor|null} up @param {number} row @param {number} column @param {any} result */
export function neuron(life, pre, up, row, column, result) {
  const x = pick(pre, 0, row, column);
  const passed = up ? x / (1 + Math.exp(-x)) : 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  return html`<table class="made"><tbody>
    <tr><td class="op"></td><td>${traced(pre, [0, row, column], "c-mlp")}</td><td class="faint">${life.t("enters")}</td></tr>
    ${up ? html`<tr><td class="op">→</td><td class="n">${short(passed)}</td><td class="faint">${life.t("silu")}</td></tr>
      <tr><td class="op">·</td><td>${traced(up, [0, row, column], "c-mlp")}</td><td class="faint">${life.t("second_input")}</td></tr>`
      : nothing}
    <tr class="result"><td class="op">${up ? "=" : "→"}</td><td>${result}</td><td class="faint">${up ? "" : life.t("gelu")}</td></tr></tbody></table>`;
}
