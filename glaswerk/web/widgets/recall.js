// <glaswerk-recall>: a passage of the corpus and what the model makes of its beginning: what came back, what did not.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/recall.js";

class Recall extends Figure {
  static texts = texts;
  static reloads = ["place"];

  initial() { return { place: 500 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const told = await this.demo("recall", { place: this.state.place }, signal);
    return { ...told, size: await this.demo("size", {}, signal) };
  }

  body() {
    const { begun, true: real, made, right, by_heart, own, corpus, size } = this.data;
    const hits = right.filter(Boolean).length;
    const chips = (/** @type {string[]} */ list, /** @type {boolean} */ marked) => html`<ul class="chips">${list.map((token, place) => html`<li><span class="chip ${marked && !right[place] ? "other" : ""}">${token}</span></li>`)}</ul>`;
    return html`<div class="controls"><button type="button" class="button quiet" @click=${() => this.set({ place: (this.state.place + 137) % 1000 })}>${this.t("another")}</button></div>
      <div class="reading"><p><b>${this.t("begun")}</b> <span class="faint">${this.t(own ? "own" : "pulled", { corpus })}</span></p>${chips(begun, false)}
      <p><b>${this.t("true")}</b></p>${chips(real, false)}
      <p><b>${this.t("made")}</b></p>${chips(made, true)}
      <p class="num" data-name="hits">${this.t("hits", { hits: this.n(hits, 0), all: this.n(right.length, 0), heart: this.n(by_heart, 0) })}</p>
      <p class="num">${this.t("size", { parameters: this.n(size.parameters, 0), weights: this.n(size.weight_bytes / 1e6, 1), corpus, text: this.n(size.corpus_bytes / 1e6, 1) })}</p></div>`;
  }
}
define("glaswerk-recall", Recall);
