// Reads the exported weights: a safetensors file with F32 or BF16 tensors, or I8 matrices with a scale for each row beside
// them (`NAME.scale`). Left out: every other number format, and defence against hostile files (the site's own export wrote
// this one).

/** @typedef {{shape: number[], data: Float32Array}} Weight */

/** All tensors of a file by name. @param {ArrayBuffer} file @returns {Record<string, Weight>} */
export function tensors(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  const raw = (/** @type {string} */ name) => {
    const [start, end] = header[name].data_offsets;
    return file.slice(8 + length + start, 8 + length + end);
  };
  /** @type {Record<string, Weight>} */
  const found = {};
  for (const [name, { dtype, shape }] of Object.entries(header)) {
    if (name === "__metadata__" || name.endsWith(".scale")) continue;
    if (dtype === "F32") found[name] = { shape, data: new Float32Array(raw(name)) };
    else if (dtype === "BF16") found[name] = { shape, data: widened(new Uint16Array(raw(name))) };
    else if (dtype === "I8") found[name] = { shape, data: scaled(new Int8Array(raw(name)), new Float32Array(raw(`${name}.scale`))) };
    else throw new Error(`${name} is ${dtype}, not F32, BF16 or I8`);
  }
  return found;
}

/** bf16 is the upper half of an fp32 number. @param {Uint16Array} halves */
function widened(halves) {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}

/** Rows of whole numbers times their scales. @param {Int8Array} steps @param {Float32Array} scales */
function scaled(steps, scales) {
  const out = new Float32Array(steps.length), width = steps.length / scales.length;
  for (let row = 0; row < scales.length; row++) for (let i = row * width; i < (row + 1) * width; i++) out[i] = steps[i] * scales[row];
  return out;
}
