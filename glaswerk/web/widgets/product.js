// <glaswerk-product>: what a chat program makes of a question before the model reads it, and what comes back.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/product.js";

class Product extends Figure {
  static texts = texts;
  static reloads = ["prompt", "rules", "seed"];

  initial() { return { prompt: "What is the capital of France?", rules: "You answer in one short sentence.", seed: 1 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { prompt, rules, seed } = this.state;
    return this.demo("product", { question: prompt, rules, seed }, signal);
  }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(key === "prompt" ? "question" : key, values); }

  body() {
    const { sent, typed, reply, chat, stopped, reply_tokens: count } = this.data;
    return html`<div class="controls">${this.promptField()}</div><div class="controls">
        <label class="control grow">${this.t("rules")}<input class="prompt" type="text" maxlength="200" spellcheck="false" .value=${this.state.rules} @input=${(/** @type {any} */ event) => this.set({ rules: event.target.value }, { wait: 350 })}></label>
        <button type="button" class="button quiet" @click=${() => this.set({ seed: this.state.seed + 1 })}>${this.t("again_drawn")}</button></div>
      <div class="reading"><p><b>${this.t("reads")}</b> <span class="num">${this.t("typed", { typed: this.n(typed, 0), sent: this.n(sent.length, 0) })}</span></p>
        <ul class="chips">${sent.map((/** @type {any} */ one) => html`<li><span class="chip ${one.special ? "special" : ""}">${one.token}</span></li>`)}</ul>
        <p><b>${this.t("writes")}</b></p><p class="told" data-name="reply">${reply || this.t("nothing")}</p>
        <p class="faint">${chat ? nothing : html`${this.t("base")} `}${this.t(stopped ? "stopped" : "cut", { count: this.n(count, 0) })}</p></div>`;
  }
}
define("glaswerk-product", Product);
