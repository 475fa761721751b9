// The decoder of glaswerk/model/decoder.py for the published page: the same features, the same names of activations, in
// fp32 with sums in double precision. One of the two second forward passes that the project allows itself; a test holds
// every activation equal to Python's. Left out: batches, training, anything but speed that is good enough for 15 M
// parameters.
//
// Shapes, as in Python: T time (new tokens), S time of the keys, C width, H heads, G key/value heads, D head width,
// M neurons, V vocabulary. B is always 1.

/** @typedef {import("./safetensors.js").Weight} Weight */
/** @typedef {{vocabulary_size: number, width: number, layers: number, heads: number, kv_heads: number,
 *   head_width: number, mlp_width: number, context: number, positions: string, rope_theta: number,
 *   rope_llama3: number[]|null, norm: string, norm_eps: number, activation: string, qk_norm: boolean,
 *   tied: boolean}} Config */
/** Called with every activation: name, its axes, its shape, its numbers row by row.
 * @typedef {(name: string, axes: string, shape: number[], data: Float32Array) => void} Tap */

/** Keys and values of the tokens already read, in memory that is set aside once. */
export class Cache {
  /** @param {Config} config */
  constructor({ layers, kv_heads, head_width, context }) {
    this.slots = context;
    this.length = 0;
    const size = kv_heads * context * head_width;
    /** [G, slots, D] of each layer */
    this.layers = Array.from({ length: layers }, () => ({ k: new Float32Array(size), v: new Float32Array(size) }));
  }
}

export class Decoder {
  /** @param {Config} config @param {Record<string, Weight>} weights by the names of Python's parameters */
  constructor(config, weights) {
    this.config = config;
    this.weights = weights;
    this.turns = config.positions === "rotary" ? frequencies(config) : null;
  }

  /** @param {string} name @returns {Float32Array} */
  weight(name) {
    const found = this.weights[name];
    if (!found) throw new Error(`the weights have no ${name}`);
    return found.data;
  }

  /** x [T, K] times the matrix `name` [N, K], plus its bias where there is one. @param {Float32Array} x
   * @param {number} rows @param {string} name */
  linear(x, rows, name) { return linear(x, rows, this.weight(`${name}.weight`), this.weights[`${name}.bias`]?.data); }

  /** @param {Float32Array} x @param {number} rows @param {string} name */
  norm(x, rows, name) {
    const { norm, norm_eps, width } = this.config;
    const scale = this.weight(`${name}.weight`);
    return norm === "rms" ? rmsNorm(x, rows, width, scale, norm_eps) : layerNorm(x, rows, width, scale, this.weight(`${name}.bias`), norm_eps);
  }

  /** The logits [T, V] after each of `ids`, or with `last` only [1, V] after the last. `cache` holds what came before
   * and takes what is new. @param {ArrayLike<number>} ids @param {Cache} cache @param {Tap} [tap] @param {boolean} [last]
   * @returns {Float32Array} */
  forward(ids, cache, tap = () => {}, last = false) {
    const { width: C, layers, head_width: D, vocabulary_size: V, context } = this.config;
    const T = ids.length, start = cache.length;
    if (start + T > context) throw new Error(`${start + T} tokens are more than the context of ${context}; shorten the text`);
    const embedding = this.weight("embedding");
    tap("tokens", "BT", [1, T], Float32Array.from(ids));
    /** @type {Float32Array} */
    let x = new Float32Array(T * C);
    for (let t = 0; t < T; t++) x.set(embedding.subarray(ids[t] * C, (ids[t] + 1) * C), t * C);
    tap("embeddings", "BTC", [1, T, C], x);
    /** @type {{cos: Float32Array, sin: Float32Array}|null} */
    let turn = null;
    if (this.turns) {
      turn = angles(this.turns, start, T);
      tap("position.cosine", "TD", [T, D], turn.cos);
      tap("position.sine", "TD", [T, D], turn.sin);
    } else {
      const rows = this.weight("position").slice(start * C, (start + T) * C);
      tap("position", "TC", [T, C], rows);
      x = plus(x, rows);
      tap("residual", "BTC", [1, T, C], x);
    }
    for (let layer = 0; layer < layers; layer++) x = this.block(x, T, layer, turn, cache, tap);
    cache.length += T;
    const normed = this.norm(x, T, "norm");
    tap("norm", "BTC", [1, T, C], normed);
    const table = this.config.tied ? embedding : this.weight("unembedding.weight");
    if (last) return linear(normed.subarray((T - 1) * C), 1, table);
    const logits = linear(normed, T, table);
    tap("logits", "BTV", [1, T, V], logits);
    return logits;
  }

  /** One layer. @param {Float32Array} x @param {number} T @param {number} layer
   * @param {{cos: Float32Array, sin: Float32Array}|null} turn @param {Cache} cache @param {Tap} tap */
  block(x, T, layer, turn, cache, tap) {
    const { width: C, mlp_width: M, activation } = this.config;
    const name = `blocks.${layer}.`;
    const row = [1, T, C];
    let normed = this.norm(x, T, `${name}attention_norm`);
    tap(`${name}attention_norm`, "BTC", row, normed);
    x = plus(x, this.attention(normed, T, layer, turn, cache, tap));
    tap(`${name}residual_mid`, "BTC", row, x);
    normed = this.norm(x, T, `${name}mlp_norm`);
    tap(`${name}mlp_norm`, "BTC", row, normed);
    const up = this.linear(normed, T, `${name}mlp.up`);
    let post;
    if (activation === "swiglu") {
      const [gate, other] = [part(up, T, 2 * M, 0, M), part(up, T, 2 * M, M, M)];
      tap(`${name}mlp.pre`, "BTM", [1, T, M], gate);
      tap(`${name}mlp.up`, "BTM", [1, T, M], other);
      post = gate.map((value, place) => (value / (1 + Math.exp(-value))) * other[place]);
    } else {
      tap(`${name}mlp.pre`, "BTM", [1, T, M], up);
      post = up.map(gelu);
    }
    tap(`${name}mlp.post`, "BTM", [1, T, M], post);
    const change = this.linear(post, T, `${name}mlp.down`);
    tap(`${name}mlp.output`, "BTC", row, change);
    x = plus(x, change);
    tap(`${name}residual`, "BTC", row, x);
    return x;
  }

  /** @param {Float32Array} x @param {number} T @param {number} layer
   * @param {{cos: Float32Array, sin: Float32Array}|null} turn @param {Cache} cache @param {Tap} tap */
  attention(x, T, layer, turn, cache, tap) {
    const { width: C, heads: H, kv_heads: G, head_width: D, qk_norm, norm_eps } = this.config;
    const name = `blocks.${layer}.attention.`;
    const joined = this.linear(x, T, `${name}qkv`);
    const step = (H + 2 * G) * D;
    let q = byHead(joined, T, step, 0, H, D), k = byHead(joined, T, step, H, G, D);
    const v = byHead(joined, T, step, H + G, G, D);
    const told = (/** @type {string} */ suffix) => {
      tap(`${name}q${suffix}`, "BHTD", [1, H, T, D], q);
      tap(`${name}k${suffix}`, "BGTD", [1, G, T, D], k);
    };
    told("");
    tap(`${name}v`, "BGTD", [1, G, T, D], v);
    if (qk_norm) {
      q = rmsNorm(q, H * T, D, this.weight(`${name}q_norm.weight`), norm_eps);
      k = rmsNorm(k, G * T, D, this.weight(`${name}k_norm.weight`), norm_eps);
      told("_normed");
    }
    if (turn) {
      q = rotated(q, H, T, D, turn);
      k = rotated(k, G, T, D, turn);
      told("_rotated");
    }
    const kept = cache.layers[layer], { slots, length: start } = cache, S = start + T;
    for (let g = 0; g < G; g++) {
      kept.k.set(k.subarray(g * T * D, (g + 1) * T * D), (g * slots + start) * D);
      kept.v.set(v.subarray(g * T * D, (g + 1) * T * D), (g * slots + start) * D);
    }
    const scores = products(q, kept.k, H, G, T, S, D, slots);
    tap(`${name}scores`, "BHTS", [1, H, T, S], scores);
    const weights = softmaxBefore(scores, H * T, S, (row) => start + (row % T) + 1);
    tap(`${name}weights`, "BHTS", [1, H, T, S], weights);
    const mixed = new Float32Array(H * T * D);
    for (let row = 0; row < H * T; row++) {
      const values = Math.floor((Math.floor(row / T) * G) / H) * slots * D;
      for (let d = 0; d < D; d++) {
        let sum = 0;
        for (let s = 0; s <= start + (row % T); s++) sum += weights[row * S + s] * kept.v[values + s * D + d];
        mixed[row * D + d] = sum;
      }
    }
    tap(`${name}heads`, "BHTD", [1, H, T, D], mixed);
    const side = new Float32Array(T * H * D);
    for (let h = 0; h < H; h++) for (let t = 0; t < T; t++) side.set(mixed.subarray((h * T + t) * D, (h * T + t + 1) * D), (t * H + h) * D);
    const output = this.linear(side, T, `${name}output`);
    tap(`${name}output`, "BTC", [1, T, C], output);
    return output;
  }
}

// ---------------------------------------------------------------- operations
/** x [rows, K] times a matrix [N, K] of rows, plus a bias [N]. Each row of the matrix is read once for all of x.
 * @param {Float32Array} x @param {number} rows @param {Float32Array} matrix @param {Float32Array} [bias] */
export function linear(x, rows, matrix, bias) {
  const K = x.length / rows, N = matrix.length / K;
  const out = new Float32Array(rows * N);
  for (let n = 0; n < N; n++) {
    const from = n * K;
    for (let t = 0; t < rows; t++) {
      const at = t * K;
      let a = 0, b = 0, c = 0, d = 0, i = 0;
      for (; i + 3 < K; i += 4) {
        a += x[at + i] * matrix[from + i];
        b += x[at + i + 1] * matrix[from + i + 1];
        c += x[at + i + 2] * matrix[from + i + 2];
        d += x[at + i + 3] * matrix[from + i + 3];
      }
      for (; i < K; i++) a += x[at + i] * matrix[from + i];
      out[t * N + n] = a + b + c + d + (bias ? bias[n] : 0);
    }
  }
  return out;
}

/** @param {Float32Array} a @param {Float32Array} b */
function plus(a, b) { return a.map((value, place) => value + b[place]); }

/** @param {Float32Array} x @param {number} rows @param {number} width @param {Float32Array} scale @param {number} eps */
function rmsNorm(x, rows, width, scale, eps) {
  const out = new Float32Array(x.length);
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[row * width + i] ** 2;
    const factor = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) out[row * width + i] = x[row * width + i] * factor * scale[i];
  }
  return out;
}

/** @param {Float32Array} x @param {number} rows @param {number} width @param {Float32Array} scale
 * @param {Float32Array} bias @param {number} eps */
function layerNorm(x, rows, width, scale, bias, eps) {
  const out = new Float32Array(x.length);
  for (let row = 0; row < rows; row++) {
    const one = x.subarray(row * width, (row + 1) * width);
    const mean = one.reduce((sum, value) => sum + value, 0) / width;
    const variance = one.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    for (let i = 0; i < width; i++) out[row * width + i] = ((one[i] - mean) / Math.sqrt(variance + eps)) * scale[i] + bias[i];
  }
  return out;
}

/** GELU in the form with tanh. @param {number} x */
function gelu(x) { return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))); }

/** Columns `from`..`from + count` of [rows, width]. @param {Float32Array} x @param {number} rows @param {number} width
 * @param {number} from @param {number} count */
function part(x, rows, width, from, count) {
  const out = new Float32Array(rows * count);
  for (let t = 0; t < rows; t++) out.set(x.subarray(t * width + from, t * width + from + count), t * count);
  return out;
}

/** Heads `first`..`first + count` of [T, step] as [count, T, D]. @param {Float32Array} x @param {number} T
 * @param {number} step @param {number} first @param {number} count @param {number} D */
function byHead(x, T, step, first, count, D) {
  const out = new Float32Array(count * T * D);
  for (let h = 0; h < count; h++) {
    for (let t = 0; t < T; t++) out.set(x.subarray(t * step + (first + h) * D, t * step + (first + h + 1) * D), (h * T + t) * D);
  }
  return out;
}

/** Query times key over the root of D: [H, T, S]. Keys are [G, slots, D]; H / G queries share one.
 * @param {Float32Array} q @param {Float32Array} keys @param {number} H @param {number} G @param {number} T @param {number} S
 * @param {number} D @param {number} slots */
export function products(q, keys, H, G, T, S, D, slots) {
  const out = new Float32Array(H * T * S), root = D ** -0.5;
  for (let row = 0; row < H * T; row++) {
    const group = Math.floor((Math.floor(row / T) * G) / H) * slots * D;
    for (let s = 0; s < S; s++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += q[row * D + d] * keys[group + s * D + d];
      out[row * S + s] = sum * root;
    }
  }
  return out;
}

/** softmax over the first `allowed(row)` numbers of each row; the others get 0. @param {Float32Array} x
 * @param {number} rows @param {number} width @param {(row: number) => number} allowed */
export function softmaxBefore(x, rows, width, allowed) {
  const out = new Float32Array(x.length);
  for (let row = 0; row < rows; row++) {
    const count = allowed(row), from = row * width;
    let most = -Infinity, total = 0;
    for (let i = 0; i < count; i++) most = Math.max(most, x[from + i]);
    for (let i = 0; i < count; i++) total += Math.exp(x[from + i] - most);
    for (let i = 0; i < count; i++) out[from + i] = Math.exp(x[from + i] - most) / total;
  }
  return out;
}

// ---------------------------------------------------------------- rotary positions
/** theta^(-2i/D) for each pair, rounded to fp32 where Python rounds, slowed as Llama 3.1 does where the config says so.
 * @param {Config} config */
function frequencies({ head_width: D, rope_theta, rope_llama3 }) {
  return Float32Array.from({ length: D / 2 }, (_, pair) => {
    const plain = Math.fround(1 / Math.fround(rope_theta ** Math.fround((2 * pair) / D)));
    if (!rope_llama3) return plain;
    const [factor, low, high, trained] = rope_llama3;
    const blend = Math.min(1, Math.max(0, ((trained * plain) / (2 * Math.PI) - low) / (high - low)));
    return ((1 - blend) * plain) / factor + blend * plain;
  });
}

/** Cosines and sines of `count` places from `start` on, [T, D]; the first half of the sines is negated, so that one swap
 * of halves is enough. @param {Float32Array} turns @param {number} start @param {number} count */
function angles(turns, start, count) {
  const half = turns.length;
  const cos = new Float32Array(count * 2 * half), sin = new Float32Array(count * 2 * half);
  for (let t = 0; t < count; t++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround((start + t) * turns[i]), place = t * 2 * half + i;
      cos[place] = cos[place + half] = Math.cos(angle);
      sin[place + half] = Math.sin(angle);
      sin[place] = -sin[place + half];
    }
  }
  return { cos, sin };
}

/** Turn each pair (x[i], x[i + D/2]). @param {Float32Array} x @param {number} heads @param {number} T @param {number} D
 * @param {{cos: Float32Array, sin: Float32Array}} turn */
function rotated(x, heads, T, D, { cos, sin }) {
  const out = new Float32Array(x.length), half = D / 2;
  for (let row = 0; row < heads * T; row++) {
    const t = (row % T) * D;
    for (let i = 0; i < D; i++) out[row * D + i] = x[row * D + i] * cos[t + i] + x[row * D + ((i + half) % D)] * sin[t + i];
  }
  return out;
}
