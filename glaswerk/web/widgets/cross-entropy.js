// <glaswerk-cross-entropy>: three words, which one was true, and what that costs; the gradient of each logit.

import { Figure, define, html, svg } from "../figure.js";
import { chart } from "../chart.js";
import texts from "../texts/cross-entropy.js";

class CrossEntropy extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  initial() { return { truth: 0, shift: 0 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("surprise", {}, signal); }

  body() {
    const { words, logits } = this.data;
    const { truth, shift } = this.state;
    const moved = logits.map((/** @type {number} */ logit, /** @type {number} */ place) => logit + (place === truth ? shift : 0));
    const powers = moved.map(Math.exp);
    const total = powers.reduce((/** @type {number} */ sum, /** @type {number} */ power) => sum + power, 0);
    const shares = powers.map((/** @type {number} */ power) => power / total);
    const loss = -Math.log(shares[truth]);
    return html`<div class="controls">${this.segments("truth", words.map((/** @type {string} */ label, /** @type {number} */ value) => ({ value, label })), this.t("truth"))}
        ${this.slider("shift", { label: this.t("shift", { word: words[truth] }), min: -4, max: 6, step: 0.1, digits: 1, accent: "var(--logit)" })}</div>
      <div class="two even"><div class="reading">
        <table class="ledger"><thead><tr><td></td><th scope="col">${this.t("logit")}</th><th scope="col">P</th><td></td><th scope="col">${this.t("gradient")}</th></tr></thead>
          <tbody>${words.map((/** @type {string} */ word, /** @type {number} */ place) => html`<tr class=${place === truth ? "on" : ""}><th scope="row"><span class="chip ${place === truth ? "on" : ""}">${word}</span></th>
            <td>${this.n(moved[place], 3)}</td><td class="c-logit" data-name="p-${place}">${this.n(shares[place], 3)}</td><td class="track"><span .style=${`--size: ${shares[place]}`}></span></td>
            <td class="c-loss" data-name="gradient-${place}">${this.signed(shares[place] - Number(place === truth))}</td></tr>`)}</tbody></table>
        <p>${this.t("loss", { word: words[truth] })}<br><span class="big c-loss">−ln ${this.n(shares[truth], 3)} = <span data-name="loss">${this.n(loss, 3)}</span></span></p>
        <dl><dt>${this.t("bits")}</dt><dd>${this.n(loss / Math.LN2, 3)}</dd><dt>${this.t("perplexity")}</dt><dd>${this.n(Math.exp(loss), 2)}</dd></dl></div>
      ${chart({
        label: this.t("curve"), x: [0, 1], y: [0, 5], xLabel: this.t("share"), yLabel: this.t("loss_axis"), height: 280,
        series: [{ name: "", points: Array.from({ length: 200 }, (_, place) => [(place + 1) / 200, -Math.log((place + 1) / 200)]) }],
        more: (/** @type {any} */ x, /** @type {any} */ y) => svg`<line class="drop" x1=${x(shares[truth])} x2=${x(shares[truth])} y1=${y(0)} y2=${y(loss)}></line><circle class="here" cx=${x(shares[truth])} cy=${y(loss)} r="6"></circle>`,
      })}</div>`;
  }

  /** @param {number} value */
  signed(value) { return `${value >= 0 ? "+" : ""}${this.n(value, 3)}`; }
}
define("glaswerk-cross-entropy", CrossEntropy);
