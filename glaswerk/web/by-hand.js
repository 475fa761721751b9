// Attention on a few numbers that a reader edits: small enough to follow with a pencil, computed in the page so that
// every key press answers. A test holds it equal to the library's own attention. Left out: batches, several heads.

/** @typedef {number[][]} Matrix */

/** Rows of x, each multiplied with each row of w. @param {Matrix} x @param {Matrix} w @returns {Matrix} */
export function linear(x, w) { return x.map((row) => w.map((weights) => dot(row, weights))); }

/** @param {number[]} a @param {number[]} b */
export function dot(a, b) { return a.reduce((sum, value, place) => sum + value * b[place], 0); }

/** @param {number[]} row @returns {number[]} */
export function softmax(row) {
  const most = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - most));
  const sum = powers.reduce((all, value) => all + value, 0);
  return powers.map((value) => value / sum);
}

/** Every step of one head. @param {{x: Matrix, w_q: Matrix, w_k: Matrix, w_v: Matrix, root?: boolean, mask?: boolean}} given */
export function attention({ x, w_q, w_k, w_v, root = true, mask = true }) {
  const q = linear(x, w_q), k = linear(x, w_k), v = linear(x, w_v);
  const scores = linear(q, k);
  const scaled = scores.map((row) => row.map((value) => value / (root ? Math.sqrt(w_q.length) : 1)));
  const masked = scaled.map((row, from) => row.map((value, to) => (mask && to > from ? -Infinity : value)));
  const weights = masked.map(softmax);
  const h = weights.map((row) => v[0].map((_, column) => dot(row, v.map((value) => value[column]))));
  return { q, k, v, scores, scaled, masked, weights, h };
}

/** Activation functions, GELU in the form with tanh as in GPT-2. @type {Record<string, (z: number) => number>} */
export const bends = {
  none: (z) => z,
  relu: (z) => Math.max(0, z),
  gelu: (z) => 0.5 * z * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3))),
  silu: (z) => z / (1 + Math.exp(-z)),
};

/** A layer of neurons: bend(W x + b) for each row of x. @param {Matrix} x @param {Matrix} w @param {number[]} b
 * @param {string} bend @returns {{z: Matrix, a: Matrix}} */
export function layer(x, w, b, bend) {
  const z = linear(x, w).map((row) => row.map((value, place) => value + b[place]));
  return { z, a: z.map((row) => row.map(bends[bend] ?? bends.none)) };
}
