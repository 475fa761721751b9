// What figures ask of the model, answered in the browser: the same kinds with the same answers as glaswerk/serve/data.py
// ("tokens", "trace", "next", "step", "row", "stack"), so that no figure knows where its numbers come from. One difference, because
// PyTorch's random generator is not here: "step" draws with a generator of its own, from the same distribution.

import { distribution, ordered } from "../sampling.js";
import { linear, softmaxBefore } from "./decoder.js";
import { Recording, largest } from "./recording.js";
import { Refused } from "./refused.js";
import { row } from "./rows.js";
import { chip, hex } from "./tokenizer.js";

/** nothing cut, nothing changed */
const PLAIN = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 };

/** What the export wrote down about the model.
 * @typedef {{model: Record<string, any>, precision: Record<string, any>, ends: number[],
 *   most_tokens: number, most_characters: number, named: number, step: number, candidates: number,
 *   steps: Record<string, {meaning: {en: string, de: string}, source: string}>}} About */

export class Answers {
  /** @param {import("./decoder.js").Decoder} decoder @param {import("./tokenizer.js").Tokenizer} tokenizer
   * @param {About} about */
  constructor(decoder, tokenizer, about) {
    this.decoder = decoder;
    this.tokenizer = tokenizer;
    this.about = about;
    this.recording = new Recording(decoder, tokenizer.size);
  }

  /** @param {string} kind @param {Record<string, any>} args @returns {any} */
  answer(kind, args) {
    switch (kind) {
      case "tokens": return this.tokens(this.text(args.text ?? ""));
      case "trace": return this.trace(args);
      case "next": return this.next(args);
      case "step": return this.step(args);
      case "row": return this.row(args);
      case "stack": return this.stack(args);
      default: throw new Error(`there is nothing to ask by the name ${kind}`);
    }
  }

  /** @param {string} text @returns {string} */
  text(text) {
    const length = [...text].length, most = this.about.most_characters;
    if (length > most) throw new Refused(`the text is ${length} characters long, this page takes ${most}: shorten it`, `Der Text ist ${length} Zeichen lang, diese Seite nimmt höchstens ${most}. Kürze ihn.`);
    return text;
  }

  /** Make the recording that of the prompt, a text or ids; returns its text. @param {Record<string, any>} args */
  record({ prompt, ids }) {
    if (ids === undefined && !prompt) throw new Refused("the prompt is empty: type at least one character", "Der Prompt ist leer. Gib mindestens ein Zeichen ein.");
    const numbers = ids ?? this.tokenizer.encode(this.text(prompt));
    numbers.forEach((/** @type {number} */ id) => this.tokenizer.tokenBytes(id)); // throws for one that is none
    const most = Math.min(this.about.most_tokens, this.about.model.context);
    if (numbers.length > most) throw new Refused(`the prompt has ${numbers.length} tokens; this page shows up to ${most}: shorten it`, `Der Prompt hat ${numbers.length} Tokens. Diese Seite zeigt höchstens ${most}. Kürze ihn.`);
    this.recording.become(numbers);
    return ids ? this.tokenizer.decode(ids) : prompt;
  }

  /** @param {number[]} ids */
  chips(ids) {
    return ids.map((id) => {
      const bytes = this.tokenizer.tokenBytes(id);
      return { id, text: chip(bytes), bytes: Array.from(bytes, hex).join("") };
    });
  }

  /** @param {string} text */
  tokens(text) {
    const tokens = this.chips(this.tokenizer.encode(text));
    return { model: this.about.model.name, text, bytes: new TextEncoder().encode(text).length, characters: [...text].length, vocabulary: this.tokenizer.size, tokens };
  }

  /** @param {Record<string, any>} args */
  trace(args) {
    const prompt = this.record(args), model = this.about.model;
    const steps = this.recording.steps();
    if (args.only !== undefined) return { model, steps: selected(steps, args.only).map((step) => this.told(step, true, Boolean(args.compact))) };
    return { model, precision: this.about.precision, prompt, tokens: this.chips(this.recording.ids), steps: steps.map((step) => this.told(step)), top: this.top(this.about.candidates) };
  }

  /** @param {import("./recording.js").Step} step @param {boolean} [values] @param {boolean} [compact] */
  told(step, values = false, compact = false) {
    const { name, axes, shape, dtype } = step;
    const layer = name.startsWith("blocks.") ? Number(name.split(".")[1]) : null;
    const known = this.about.steps[name.replace(/^blocks\.\d+\./, "block.")];
    const data = step.compute();
    const told = { name, layer, shape, axes, dtype, summary: summary(data), meaning: known.meaning, source: known.source, edited: false };
    if (!values) return told;
    const small = compact && /(weights|mask|probabilities)$/.test(name);
    const bytes = small ? Uint8Array.from(data, (value) => Math.round(value * 255)) : bytesOf(data);
    return { ...told, encoding: small ? "uint8-255" : "float32-le", values: base64(bytes) };
  }

  /** The logits after the last token, largest first, and whose they are. */
  sorted() {
    const logits = this.recording.lastLogits(), order = ordered(logits);
    return { order, sorted: Float32Array.from(order, (id) => logits[id]) };
  }

  /** The likeliest next tokens. @param {number} count */
  top(count) {
    const { order, sorted } = this.sorted();
    const shares = distribution(sorted, PLAIN);
    return Array.from(order.subarray(0, count), (id, place) => ({ token: chip(this.tokenizer.tokenBytes(id)), id, probability: shares[place] }));
  }

  /** @param {Record<string, any>} args */
  next(args) {
    const prompt = this.record(args), { sorted } = this.sorted();
    const top = this.top(Math.min(this.about.named, sorted.length)).map((one, place) => ({ ...one, logit: sorted[place] }));
    const from = top[top.length - 1].logit, step = this.about.step;
    const below = Array.from(sorted.subarray(top.length), (logit) => Math.round((from - logit) / step));
    return {
      model: this.about.model.name, prompt, ids: this.recording.ids, tokens: this.chips(this.recording.ids), vocabulary: sorted.length,
      top, rest: { from, step, gaps: below.map((steps, place) => steps - (below[place - 1] ?? 0)) },
    };
  }

  /** @param {Record<string, any>} args */
  step(args) {
    this.record(args);
    const { temperature = 1, top_k = 0, top_p = 1, min_p = 0, seed = 0 } = args;
    const { order, sorted } = this.sorted();
    const shares = distribution(sorted, { temperature, top_k, top_p, min_p });
    const place = drawn(shares, seed);
    const id = order[place], ids = [...this.recording.ids, id];
    const plain = distribution(sorted, PLAIN);
    return { id, token: chip(this.tokenizer.tokenBytes(id)), probability: plain[place], ids, text: this.tokenizer.decode(ids), end: this.about.ends.includes(id) };
  }

  /** The weights behind one number. @param {Record<string, any>} args */
  row({ step, place }) {
    const found = row(this.decoder, step, place);
    return found.weights ? { ...found, weights: { shape: [found.weights.length], dtype: "float32", base64: base64(bytesOf(found.weights)) } } : found;
  }

  /** Each block at one glance: how long the vectors are, and what the output matrix reads from the stream there.
   * @param {Record<string, any>} args */
  stack(args) {
    this.record(args);
    const { layers, width, tied } = this.decoder.config, T = this.recording.ids.length, known = this.tokenizer.size;
    const place = args.place ?? T - 1;
    if (!Number.isInteger(place) || place < 0 || place >= T) throw new Refused(`place must be a whole number from 0 to ${T - 1}`, `„place“ muss eine ganze Zahl von 0 bis ${T - 1} sein.`);
    const table = this.decoder.weight(tied ? "embedding" : "unembedding.weight");
    const value = (/** @type {string} */ name) => /** @type {import("./recording.js").Value} */ (this.recording.values.get(name)).data;
    const first = this.recording.values.has("residual") ? "residual" : "embeddings";
    const told = Array.from({ length: layers }, (_, layer) => {
      const stream = value(`blocks.${layer}.residual`);
      const logits = linear(this.decoder.norm(stream.slice(place * width, (place + 1) * width), 1, "norm"), 1, table);
      const shares = softmaxBefore(logits, 1, logits.length, () => known), id = largest(shares);
      return {
        residual: norms(stream, T), attention: norms(value(`blocks.${layer}.attention.output`), T), mlp: norms(value(`blocks.${layer}.mlp.output`), T),
        top: { id, token: chip(this.tokenizer.tokenBytes(id)), probability: shares[id] },
      };
    });
    return { start: norms(value(first), T), first, layers: told, place };
  }
}

/** The length of each token's vector. @param {Float32Array} x @param {number} T */
function norms(x, T) {
  const width = x.length / T;
  return Array.from({ length: T }, (_, t) => Math.sqrt(x.subarray(t * width, (t + 1) * width).reduce((sum, value) => sum + value * value, 0)));
}

/** @param {Float32Array} data */
const bytesOf = (data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** A place drawn by its share; the same seed gives the same one. @param {Float64Array} shares @param {number} seed */
function drawn(shares, seed) {
  // splitmix32: one number from 0 to 1 that the seed decides
  let mixed = (seed + 0x9e3779b9) | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  let left = ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  for (let place = 0; place < shares.length; place++) if ((left -= shares[place]) < 0) return place;
  return 0;
}

/** The steps whose names match `only`: a glob, or several with commas. @template {{name: string}} S @param {S[]} steps
 * @param {string} only @returns {S[]} */
function selected(steps, only) {
  const globs = only.split(",").map((glob) => glob.trim());
  const patterns = globs.map((glob) => new RegExp(`^${glob.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".").replaceAll("[!", "[^")}$`));
  patterns.forEach((pattern, place) => {
    if (!steps.some(({ name }) => pattern.test(name))) throw new Refused(`no step of the trace matches '${globs[place]}'`, `Kein Schritt der Aufzeichnung passt zu „${globs[place]}“.`);
  });
  return steps.filter(({ name }) => patterns.some((pattern) => pattern.test(name)));
}

/** @param {Float32Array} data */
function summary(data) {
  let min = Infinity, max = -Infinity, sum = 0, squares = 0;
  for (const value of data) {
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    squares += value * value;
  }
  return { min, mean: sum / data.length, max, norm: Math.sqrt(squares) };
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  const parts = [];
  for (let i = 0; i < bytes.length; i += 0x8000) parts.push(String.fromCharCode(...bytes.subarray(i, i + 0x8000)));
  return btoa(parts.join(""));
}
