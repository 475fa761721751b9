// <glaswerk-fields>: AI ⊃ machine learning ⊃ deep learning ⊃ language models: programs to put where they belong. No model.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/fields.js";

/** the rings, outermost first, and what belongs into the innermost ring that still holds it */
const RINGS = ["ai", "ml", "dl", "llm"];
const PROGRAMS = [["chess", "ai"], ["gpt", "llm"], ["spam", "ml"], ["faces", "dl"], ["tree", "ml"], ["route", "ai"], ["speech", "dl"], ["open", "llm"]];

class Fields extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  // put: for each program the ring that the reader chose, or ""
  initial() { return { put: PROGRAMS.map(() => ""), now: 0 }; }

  body() {
    const now = this.state.now;
    const [name, right] = PROGRAMS[now];
    const chosen = this.state.put[now];
    const hits = PROGRAMS.filter(([, ring], place) => this.state.put[place] === ring).length;
    const asked = this.state.put.filter(Boolean).length;
    return html`<div class="two even"><div>
        <p class="faint num">${this.t("program", { place: now + 1, all: PROGRAMS.length })}</p><p class="cut-says"><b>${this.t(name)}</b></p>
        <div class="actions">${RINGS.map((ring) => html`<button type="button" class="button quiet ring-${ring}" aria-pressed=${String(chosen === ring)} @click=${() => this.put(ring)}>${this.t(ring)}</button>`)}</div>
        <div aria-live="polite">${chosen ? html`<p data-name="verdict"><b>${this.t(chosen === right ? "right" : "wrong", { ring: this.t(right) })}</b> ${this.t(`${name}_why`)}</p>` : html`<p class="faint">${this.t("choose")}</p>`}</div>
        <div class="actions">${now + 1 < PROGRAMS.length ? html`<button type="button" class="button quiet" ?disabled=${!chosen} @click=${() => this.set({ now: now + 1 })}>${this.t("next")}</button>` : nothing}
          <span class="num">${this.t("score", { hits, asked })}</span></div></div>
      ${this.ring(0)}</div>`;
  }

  /** @param {number} level @returns {any} */
  ring(level) {
    const ring = RINGS[level];
    const inside = PROGRAMS.filter(([, home], place) => home === ring && this.state.put[place]);
    return html`<div class="ring ring-${ring}"><p><b>${this.t(ring)}</b> <span class="faint">${this.t(`${ring}_is`)}</span></p>
      ${inside.length ? html`<ul>${inside.map(([name]) => html`<li>${this.t(`${name}_short`)}</li>`)}</ul>` : nothing}
      ${level + 1 < RINGS.length ? this.ring(level + 1) : nothing}</div>`;
  }

  /** @param {string} ring */
  put(ring) {
    if (this.state.put[this.state.now]) return;  // the first answer counts
    this.set({ put: this.state.put.map((/** @type {string} */ old, /** @type {number} */ place) => (place === this.state.now ? ring : old)) });
  }
}
define("glaswerk-fields", Fields);
