// <glaswerk-root-d>: softmax shares of random scores, with and without dividing by the root of d. The example of a
// figure whose numbers come from the chapter's demo.py.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/root-d.js";

class RootD extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["width"];

  initial() { return { width: 64 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("spread", { width: this.state.width }, signal); }

  body() {
    const power = Math.log2(this.state.width);
    return html`<div class="controls"><label class="slider">${this.t("width")}<span class="value">${this.state.width}</span>
        <input type="range" data-key="width" min="1" max="10" step="1" .value=${String(power)} aria-valuetext=${String(this.state.width)}
          @input=${(/** @type {any} */ event) => this.set({ width: 2 ** Number(event.target.value) })}></label></div>
      <div class="two">${["plain", "divided"].map((how) => this.side(how))}</div>`;
  }

  /** @param {string} how */
  side(how) {
    const { spread, largest, example } = this.data[how];
    return html`<div class="reading"><p><b>${this.t(how)}</b></p>
      <div class="columns" role="img" aria-label=${this.t("shares", { how: this.t(how) })}>${example.map((/** @type {number} */ share) => html`<span .style=${`--size: ${share}`}></span>`)}</div>
      <dl><dt>${this.t("spread")}</dt><dd data-name="spread-${how}">${this.n(spread)}</dd>
        <dt>${this.t("largest", { queries: this.data.queries })}</dt><dd class="c-weight" data-name="largest-${how}">${this.percent(largest)}</dd></dl></div>`;
  }
}
define("glaswerk-root-d", RootD);
