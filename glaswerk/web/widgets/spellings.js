// <glaswerk-spellings>: several spellings side by side, each cut by a few vocabularies: spaces, capitals, numbers.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/spellings.js";
import { askEach, chips, missing, nameOf, withNames } from "../vocabularies.js";

/** @typedef {import("../vocabularies.js").Found} Found */

class Spellings extends Figure {
  static texts = withNames(texts);
  static needsModel = false;
  static reloads = ["texts"];

  initial() { return { texts: ["Hello", " Hello"], kinds: ["gpt2", "cl100k", "open"] }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const given = this.state.texts;
    /** @type {{texts: string[], found: Found[]}} */
    const data = { texts: given, found: [] };
    data.found = await askEach(this, "cut", this.state.kinds, { texts: given }, signal, (open) => {
      data.found = data.found.map((each) => (each.kind === open.kind ? open : each));
      this.requestUpdate();
    });
    return data;
  }

  body() {
    const found = /** @type {Found[]} */ (this.data.found);
    return html`<div class="spellings">
      ${this.state.texts.map((/** @type {string} */ text, /** @type {number} */ place) => html`<div class="spelling">
        <label class="control"><span class="visually-hidden">${this.t("spelling", { place: place + 1 })}</span>
          <input class="prompt" type="text" maxlength="120" spellcheck="false" autocomplete="off" .value=${text}
            @input=${(/** @type {any} */ event) => this.change(place, event.target.value)}></label>
        ${found.map((each) => html`<div data-kind=${each.kind}><p class="faint">${nameOf(this, each)}${each.answer?.cuts[place] ? html`: <span class="num">${this.t(each.answer.cuts[place].length === 1 ? "one" : "count", { tokens: this.n(each.answer.cuts[place].length, 0) })}</span>` : ""}</p>
          ${each.answer?.cuts[place] ? chips(this, each.answer.cuts[place]) : each.missing ? missing(this, each.missing) : html`<span class="faint">${this.t("computing")}</span>`}</div>`)}
      </div>`)}</div>`;
  }

  /** @param {number} place @param {string} text */
  change(place, text) {
    this.set({ texts: this.state.texts.map((/** @type {string} */ old, /** @type {number} */ at) => (at === place ? text : old)) }, { wait: 250 });
  }
}
define("glaswerk-spellings", Spellings);
