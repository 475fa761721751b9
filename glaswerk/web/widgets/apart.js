// <glaswerk-apart>: words as letters and as meanings: codes, changed letters, cosine.

import { Figure, define, html } from "../figure.js";
import { orMissing, withOrigins, why } from "../origins.js";
import texts from "../texts/apart.js";

class Apart extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["words"];

  initial() { return { words: ["cat", "car", "kitten", "feline"] }; }

  /** @param {AbortSignal} signal */
  load(signal) { return orMissing(this.demo("apart", { words: this.state.words }, signal)); }

  body() {
    if (this.data.missing) return why(this, this.data.missing);
    const { words, width } = this.data;
    const first = words[0].word;
    return html`<div class="scroll"><table class="prices"><thead><tr><th scope="col">${this.t("word")}</th><th scope="col">${this.t("codes")}</th>
        <th scope="col" class="num">${this.t("changes", { first })}</th><th scope="col" class="num">${this.t("cosine_with", { first })}</th></tr></thead>
      <tbody>${this.state.words.map((/** @type {string} */ word, /** @type {number} */ place) => {
        const told = words[place] ?? {};
        return html`<tr><th scope="row"><input class="prompt small" type="text" aria-label=${this.t("nth", { place: place + 1 })} maxlength="20" spellcheck="false" .value=${word}
            @input=${(/** @type {any} */ event) => event.target.value.trim() && this.change(place, event.target.value)}></th>
          <td class="sum codes">${told.codes?.join(" ")}</td><td class="num" data-name="changes">${told.changes}</td>
          <td class="num c-residual" data-name="cosine">${this.n(told.cosine)}</td></tr>`;
      })}</tbody></table></div>
      <p class="faint">${this.t("begin", { width })}</p>
      <div class="sum">${words.map((/** @type {any} */ told) => html`<div><b>${told.word}</b> [${told.vector ? told.vector.map((/** @type {number} */ each) => this.n(each)).join("; ") + "; …" : "–"}]</div>`)}</div>`;
  }

  /** @param {number} place @param {string} word */
  change(place, word) {
    this.set({ words: this.state.words.map((/** @type {string} */ old, /** @type {number} */ at) => (at === place ? word : old)) }, { wait: 350 });
  }
}
define("glaswerk-apart", Apart);
