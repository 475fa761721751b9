// From stored logits to the distribution that is drawn from: temperature, top-k, top-p, min-p, in the library's order
// (glaswerk/generate/sampling.py; a test compares the two). Never runs the network.

/** @typedef {{temperature: number, top_k: number, top_p: number, min_p: number}} Options */

/** The places of the logits, largest first (of equals the smaller id). @param {Float32Array} logits @returns {Uint32Array} */
export function ordered(logits) {
  return Uint32Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
}

/** All logits of an answer "next", largest first.
 * @param {{top: {logit: number}[], rest: {from: number, step: number, gaps: number[]}}} next @returns {Float32Array} */
export function unfolded({ top, rest }) {
  const logits = new Float32Array(top.length + rest.gaps.length);
  top.forEach(({ logit }, place) => { logits[place] = logit; });
  let steps = 0;
  rest.gaps.forEach((gap, place) => { logits[top.length + place] = rest.from - rest.step * (steps += gap); });
  return logits;
}

/** Probabilities of `logits`, which come largest first; removed ones are 0. A temperature of 0 gives the likeliest
 * everything. @param {Float32Array} logits @param {Options} options @returns {Float64Array} */
export function distribution(logits, { temperature, top_k, top_p, min_p }) {
  const size = logits.length;
  const out = new Float64Array(size);
  if (temperature === 0) { out[0] = 1; return out; }
  const largest = logits[0] / temperature;
  let kept = size;
  if (top_k > 0 && top_k < size) {
    kept = top_k;
    while (kept < size && logits[kept] === logits[top_k - 1]) kept++;
  }
  let total = 0;
  for (let i = 0; i < kept; i++) total += out[i] = Math.exp(logits[i] / temperature - largest);
  if (top_p < 1) {
    let before = 0, i = 0;
    while (i < kept && (i === 0 || before < top_p)) before += out[i++] / total;
    out.fill(0, i, kept);
    kept = i;
  }
  if (min_p > 0) {
    let i = kept;
    while (i > 0 && out[i - 1] < min_p) out[--i] = 0;
    kept = Math.max(1, i);
  }
  total = 0;
  for (let i = 0; i < kept; i++) total += out[i];
  for (let i = 0; i < kept; i++) out[i] /= total;
  return out;
}
