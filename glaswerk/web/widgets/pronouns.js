// <glaswerk-pronouns>: how likely the open model goes on with "he" and with "she".

import { Figure, define, html } from "../figure.js";
import texts from "../texts/pronouns.js";

class Pronouns extends Figure {
  static texts = texts;
  static reloads = ["sentences"];

  initial() { return { sentences: ["The doctor said that", "The nurse said that", "The engineer said that"] }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("pronouns", { sentences: this.state.sentences }, signal); }

  fields() {
    return html`<div class="sentences">${this.state.sentences.map((/** @type {string} */ sentence, /** @type {number} */ place) => html`<div><label class="control"><span class="visually-hidden">${this.t("sentence", { place: place + 1 })}</span>
      <input class="prompt" type="text" maxlength="120" spellcheck="false" autocomplete="off" .value=${sentence} @input=${(/** @type {any} */ event) => this.change(place, event.target.value)}></label>${this.answer(place)}</div>`)}</div>`;
  }

  /** @param {number} place */
  answer(place) {
    const told = this.data?.found?.[place];
    if (!told) return "";
    const most = Math.max(told.he, told.she, 1e-9);
    return html`<div class="bars">${["he", "she"].map((word) => html`<span class="chip">·${word}</span><span class="bar"><span .style=${`width: ${(100 * told[word]) / most}%`}></span></span><span class="percent" data-name="${word}-${place}">${this.percent(told[word])}</span>`)}</div>`;
  }

  body() { return this.fields(); }

  /** @param {number} place @param {string} text */
  change(place, text) {
    if (text.trim()) this.set({ sentences: this.state.sentences.map((/** @type {string} */ old, /** @type {number} */ at) => (at === place ? text : old)) }, { wait: 700 });
  }
  whenWrong() { return this.fields(); }
}
define("glaswerk-pronouns", Pronouns);
