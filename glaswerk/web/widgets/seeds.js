// <glaswerk-seeds>: neighbouring seeds, each written twice: the same seed gives the same text.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/seeds.js";

class Seeds extends Figure {
  static texts = texts;
  static reloads = ["prompt", "seed", "temperature"];

  initial() { return { prompt: "My favourite food is", seed: 1, temperature: 1 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { prompt, seed, temperature } = this.state;
    return this.demo("seeds", { prompt, seed, temperature }, signal);
  }

  body() {
    const { lines, different } = this.data;
    return html`<div class="controls">${this.promptField()}</div>
      <div class="controls">${this.segments("temperature", [0, 0.7, 1].map((value) => ({ value, label: value ? this.n(value, 1) : this.t("greedy") })), this.t("temperature"))}
        <label class="control">${this.t("first")}<input class="cell-field" type="number" min="0" max="999990" step="1" .value=${String(this.state.seed)} @input=${(/** @type {any} */ event) => this.change(event.target.valueAsNumber)}></label></div>
      ${lines.map((/** @type {any} */ line) => html`<div class="seed-line"><p class="faint num">${this.t("seed", { seed: String(line.seed) })}</p>
        <p class="sum">${line.text}</p><p class="faint ${line.same ? "" : "c-loss"}">${line.same ? this.t("same") : html`${this.t("not_same")} <span class="sum">${line.again}</span>`}</p></div>`)}
      <p data-name="different">${this.t("different", { different: this.n(different, 0), lines: this.n(lines.length, 0) })}</p>`;
  }

  /** @param {number} seed */
  change(seed) { if (Number.isInteger(seed) && seed >= 0 && seed <= 999990) this.set({ seed }, { wait: 350 }); }
}
define("glaswerk-seeds", Seeds);
