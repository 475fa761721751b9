// <glaswerk-contexts>: one word in several sentences, its vectors compared after each layer of the open model.

import { Figure, define, html } from "../figure.js";
import "../heat.js";
import texts from "../texts/contexts.js";

class Contexts extends Figure {
  static texts = texts;
  static reloads = ["word", "sentences"];

  initial() {
    return { word: "bank", layer: 0, sentences: ["They walked along the river and sat down on the bank", "The river rose and washed over the bank", "She opened an account and put the money in the bank", "He asked for a loan at the bank"] };
  }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("contexts", { word: this.state.word, sentences: this.state.sentences }, signal); }

  fields() {
    return html`<div class="sentences">${this.state.sentences.map((/** @type {string} */ sentence, /** @type {number} */ place) => html`<label class="control">${this.t("sentence", { place: place + 1 })}
      <input class="prompt" type="text" maxlength="160" spellcheck="false" autocomplete="off" .value=${sentence} @input=${(/** @type {any} */ event) => this.change(place, event.target.value)}></label>`)}</div>`;
  }

  body() {
    const { cosines, sentences, word } = this.data;
    const layer = Math.min(this.state.layer, cosines.length - 1);
    const labels = sentences.map((/** @type {string} */ _, /** @type {number} */ place) => `${place + 1}`);
    const table = cosines[layer];
    return html`${this.fields()}
      <div class="controls">${this.slider("layer", { label: this.t("layer_after"), min: 0, max: cosines.length - 1, step: 1, digits: 0, off: 0, offText: this.t("embedding") })}</div>
      <div class="two"><glaswerk-heat .values=${table.flat()} .rows=${labels.length} .columns=${labels.length} .rowLabels=${labels} .columnLabels=${labels} .most=${1} kind="signed" .largest=${46} label=${this.t("map", { word })}></glaswerk-heat>
      <dl class="reading-list">${table.flatMap((/** @type {number[]} */ row, /** @type {number} */ one) => row.map((cosine, other) => (other > one ? html`<div><dt>${this.t("between", { one: one + 1, other: other + 1 })}</dt><dd class="num c-residual" data-name="cosine-${one}-${other}">${this.n(cosine, 3)}</dd></div>` : "")))}</dl></div>`;
  }

  /** @param {number} place @param {string} text */
  change(place, text) {
    this.set({ sentences: this.state.sentences.map((/** @type {string} */ old, /** @type {number} */ at) => (at === place ? text : old)) }, { wait: 700 });
  }
  whenWrong() { return this.fields(); }
}
define("glaswerk-contexts", Contexts);
