// Reads the exported weights: a safetensors file with F32 or BF16 tensors. Left out: every other number format, and
// defence against hostile files (the site's own export wrote this one).

/** @typedef {{shape: number[], data: Float32Array}} Weight */

/** All tensors of a file by name. @param {ArrayBuffer} file @returns {Record<string, Weight>} */
export function tensors(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  /** @type {Record<string, Weight>} */
  const found = {};
  for (const [name, told] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = told.data_offsets;
    const raw = file.slice(8 + length + start, 8 + length + end);
    if (told.dtype !== "F32" && told.dtype !== "BF16") throw new Error(`${name} is ${told.dtype}, not F32 or BF16`);
    found[name] = { shape: told.shape, data: told.dtype === "F32" ? new Float32Array(raw) : widened(new Uint16Array(raw)) };
  }
  return found;
}

/** bf16 is the upper half of an fp32 number. @param {Uint16Array} halves */
function widened(halves) {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}
