// Texts cut by several vocabularies: asking the chapter's demo for each, one that is missing being an answer of its own,
// and drawing tokens as chips. Left out: layout; `tokenizers`, `spellings` and `german-price` have their own.

import { Told, settled } from "./data.js";
import { html } from "./figure.js";
import names from "./texts/vocabularies.js";

/** @typedef {import("./figure.js").Figure} Figure */
/** @typedef {{id: number|null, text: string, unknown: boolean}} Piece */
/** @typedef {{kind: string, answer?: any, missing?: string}} Found */

/** The open model's own vocabulary, beside those of the demo. */
export const OPEN = "open";

/** A widget's texts with the names of the vocabularies. @param {import("./figure.js").Texts} texts */
export const withNames = (texts) => ({ en: { ...names.en, ...texts.en }, de: { ...names.de, ...texts.de } });

/** Ask `name` of the chapter's demo for each kind. The open model's answer may come later: `later` is called then.
 * Rejects only where nothing could be answered.
 * @param {Figure} figure @param {string} name @param {string[]} kinds @param {Record<string, any>} args
 * @param {AbortSignal} signal @param {(found: Found) => void} later @returns {Promise<Found[]>} */
export async function askEach(figure, name, kinds, args, signal, later) {
  /** @type {unknown} */
  let wrong = null;
  /** @type {Found[]} */
  const found = await Promise.all(kinds.filter((kind) => kind !== OPEN).map(async (kind) => {
    try {
      return { kind, answer: await figure.demo(name, { kind, ...args }, signal) };
    } catch (error) {
      if (!(error instanceof Told)) throw error;
      wrong = error;
      return { kind, missing: error.message };
    }
  }));
  if (found.length && found.every((each) => each.missing)) {
    const pulls = found.every((each) => each.missing?.includes("glaswerk pull"));
    if (!pulls) throw wrong;
  }
  if (kinds.includes(OPEN)) {
    found.push({ kind: OPEN });
    askOpen(figure, name, args, signal).then((open) => { if (!signal.aborted) later(open); });
  }
  return found;
}

/** @param {Figure} figure @param {string} name @param {Record<string, any>} args @param {AbortSignal} signal @returns {Promise<Found>} */
async function askOpen(figure, name, args, signal) {
  try {
    const model = await settled();
    if (model.state === "none") throw new Told("no_model");
    return { kind: OPEN, answer: await figure.demo(`${name}_open`, args, signal) };
  } catch (error) {
    return { kind: OPEN, missing: error instanceof Told ? error.message : String(error) };
  }
}

/** What to say where a vocabulary gave no answer. @param {Figure} figure @param {string} message */
export function missing(figure, message) {
  const pull = /glaswerk pull ([\w-]+)/.exec(message);
  const text = pull ? figure.t("not_pulled") : message === "no_model" || message === "not-exported" ? figure.t(message) : message;
  return html`<span class="faint">${text}${pull ? html` <code>glaswerk pull ${pull[1]}</code>` : ""}</span>`;
}

/** The name of a vocabulary, the open model's with its own. @param {Figure} figure @param {Found} found */
export function nameOf(figure, found) {
  return found.kind === OPEN ? found.answer?.model ?? figure.t("open") : figure.t(found.kind);
}

/** Tokens as chips, those that lost their text marked. @param {Figure} figure @param {Piece[]} pieces */
export function chips(figure, pieces) {
  return html`<ul class="chips">${pieces.map((piece) => html`<li class="chip ${piece.unknown ? "lost" : ""}"
    title=${piece.unknown ? figure.t("lost") : ""}>${piece.text}<small>${piece.id ?? "–"}</small></li>`)}</ul>`;
}
