// <glaswerk-leaning>: where words lean between two others, a probe for bias.

import { Figure, define, html, nothing } from "../figure.js";
import { askOrigin, field, originField, why, withOrigins } from "../origins.js";
import texts from "../texts/leaning.js";

class Leaning extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["origin", "left", "right", "words"];

  initial() {
    return { origin: "glove", left: "she", right: "he", words: "nurse receptionist librarian teacher dancer writer artist lawyer doctor scientist manager engineer carpenter soldier" };
  }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { left, right, words } = this.state;
    return askOrigin(this, "leaning", { left, right, words }, signal);
  }

  fields() {
    return html`<div class="controls">${originField(this)}${field(this, "left", this.t("left"))}${field(this, "right", this.t("right"))}</div>
      <div class="controls">${field(this, "words", this.t("words"), { most: 400, grow: true, wait: 500 })}</div>`;
  }

  body() {
    const { found, left, right, lost, missing } = this.data;
    const most = Math.max(0.05, ...(found ?? []).map((/** @type {[string, number]} */ [, value]) => Math.abs(value)));
    return html`${this.fields()}${missing ? why(this, missing) : html`<div class="lean" role="list" aria-label=${this.t("title")}>
        <span></span><span class="faint ends"><span>← ${left}</span><span>${right} →</span></span><span></span>
        ${found.map((/** @type {[string, number]} */ [word, value]) => html`<span role="listitem">${word}</span><span class="both"><span class=${value < 0 ? "minus" : "plus"} .style=${`width: ${(50 * Math.abs(value)) / most}%`}></span></span><span class="num" data-word=${word}>${this.n(value, 3)}</span>`)}</div>
      ${lost.length ? html`<p class="faint">${this.t("lost", { words: lost.join(", ") })}</p>` : nothing}`}`;
  }
  whenWrong() { return this.fields(); }
}
define("glaswerk-leaning", Leaning);
