// Everything that one prompt caused, kept so that a prompt that begins the same way needs only its new tokens: what a
// token caused does not depend on those after it. Then the trace of glaswerk/lens/trace.py is made of it.
// Left out: words about the steps; `answers.js` adds those that the export wrote down.

import { Cache, products, softmaxBefore } from "./decoder.js";

/** @typedef {import("./decoder.js").Decoder} Decoder */
/** @typedef {{axes: string, shape: number[], data: Float32Array}} Value */
/** @typedef {{name: string, axes: string, shape: number[], dtype: string, compute: () => Float32Array}} Step */

export class Recording {
  /** @param {Decoder} decoder @param {number} known how many ids the tokenizer has */
  constructor(decoder, known) {
    this.decoder = decoder;
    this.known = known;
    this.cache = new Cache(decoder.config);
    /** @type {number[]} */
    this.ids = [];
    /** @type {Map<string, Value>} */
    this.values = new Map();
  }

  /** Make this the recording of `ids`, computing only what follows the common beginning. @param {number[]} ids */
  become(ids) {
    let same = 0;
    while (same < Math.min(ids.length, this.ids.length) && ids[same] === this.ids[same]) same++;
    if (same === ids.length && same === this.ids.length) return;
    const before = this.values;
    this.cache.length = same;
    this.ids = []; // until all is done there is nothing to go on from
    if (same === ids.length) {
      this.values = new Map([...before].map(([name, value]) => [name, resized(value, same, same)]));
    } else {
      /** @type {Map<string, Value>} */
      const after = new Map();
      this.decoder.forward(ids.slice(same), this.cache, (name, axes, shape, data) => after.set(name, { axes, shape, data }));
      this.values = same ? new Map([...after].map(([name, value]) => [name, joined(/** @type {Value} */ (before.get(name)), value, same, ids.length)])) : after;
      if (same) this.scoresOfLater(same);
    }
    this.ids = ids.slice();
  }

  /** Scores that old queries would give to new keys. The mask hides them, but they are in the trace.
   * @param {number} same */
  scoresOfLater(same) {
    const { heads, kv_heads, head_width, layers } = this.decoder.config;
    const T = this.cache.length;
    for (let layer = 0; layer < layers; layer++) {
      const block = `blocks.${layer}.attention.`;
      const q = ["q_rotated", "q_normed", "q"].map((name) => this.values.get(block + name)).find(Boolean);
      const scores = this.values.get(`${block}scores`);
      if (!q || !scores) continue;
      const all = products(q.data, this.cache.layers[layer].k, heads, kv_heads, T, T, head_width, this.cache.slots);
      for (let row = 0; row < heads * T; row++) if (row % T < same) scores.data.set(all.subarray(row * T + same, (row + 1) * T), row * T + same);
    }
  }

  /** Every step in the order of computation, those too that follow from others. @returns {Step[]} */
  steps() {
    const { heads: H, width: C, head_width: D } = this.decoder.config;
    const T = this.ids.length, known = this.known;
    /** @type {Step[]} */
    const steps = [];
    for (const [name, { axes, shape, data }] of this.values) {
      steps.push({ name, axes, shape, dtype: name === "tokens" ? "int64" : "float32", compute: () => data });
      if (name.endsWith("attention.scores") && T > 1) {
        steps.push({ name: name.replace("scores", "mask"), axes: "BTS", shape: [1, T, T], dtype: "bool", compute: () => causal(T) });
      } else if (name.endsWith("attention.heads")) {
        const output = this.decoder.weight(name.replace("heads", "output.weight"));
        steps.push({ name: name.replace("heads", "head_outputs"), axes: "BHTC", shape: [1, H, T, C], dtype: "float32", compute: () => headOutputs(data, output, H, T, D, C) });
      } else if (name === "logits") {
        const V = shape[2];
        steps.push({ name: "probabilities", axes: "BTV", shape, dtype: "float32", compute: () => softmaxBefore(data, T, V, () => known) });
        steps.push({ name: "choice", axes: "BT", shape: [1, T], dtype: "int64", compute: () => Float32Array.from({ length: T }, (_, t) => largest(data.subarray(t * V, t * V + known))) });
      }
    }
    return steps;
  }

  /** The logits after the last token, of the ids that the tokenizer has. @returns {Float32Array} */
  lastLogits() {
    const { shape, data } = /** @type {Value} */ (this.values.get("logits"));
    const from = (shape[1] - 1) * shape[2];
    return data.slice(from, from + this.known);
  }
}

/** The first `time` places of a value, in a tensor with room for `room` of them: T is the query's place, S the key's.
 * @param {Value} value @param {number} time @param {number} room @returns {Value} */
function resized({ axes, shape, data }, time, room) {
  const at = axes.indexOf("T");
  const outer = shape.slice(0, at).reduce((product, size) => product * size, 1);
  const square = axes[at + 1] === "S";
  const inner = square ? 1 : shape.slice(at + 1).reduce((product, size) => product * size, 1);
  const wide = square ? shape[at + 1] : inner, narrow = square ? time : inner, row = square ? room : inner;
  const out = new Float32Array(outer * room * row);
  for (let o = 0; o < outer; o++) {
    for (let t = 0; t < time; t++) {
      const from = (o * shape[at] + t) * wide;
      out.set(data.subarray(from, from + narrow), (o * room + t) * row);
    }
  }
  return { axes, shape: shape.map((size, axis) => (axis === at || (square && axis === at + 1) ? room : size)), data: out };
}

/** The first `same` places of one recording and all of the next. @param {Value} before @param {Value} after
 * @param {number} same @param {number} time @returns {Value} */
function joined(before, after, same, time) {
  const whole = resized(before, same, time);
  const at = after.axes.indexOf("T");
  const outer = after.shape.slice(0, at).reduce((product, size) => product * size, 1);
  const size = after.data.length / outer; // all new places of one head are side by side
  const full = whole.data.length / outer;
  for (let o = 0; o < outer; o++) whole.data.set(after.data.subarray(o * size, (o + 1) * size), (o + 1) * full - size);
  return whole;
}

/** Each head's own share of the attention output: its columns of the matrix [C, H * D]. @param {Float32Array} heads
 * @param {Float32Array} output @param {number} H @param {number} T @param {number} D @param {number} C */
function headOutputs(heads, output, H, T, D, C) {
  const out = new Float32Array(H * T * C);
  for (let row = 0; row < H * T; row++) {
    const h = Math.floor(row / T);
    for (let c = 0; c < C; c++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += heads[row * D + d] * output[(c * H + h) * D + d];
      out[row * C + c] = sum;
    }
  }
  return out;
}

/** @param {number} T */
function causal(T) { return Float32Array.from({ length: T * T }, (_, place) => (place % T <= Math.floor(place / T) ? 1 : 0)); }

/** The place of the largest, the first of equals. @param {Float32Array} row */
export function largest(row) {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i] > row[best]) best = i;
  return best;
}
