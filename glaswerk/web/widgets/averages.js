// <glaswerk-averages>: sentences as the mean of their words' vectors; word order is gone.

import { Figure, define, html } from "../figure.js";
import { orMissing, why, withOrigins } from "../origins.js";
import texts from "../texts/averages.js";

class Averages extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["sentences"];

  initial() { return { sentences: ["Dog bites man", "Man bites dog", "A cat scratches a woman"] }; }

  /** @param {AbortSignal} signal */
  load(signal) { return orMissing(this.demo("averages", { sentences: this.state.sentences }, signal)); }

  body() {
    const { missing, means, cosines } = this.data;
    return html`<div class="sentences">${this.state.sentences.map((/** @type {string} */ sentence, /** @type {number} */ place) => html`<div>
        <label class="control">${this.t("sentence", { place: place + 1 })}<input class="prompt" type="text" maxlength="120" spellcheck="false" autocomplete="off" .value=${sentence}
          @input=${(/** @type {any} */ event) => this.change(place, event.target.value)}></label>
        ${missing || !means[place] ? "" : html`<p class="sum">${this.t("mean")} [${means[place].map((/** @type {number} */ each) => this.n(each, 4)).join("; ")}; …]</p>`}</div>`)}</div>
      ${missing ? why(this, missing) : html`<dl class="reading-list">${cosines.flatMap((/** @type {number[]} */ row, /** @type {number} */ one) => row.map((cosine, other) => (other > one ? html`
        <div><dt>${this.t("between", { one: one + 1, other: other + 1 })}</dt><dd class="num c-residual" data-name="cosine-${one}-${other}">${this.n(cosine, 4)}</dd></div>` : "")))}</dl>`}`;
  }

  /** @param {number} place @param {string} text */
  change(place, text) {
    if (text.trim()) this.set({ sentences: this.state.sentences.map((/** @type {string} */ old, /** @type {number} */ at) => (at === place ? text : old)) }, { wait: 400 });
  }
  whenWrong() { return html`<button type="button" class="button quiet" @click=${() => this.reset()}>${this.t("reset")}</button>`; }
}
define("glaswerk-averages", Averages);
