// How figures get their numbers: one function for the live server and for the exported site, where the same answers
// lie as files. Every number on a page came through here. Left out: drawing.

/** @typedef {{shape: number[], dtype: string, base64: string}} Packed */
/** @typedef {{name: string, layer: number|null, shape: number[], axes: string, dtype: string,
 *   summary: {min: number|null, mean: number|null, max: number|null, norm: number|null},
 *   meaning: {en: string, de: string}, source: string, encoding?: string, values?: string}} Step */
/** @typedef {{id: number, text: string, bytes: string}} Token */
/** @typedef {{name: string, family: string, layers: number, heads: number, kv_heads: number, width: number,
 *   head_width: number, mlp_width: number, vocabulary: number, context: number, positions: string, norm: string,
 *   activation: string}} Shape */
/** @typedef {{model: Shape, prompt: string, tokens: Token[], steps: Step[],
 *   top: {token: string, id: number, probability: number}[]}} Trace */

const page = document.documentElement;
const root = page.dataset.up ?? "";
export const live = page.dataset.mode !== "static";
/** @type {"en"|"de"} */
export const language = page.lang === "de" ? "de" : "en";

/** An error whose message is meant for the reader. */
export class Told extends Error {}

/** A stable JSON text: keys in order, so that one question has one text.
 * @param {any} value @returns {string} */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value && typeof value === "object") {
    const keys = Object.keys(value).filter((key) => value[key] !== undefined).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Ask the server; on an exported site, the model that runs in the page, else the files. `kind` is "trace", "next",
 * "demo/04-attention/chain", ...
 * @param {string} kind @param {Record<string, any>} [args] @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function ask(kind, args = {}, signal) {
  const text = canonical(args), name = fingerprint(text);
  if (!live && page.dataset.browser !== undefined) {
    const { answers, compute } = await import("./forward/client.js");
    if (answers(kind, args)) return compute(kind, args, (told) => new Told(said(told)));
  }
  if (!live && !(await exported())[kind]?.includes(name)) throw new Told("not-exported");
  const address = live ? `${root}api/${kind}?args=${encodeURIComponent(text)}` : `${root}data/${kind}/${name}.json`;
  let response;
  try {
    response = await fetch(address, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Told(live ? "stopped" : "unreachable");
  }
  return toldBy(response);
}

/** What a response says; its error in the page's language. @param {Response} response @returns {Promise<any>} */
export async function toldBy(response) {
  const told = await response.json().catch(() => ({ error: `${response.status}` }));
  if (!response.ok || told?.error !== undefined) throw new Told(said({ error: `${response.status}`, ...told }));
  return told;
}

/** An error in the page's language. @param {{error: string, german?: string}} told @returns {string} */
const said = ({ error, german }) => (language === "de" && german) || error;

/** @type {Promise<Record<string, string[]>>|null} */
let index = null;
/** Which questions the exported files answer: kind -> fingerprints. @returns {Promise<Record<string, string[]>>} */
function exported() {
  index ??= fetch(`${root}data/index.json`).then((response) => response.json()).catch(() => {
    index = null;
    throw new Told("unreachable");
  });
  return index;
}

/** FNV-1a (64 bits) of the text's UTF-16 units, in hex: names files of an exported site.
 * @param {string} text */
export function fingerprint(text) {
  let high = 0xcbf29ce4, low = 0x84222325;
  for (let i = 0; i < text.length; i++) {
    low ^= text.charCodeAt(i);
    const product = low * 0x1b3;
    high = (Math.imul(high, 0x1b3) + (low << 8) + Math.floor((low >>> 0) * 0x1b3 / 2 ** 32)) >>> 0;
    low = product >>> 0;
  }
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

/** @param {string} text @returns {Uint8Array} */
function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

/** A packed array of a demo function or of "next".
 * @param {Packed} packed @returns {Float32Array|Int32Array|Uint8Array} */
export function unpack(packed) {
  const raw = bytes(packed.base64);
  if (packed.dtype === "uint8") return raw;
  return packed.dtype === "int32" ? new Int32Array(raw.buffer) : new Float32Array(raw.buffer);
}

/** A traced tensor: numbers row by row, with its shape.
 * @typedef {{name: string, shape: number[], data: Float32Array, step: Step}} Tensor */

/** The values of a step that was asked for with `only`.
 * @param {Step} step @returns {Tensor} */
export function tensor(step) {
  const raw = bytes(step.values ?? "");
  const data = step.encoding === "uint8-255" ? Float32Array.from(raw, (byte) => byte / 255) : new Float32Array(raw.buffer);
  return { name: step.name, shape: step.shape, data, step };
}

/** A view on the last axes: `at(t, 0, 3)` of a [B, H, T, S] tensor is head 3's [T, S] plane, row by row.
 * @param {Tensor} of @param {...number} index @returns {Float32Array} */
export function at(of, ...index) {
  let start = 0, size = of.data.length;
  index.forEach((place, axis) => { size /= of.shape[axis]; start += place * size; });
  return of.data.subarray(start, start + size);
}

/** The place of the token in which a word of the prompt ends; -1: the word is not there.
 * @param {Token[]} tokens @param {string} prompt @param {string} word @returns {number} */
export function tokenOf(tokens, prompt, word) {
  const found = word ? prompt.indexOf(word) : -1;
  if (found < 0) return -1;
  let end = new TextEncoder().encode(prompt.slice(0, found + word.length)).length;
  return tokens.findIndex((token) => (end -= token.bytes.length / 2) <= 0);
}

/** @type {Map<string, Promise<any>>} */
const kept = new Map();
/** `ask`, remembered on this page: figures that show the same prompt share one request.
 * @param {string} kind @param {Record<string, any>} args @returns {Promise<any>} */
export function askOnce(kind, args) {
  const key = `${kind} ${canonical(args)}`;
  let found = kept.get(key);
  if (!found) {
    found = ask(kind, args);
    kept.set(key, found);
    found.catch(() => kept.delete(key));
    if (kept.size > 60) kept.delete(kept.keys().next().value ?? "");
  }
  return found;
}
/** Another model is open: nothing that was remembered holds any more. */
export function forget() { kept.clear(); }

/** The trace of a prompt (a text, or token ids): names, shapes and summaries of all steps, no values.
 * @param {string|number[]} prompt @returns {Promise<Trace>} */
export const trace = (prompt) => askOnce("trace", typeof prompt === "string" ? { prompt } : { ids: prompt });

/** Values of some steps of that trace, by full name. `names` are exact names or globs.
 * @param {string|number[]} prompt @param {string[]} names @param {boolean} [compact] bytes instead of floats, for pictures
 * @returns {Promise<Record<string, Tensor>>} */
export async function values(prompt, names, compact = false) {
  const where = typeof prompt === "string" ? { prompt } : { ids: prompt };
  const told = await askOnce("trace", { ...where, only: names.join(","), ...(compact ? { compact } : {}) });
  return Object.fromEntries(told.steps.map((/** @type {Step} */ step) => [step.name, tensor(step)]));
}

// ---------------------------------------------------------------- the model's state
/** @typedef {{state: string, name: string, error: string}} Status */
/** @type {Status} */
export let status = live
  ? { state: "unknown", name: "", error: "" }
  : { state: page.dataset.model === undefined ? "none" : "ready", name: page.dataset.model ?? "", error: "" };
export let reachable = true;

/** Ask how the model is; tells the page of a change with events "glaswerk-model", "glaswerk-stopped", "glaswerk-back".
 * @returns {Promise<Status>} */
export async function look() {
  if (!live) return status;
  try {
    const told = await (await fetch(`${root}health`, { cache: "no-store" })).json();
    const before = status;
    status = { ...told.model, error: said(told.model) };
    if (!reachable) { reachable = true; forget(); document.dispatchEvent(new Event("glaswerk-back")); }
    if (before.state !== status.state || before.name !== status.name) {
      if (before.name !== status.name) forget();
      document.dispatchEvent(new Event("glaswerk-model"));
    }
  } catch {
    if (reachable) { reachable = false; document.dispatchEvent(new Event("glaswerk-stopped")); }
  }
  return status;
}

/** Resolves when the model is there, or cannot come. @returns {Promise<Status>} */
export async function settled() {
  if (!live) return status;
  while (status.state === "unknown" || status.state === "loading") {
    await look();
    if (status.state === "unknown" || status.state === "loading") await new Promise((done) => setTimeout(done, 250));
  }
  return status;
}
