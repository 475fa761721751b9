// <glaswerk-analogy>: b - a + c and what lies there; and how many of a list of analogies come out right.

import { Figure, define, html, nothing } from "../figure.js";
import { askOrigin, field, originField, why, withOrigins } from "../origins.js";
import texts from "../texts/analogy.js";

const SAMPLES = [["man", "king", "woman"], ["france", "paris", "italy"], ["walk", "walking", "swim"], ["big", "bigger", "small"]];

class Analogy extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["origin", "a", "b", "c", "inputs"];

  initial() { return { origin: "glove", a: "man", b: "king", c: "woman", inputs: false }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { a, b, c, inputs } = this.state;
    const [one, all] = await Promise.all([askOrigin(this, "analogy", { a, b, c, inputs }, signal), askOrigin(this, "score", { inputs }, signal)]);
    return { ...one, all };
  }

  fields() {
    const { a, b, c } = this.state;
    return html`<div class="controls">${field(this, "b", "b")}<span aria-hidden="true">−</span>${field(this, "a", "a")}<span aria-hidden="true">+</span>${field(this, "c", "c")}</div>
      <div class="controls"><span class="faint">${this.t("samples")}</span>${SAMPLES.map(([first, second, third]) => html`<button type="button" class="button quiet" aria-pressed=${String(first === a && second === b && third === c)}
        @click=${() => this.set({ a: first, b: second, c: third })}>${second} − ${first} + ${third}</button>`)}</div>
      <div class="controls">${originField(this)}${this.segments("inputs", [{ value: false, label: this.t("forbidden") }, { value: true, label: this.t("allowed") }], this.t("inputs"))}</div>`;
  }

  body() {
    const { found, missing, all } = this.data;
    return html`${this.fields()}<div class="two"><div>${missing ? why(this, missing) : html`<div class="bars vector-bars" role="list" aria-label=${this.t("title")}>${found.map((/** @type {[string, number]} */ [word, cosine]) => html`
        <span role="listitem" class="chip">${word}</span><span class="bar"><span .style=${`width: ${100 * Math.max(0, cosine)}%`}></span></span><span class="percent">${this.n(cosine, 3)}</span>`)}</div>`}</div>
      ${all.missing ? nothing : html`<table class="prices"><caption class="faint">${this.t("score", { asked: all.asked })}</caption>
        <tbody>${Object.entries(all.kinds).map(([kind, told]) => html`<tr><th scope="row">${this.t(kind)}</th><td class="num">${this.t("right_of", told)}</td></tr>`)}
        <tr><th scope="row"><b>${this.t("together")}</b></th><td class="num"><b data-name="share">${all.share === null ? "–" : this.percent(all.share, 0)}</b></td></tr></tbody></table>`}</div>`;
  }
  whenWrong() { return this.fields(); }
}
define("glaswerk-analogy", Analogy);
