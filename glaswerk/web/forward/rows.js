// Which row of which matrix made one number of a step; glaswerk/lens/rows.py in the browser, with the same answers.

import { Refused } from "./refused.js";

/** @param {import("./decoder.js").Decoder} decoder @param {string} step @param {number} place
 * @returns {{matrix: string, row: number, weights?: Float32Array, gain?: number, bias: number|null, eps?: number}} */
export function row(decoder, step, place) {
  const { layers, heads, kv_heads, head_width, width, mlp_width, vocabulary_size, activation, qk_norm, norm_eps, tied } = decoder.config;
  const [, layer, inner] = step.match(/^blocks\.(\d+)\.(.*)$/) ?? [];
  if (layer !== undefined && Number(layer) >= layers) throw new Refused(`there is no step '${step}': the model has ${layers} layers, counted from 0`, `Den Schritt „${step}“ gibt es nicht. Das Modell hat ${layers} Schichten, von 0 an gezählt.`);
  const block = layer === undefined ? "" : `blocks.${layer}.`, name = inner ?? step;
  const queries = heads * head_width, keys = kv_heads * head_width;
  /** step -> matrix, rows before its own, its own rows @type {Record<string, [string, number, number]>} */
  const matrices = {
    "attention.q": ["attention.qkv", 0, queries],
    "attention.k": ["attention.qkv", queries, keys],
    "attention.v": ["attention.qkv", queries + keys, keys],
    "attention.output": ["attention.output", 0, width],
    "mlp.pre": ["mlp.up", 0, mlp_width],
    "mlp.output": ["mlp.down", 0, width],
    ...(activation === "swiglu" ? { "mlp.up": ["mlp.up", mlp_width, mlp_width] } : {}),
  };
  /** @type {Record<string, string>} */
  const norms = block
    ? { attention_norm: "attention_norm", mlp_norm: "mlp_norm", ...(qk_norm ? { "attention.q_normed": "attention.q_norm", "attention.k_normed": "attention.k_norm" } : {}) }
    : { norm: "norm" };
  const check = (/** @type {number} */ rows) => {
    if (!Number.isInteger(place) || place < 0 || place >= rows) throw new Refused(`${step} has ${rows} places, counted from 0; ${place} is none of them`, `${step} hat ${rows} Stellen, von 0 an gezählt; ${place} gehört nicht dazu.`);
  };
  const bias = (/** @type {string} */ of, /** @type {number} */ at) => decoder.weights[`${of}.bias`]?.data[at] ?? null;
  if (block && matrices[name]) {
    const [path, before, own] = matrices[name], matrix = block + path;
    check(own);
    return { matrix, row: before + place, weights: one(decoder.weights[`${matrix}.weight`], before + place), bias: bias(matrix, before + place) };
  }
  if (norms[name]) {
    const matrix = block + norms[name], gain = decoder.weight(`${matrix}.weight`);
    check(gain.length);
    return { matrix, row: place, gain: gain[place], bias: bias(matrix, place), eps: norm_eps };
  }
  if (step === "logits") {
    check(vocabulary_size);
    const matrix = tied ? "embedding" : "unembedding";
    return { matrix, row: place, weights: one(decoder.weights[tied ? "embedding" : "unembedding.weight"], place), bias: null };
  }
  throw new Refused(`'${step}' is not made by a row of weights`, `„${step}“ entsteht nicht aus einer Zeile von Gewichten.`);
}

/** One row of a matrix [N, K]. @param {import("./safetensors.js").Weight} matrix @param {number} place */
function one({ shape, data }, place) { return data.slice(place * shape[1], (place + 1) * shape[1]); }
