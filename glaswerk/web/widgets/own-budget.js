// <glaswerk-own-budget>: the open model thinks about the reader's question on a budget, and must answer then.

import { language } from "../data.js";
import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/own-budget.js";

const BUDGETS = [0, 4, 8, 16, 32, 64];

class OwnBudget extends Figure {
  static texts = texts;
  static reloads = ["prompt", "at", "waits"];

  initial() { return { prompt: this.t("example"), at: 3, waits: 0 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { prompt, at, waits } = this.state;
    return this.demo("trial", { language, prompt, budget: BUDGETS[Math.min(at, BUDGETS.length - 1)], waits }, signal);
  }

  controls() {
    const place = Math.min(this.state.at, BUDGETS.length - 1), shown = this.t("tokens", { count: BUDGETS[place] });
    return html`<div class="controls"><label class="control grow">${this.t("prompt")}<input class="prompt" type="text" maxlength="200" spellcheck="false" autocomplete="off" .value=${this.state.prompt} @input=${(/** @type {any} */ event) => this.set({ prompt: event.target.value }, { wait: 600 })}></label></div>
      <div class="controls"><label class="slider">${this.t("budget")}<span class="value">${shown}</span><input type="range" data-key="at" min="0" max=${BUDGETS.length - 1} step="1" .value=${String(place)} aria-valuetext=${shown} @input=${(/** @type {any} */ event) => this.set({ at: Number(event.target.value) })}></label>
        ${this.segments("waits", [0, 1, 2].map((value) => ({ value, label: `${value}` })), this.t("waits"))}</div>`;
  }

  body() {
    const { thinking, answer, marker, tokens, forced, waited, layers, depth, chat } = this.data;
    return html`${this.controls()}${chat ? nothing : html`<p class="notice-line">${this.t("no_chat")}</p>`}
      <ul class="chips own-thought" aria-label=${this.t("thinking")} lang="">${thinking.map((/** @type {string} */ token) => html`<li class="chip">${token}</li>`)}<li class="chip special">${marker}</li></ul>
      <p class="asked-for" data-name="answer"><span class="faint">${this.t("answer")}</span> <b lang="">${answer || "…"}</b></p>
      <dl class="facts"><div><dd data-name="tokens">${tokens}</dd><dt>${this.t(forced ? "was_cut" : "was_done")}${waited ? html`, ${this.t("waited", { count: waited })}` : nothing}</dt></div>
        <div><dd class="c-residual" data-name="depth">${this.n(depth, 0)}</dd><dt>${this.t("depth", { layers, more: tokens + 1 })}</dt></div></dl>`;
  }

  whenWrong() { return this.controls(); }
}
define("glaswerk-own-budget", OwnBudget);
