// <glaswerk-neighbours>: the words that point most in one word's direction, in vectors of three origins.

import { Figure, define, html } from "../figure.js";
import { askOrigin, field, originField, why, withOrigins } from "../origins.js";
import texts from "../texts/neighbours.js";

class Neighbours extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["origin", "word"];

  initial() { return { origin: "glove", word: "cat" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return askOrigin(this, "neighbours", { word: this.state.word }, signal); }

  body() {
    const { found, of, width, missing } = this.data;
    return html`<div class="controls">${field(this, "word", this.t("word"))}${originField(this)}</div>
      ${missing ? why(this, missing) : html`<div class="bars vector-bars" role="group" aria-label=${this.t("title")}>${found.map((/** @type {[string, number]} */ [word, cosine]) => html`
        <button type="button" class="chip" @click=${() => this.set({ word })}>${word}</button><span class="bar"><span .style=${`width: ${100 * Math.max(0, cosine)}%`}></span></span><span class="percent" data-word=${word}>${this.n(cosine, 3)}</span>`)}</div>
      <p class="num faint">${this.t("of", { of: this.n(of, 0), width })}</p>`}`;
  }
  whenWrong() { return html`<div class="controls">${field(this, "word", this.t("word"))}${originField(this)}</div>`; }
}
define("glaswerk-neighbours", Neighbours);
