// <glaswerk-made-up>: the open model is asked what it read, what it did not read and what does not exist; its reply with
// the probability of each token, beside what is true.

import { Figure, define, html, nothing } from "../figure.js";
import { language, live } from "../data.js";
import texts from "../texts/made-up.js";

class MadeUp extends Figure {
  static texts = texts;
  static reloads = ["source", "kind", "number"];

  initial() { return { source: "own", kind: 0, number: 0 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { source, kind, number } = this.state;
    return this.demo("reply", { language, source, kind, number }, signal);
  }

  controls() {
    const { sources = [], source, kinds = [], count = 1 } = this.data;
    return html`<div class="controls">
      ${live && sources.length > 1 ? this.segments("source", sources.map((/** @type {string} */ name, /** @type {number} */ place) => ({ value: place ? name : "own", label: this.t(name) })), this.t("source")) : nothing}
      ${this.segments("kind", kinds.map((/** @type {string} */ name, /** @type {number} */ value) => ({ value, label: this.t(name) })), this.t(`${source}_of`))}
      <label class="slider">${this.t("question")}<span class="value">${this.n(this.state.number + 1, 0)}</span><input type="range" data-key="number" min="0" max=${count - 1} step="1" .value=${String(this.state.number)} aria-valuetext=${this.n(this.state.number + 1, 0)}
        @input=${(/** @type {any} */ event) => this.set({ number: Number(event.target.value) }, { wait: 120 })}></label></div>`;
  }

  whenWrong() { return this.controls(); }

  body() {
    const { question, truth, tokens, probabilities, outcome, sure, source, kind, shared } = this.data;
    return html`${this.controls()}
      <p class="asked-for"><span class="faint">${this.t("asks")}</span> <span lang="">${question}</span></p>
      ${tokens.length ? html`<ul class="look-strip probable" aria-label=${this.t("reply")}>${tokens.map((/** @type {string} */ token, /** @type {number} */ place) => html`<li><span class="chip" .style=${`--share: ${probabilities[place]}`}>${token}<small>${this.n(100 * probabilities[place], 0)}</small></span></li>`)}</ul>` : html`<p class="faint">${this.t("silent")}</p>`}
      <div class="two even"><div class="reading"><p class=${`verdict ${outcome}`} data-name="outcome">${this.t(truth ? `${outcome}_true` : `${outcome}_none`, { kind: this.t(kind) })}${truth && source === "titles" && outcome !== "declined" ? html` <span class="faint">${this.t("shared", { shared: this.n(shared, 2) })}</span>` : nothing}</p>
          <p><span class="faint">${this.t(truth ? `${source}_truth` : "no_truth")}</span> <span lang="">${truth}</span></p></div>
        <dl class="facts">${["mean", "first", "least"].map((name) => html`<div><dd class="c-logit" data-name=${name}>${this.percent(sure[name], 0)}</dd><dt>${this.t(name)}</dt></div>`)}</dl></div>
      ${source === "capitals" && this.data.sources.length < 2 ? html`<p class="notice-line">${this.t("no_run")}</p>` : nothing}`;
  }
}
define("glaswerk-made-up", MadeUp);
