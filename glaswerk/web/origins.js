// Word vectors of three origins (GloVe, word2vec trained here, the open model's embedding table): the choice between
// them, and asking the chapter's demo for the chosen one. Left out: what a figure does with the answer.

import { Told, settled } from "./data.js";
import { html } from "./figure.js";
import names from "./texts/origins.js";
import { missing } from "./vocabularies.js";

/** @typedef {import("./figure.js").Figure} Figure */

/** A widget's texts with the names of the origins. @param {import("./figure.js").Texts} texts */
export const withOrigins = (texts) => ({ en: { ...names.en, ...texts.en }, de: { ...names.de, ...texts.de } });

/** Ask `name` of the chapter's demo for the origin in the figure's state. What is not pulled, or a word without a vector,
 * comes back as {missing}. @param {Figure} figure @param {string} name @param {Record<string, any>} args
 * @param {AbortSignal} signal @returns {Promise<any>} */
export async function askOrigin(figure, name, args, signal) {
  const { origin } = figure.state;
  try {
    if (origin !== "open") return await figure.demo(name, { origin, ...args }, signal);
    const model = await settled();
    if (model.state === "none") throw new Told("no_model");
    return await figure.demo(`${name}_open`, args, signal);
  } catch (error) {
    if (error instanceof Told && error.message !== "stopped") return { missing: error.message };
    throw error;
  }
}

/** The same for one demo function that needs no origin. @param {Promise<any>} answer */
export async function orMissing(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Told && error.message !== "stopped") return { missing: error.message };
    throw error;
  }
}

/** The choice of the origin. @param {Figure} figure */
export function originField(figure) {
  return figure.segments("origin", ["glove", "trained", "open"].map((value) => ({ value, label: figure.t(value) })), figure.t("origin"));
}

/** What is said where there is no answer. @param {Figure} figure @param {string} message */
export function why(figure, message) {
  const word = /^'(.+)' has no vector here/.exec(message);
  return html`<p>${word ? figure.t("no_vector", { word: word[1] }) : missing(figure, message)}</p>`;
}

/** A text field for a key of the state. @param {Figure} figure @param {string} key @param {string} label
 * @param {{most?: number, grow?: boolean, wait?: number}} [how] */
export function field(figure, key, label, how = {}) {
  return html`<label class="control ${how.grow ? "grow" : ""}">${label}
    <input class="prompt" type="text" data-key=${key} maxlength=${how.most ?? 30} spellcheck="false" autocomplete="off" .value=${figure.state[key]}
      @input=${(/** @type {any} */ event) => event.target.value.trim() && figure.set({ [key]: event.target.value }, { wait: how.wait ?? 350 })}></label>`;
}
