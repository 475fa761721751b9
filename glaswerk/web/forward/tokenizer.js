// Byte-level BPE for the published page: reads the tokenizer.json that glaswerk/tokenizer writes, encodes and decodes.
// Left out: special tokens inside a text (a prompt's text is text), and vocabularies whose text is cut in other ways
// than by one expression; the export keeps those out of the browser.

import { Refused } from "./refused.js";

// GPT-2's visible stand-ins for bytes: printable ones are themselves, the others follow from U+0100 on
const printable = (/** @type {number} */ byte) => (byte >= 0x21 && byte < 0x7f) || (byte >= 0xa1 && byte < 0xad) || byte >= 0xae;
/** byte -> character @type {string[]} */
const shown = [];
/** character -> byte @type {Map<string, number>} */
const hidden = new Map();
for (let byte = 0, next = 0x100; byte < 256; byte++) {
  shown[byte] = String.fromCharCode(printable(byte) ? byte : next++);
  hidden.set(shown[byte], byte);
}

/** The expression that cuts words where tokenizer.json names only "ByteLevel". */
const GPT2 = String.raw`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
/** The same after each digit was made a piece of its own (patterns.py). */
const GPT2_DIGITS = GPT2.replace(String.raw`| ?\p{N}+|`, String.raw`|\p{N}|`).replace(String.raw`|\s+(?!\S)`, String.raw`|\s+(?=\p{N})|\s+(?!\S)`);

export class Tokenizer {
  /** @param {any} document a parsed tokenizer.json */
  constructor(document) {
    const { vocab, merges, ignore_merges: whole } = document.model;
    /** @type {Map<string, number>} */
    this.ids = new Map(Object.entries(vocab));
    this.whole = whole === true;
    /** "left right" -> rank @type {Map<string, number>} */
    this.ranks = new Map(merges.map((/** @type {any} */ pair, /** @type {number} */ rank) => [typeof pair === "string" ? pair : pair.join(" "), rank]));
    /** @type {(Uint8Array|undefined)[]} */
    this.bytes = [];
    for (const [text, id] of this.ids) this.bytes[id] = Uint8Array.from(text, (character) => hidden.get(character) ?? 0);
    for (const { id, content } of document.added_tokens) this.bytes[id] = new TextEncoder().encode(content);
    this.size = this.bytes.length;
    this.form = document.normalizer?.type;
    this.cut = new RegExp(inJavaScript(expression(document.pre_tokenizer)), "gu");
  }

  /** The ids of a text. @param {string} text @returns {number[]} */
  encode(text) {
    // halves of surrogate pairs are no text: UTF-8 has no place for them
    text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
    if (this.form) text = text.normalize(this.form);
    /** @type {number[]} */
    const ids = [];
    for (const piece of text.match(this.cut) ?? []) {
      for (const token of this.merge(Array.from(new TextEncoder().encode(piece), (byte) => shown[byte]))) {
        const id = this.ids.get(token);
        if (id !== undefined) ids.push(id); // a byte without a token is left out
      }
    }
    return ids;
  }

  /** Join neighbours, the pair that was learnt first before all others, the leftmost of equals, until none is left.
   * @param {string[]} parts @returns {string[]} */
  merge(parts) {
    if (this.whole && this.ids.has(parts.join(""))) return [parts.join("")];
    while (parts.length > 1) {
      let best = Infinity, where = 0;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(`${parts[i]} ${parts[i + 1]}`);
        if (rank !== undefined && rank < best) { best = rank; where = i; }
      }
      if (best === Infinity) break;
      parts.splice(where, 2, parts[where] + parts[where + 1]);
    }
    return parts;
  }

  /** The bytes of one id. @param {number} id @returns {Uint8Array} */
  tokenBytes(id) {
    const found = this.bytes[id];
    if (!found) throw new Refused(`there is no token with the id ${id}; this model's ids go from 0 to ${this.size - 1}`, `Ein Token mit der ID ${id} gibt es nicht. Die IDs dieses Modells gehen von 0 bis ${this.size - 1}.`);
    return found;
  }

  /** The text of ids; bytes that form no character become U+FFFD. @param {number[]} ids @returns {string} */
  decode(ids) {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(ids.flatMap((id) => [...this.tokenBytes(id)])));
  }
}

/** The one expression by which a pre_tokenizer cuts. @param {any} part @returns {string} */
function expression(part) {
  const steps = part.type === "Sequence" ? part.pretokenizers : [part];
  const split = steps.find((/** @type {any} */ step) => step.type === "Split");
  if (split) return split.pattern.Regex;
  if (steps.some((/** @type {any} */ step) => step.type === "Digits" && step.individual_digits)) return GPT2_DIGITS;
  if (steps.some((/** @type {any} */ step) => step.type === "ByteLevel" && step.use_regex !== false && step.add_prefix_space !== true)) return GPT2;
  throw new Error("this tokenizer cuts text in a way that the page does not know");
}

/** An expression of Python's `regex` as JavaScript reads it: white space is Unicode's, (?i:...) spelt out.
 * @param {string} pattern */
function inJavaScript(pattern) {
  return pattern
    .replace(/\(\?i:([^()]*)\)/g, (_, inside) => `(?:${inside.replace(/[a-z]/g, (/** @type {string} */ c) => `[${c}${c.toUpperCase()}${c === "s" ? "ſ" : ""}]`)})`)
    .replaceAll("\\s", "\\p{White_Space}")
    .replaceAll("\\S", "\\P{White_Space}");
}

/** A token for the eye, as glaswerk/tokenizer/chip.py writes it. @param {Uint8Array} token @returns {string} */
export function chip(token) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(token);
  } catch {
    return Array.from(token, hex).join(" ");
  }
  /** @type {Record<string, string>} */
  const marks = { " ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥" };
  return Array.from(text, (character) => {
    if (marks[character]) return marks[character];
    return /[\p{C}\p{Z}]/u.test(character) ? `<${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}>` : character;
  }).join("");
}

/** @param {number} byte */
export const hex = (byte) => byte.toString(16).padStart(2, "0");
