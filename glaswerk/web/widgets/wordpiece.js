// <glaswerk-wordpiece>: from the left the longest known piece, with everything that was tried in vain.

import { Figure, define, html, nothing } from "../figure.js";
import { Told } from "../data.js";
import texts from "../texts/wordpiece.js";
import { missing, withNames } from "../vocabularies.js";

class WordPiece extends Figure {
  static texts = withNames(texts);
  static needsModel = false;
  static reloads = ["word", "known", "bert"];

  initial() { return { word: "unbelievable", known: "un be believe ##be ##believ ##able ##a", bert: false }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { word, known, bert } = this.state;
    try {
      return await this.demo("longest", { word, known, bert }, signal);
    } catch (error) {
      if (error instanceof Told && error.message.includes("glaswerk pull")) return { missing: error.message };
      throw error;
    }
  }

  body() {
    const { found, size } = this.data;
    return html`${this.fields()}
      ${found ? html`<p class="num faint">${this.t("size", { size: this.n(size, 0) })}</p><ol class="tries">${found.map((/** @type {{piece: string, tried: string[]}} */ { piece, tried }) => html`<li>
        ${tried.map((each) => html`<s class="faint">${each}</s> `)}<span class="chip ${piece === "[UNK]" ? "lost" : "on"}">${piece}</span></li>`)}</ol>
        <p class="num">${this.t("looked", { tries: this.n(found.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.tried.length + (each.piece === "[UNK]" ? 0 : 1), 0), 0) })}</p>`
      : missing(this, this.data.missing)}`;
  }

  fields() {
    return html`<div class="controls"><label class="control">${this.t("word")}
        <input class="prompt" type="text" maxlength="40" spellcheck="false" autocomplete="off" .value=${this.state.word}
          @input=${(/** @type {any} */ event) => this.set({ word: event.target.value }, { wait: 200 })}></label>
      ${this.segments("bert", [{ value: false, label: this.t("few") }, { value: true, label: this.t("all") }], this.t("which"))}
      ${this.state.bert ? nothing : html`<label class="control grow">${this.t("known")}
        <input class="prompt" type="text" maxlength="400" spellcheck="false" autocomplete="off" .value=${this.state.known}
          @input=${(/** @type {any} */ event) => this.set({ known: event.target.value }, { wait: 200 })}></label>`}</div>`;
  }
  whenWrong() { return this.fields(); }
}
define("glaswerk-wordpiece", WordPiece);
