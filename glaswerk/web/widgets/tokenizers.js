// <glaswerk-tokenizers>: one text, cut by seven vocabularies, one below the other.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/tokenizers.js";
import { askEach, chips, missing, nameOf, withNames } from "../vocabularies.js";

/** @typedef {import("../vocabularies.js").Found} Found */

class Tokenizers extends Figure {
  static texts = withNames(texts);
  static needsModel = false;
  static reloads = ["text"];

  initial() {
    return { text: "Hello, glass.", samples: /** @type {string[]} */ ([]), kinds: ["characters", "words", "wordpiece", "bpe", "gpt2", "cl100k", "open"] };
  }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { text, kinds } = this.state;
    /** @type {{text: string, found: Found[]}} */
    const data = { text, found: [] };
    data.found = await askEach(this, "cut", kinds, { texts: [text] }, signal, (open) => {
      data.found = data.found.map((each) => (each.kind === open.kind ? open : each));
      this.requestUpdate();
    });
    return data;
  }

  body() {
    return html`${this.fields()}<div class="ladder">${this.data.found.map((/** @type {Found} */ found) => this.row(found))}</div>`;
  }

  /** @param {Found} found */
  row(found) {
    const tokens = found.answer?.cuts[0];
    const unknown = tokens?.filter((/** @type {any} */ piece) => piece.unknown).length;
    return html`<section data-kind=${found.kind}><h3>${nameOf(this, found)}
        ${tokens ? html`<span class="num">${this.t("count", { tokens: this.n(tokens.length, 0), vocabulary: this.n(found.answer.vocabulary, 0) })}</span>` : nothing}
        ${unknown ? html`<span class="num c-loss">${this.t("unknown", { unknown: this.n(unknown, 0) })}</span>` : nothing}</h3>
      ${tokens ? chips(this, tokens) : found.missing ? missing(this, found.missing) : html`<span class="faint">${this.t("computing")}</span>`}</section>`;
  }

  fields() {
    return html`<div class="controls"><label class="control grow">${this.t("text")}
        <input class="prompt" type="text" maxlength="400" spellcheck="false" autocomplete="off" .value=${this.state.text}
          @input=${(/** @type {any} */ event) => this.set({ text: event.target.value }, { wait: 250 })}></label></div>
      ${this.state.samples.length ? html`<div class="controls"><span class="faint">${this.t("samples")}</span>${this.state.samples.map((/** @type {string} */ sample) => html`<button type="button"
        class="button quiet" aria-pressed=${String(sample === this.state.text)} @click=${() => this.set({ text: sample })}>${sample}</button>`)}</div>` : nothing}`;
  }

  whenWrong() { return this.fields(); }
}
define("glaswerk-tokenizers", Tokenizers);
