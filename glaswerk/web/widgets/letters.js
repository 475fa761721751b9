// <glaswerk-letters>: the letters of a word against its tokens, and what the open model says when it is asked to count.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/letters.js";

class Letters extends Figure {
  static texts = texts;
  static reloads = ["word", "letter"];

  initial() { return { word: "strawberry", letter: "r" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("letters", { word: this.state.word, letter: this.state.letter }, signal); }

  body() {
    const { tokens, count, digits } = this.data;
    const most = Math.max(...digits);
    const said = digits.indexOf(most);
    return html`${this.fields()}
      <div class="two"><div>
        <p class="faint">${this.t("you")}</p>
        <p class="spelled" aria-hidden="true">${[...this.data.word].map((each) => html`<span class=${each.toLowerCase() === this.data.letter.toLowerCase() ? "on" : ""}>${each}</span>`)}</p>
        <p class="num">${this.t("count", { letter: this.data.letter, count: this.n(count, 0) })}</p>
        <p class="faint">${this.t("gets")}</p>
        <ul class="chips ids">${tokens.map((/** @type {any} */ token) => html`<li class="chip">${token.id}</li>`)}</ul>
        <p class="faint">${this.t("inside")}</p>
        <ul class="chips">${tokens.map((/** @type {any} */ token) => html`<li class="chip">${token.text}<small>${this.t("times", { count: token.count })}</small></li>`)}</ul>
      </div><div>
        <p class="faint">${this.t("asked")}</p><p class="sum">${this.data.prompt}</p>
        <div class="bars" role="list" aria-label=${this.t("asked")}>${digits.map((/** @type {number} */ share, /** @type {number} */ digit) => html`
          <span role="listitem" class="chip ${digit === count ? "on" : ""}">${digit}</span><span class="bar"><span .style=${`width: ${(100 * share) / most}%`}></span></span><span class="percent" data-digit=${digit}>${this.percent(share)}</span>`)}</div>
        <p>${this.t(said === count ? "right" : "wrong", { said, count })}</p>
      </div></div>`;
  }

  fields() {
    return html`<div class="controls"><label class="control">${this.t("word")}
        <input class="prompt" type="text" maxlength="40" spellcheck="false" autocomplete="off" .value=${this.state.word}
          @input=${(/** @type {any} */ event) => this.set({ word: event.target.value }, { wait: 600 })}></label>
      <label class="control">${this.t("letter")}
        <input class="prompt" type="text" maxlength="1" size="2" spellcheck="false" autocomplete="off" .value=${this.state.letter}
          @input=${(/** @type {any} */ event) => event.target.value && this.set({ letter: event.target.value }, { wait: 600 })}></label>
      <button type="button" class="button quiet" @click=${() => this.set({ word: this.state.word.includes("-") ? this.state.word.replaceAll("-", "") : [...this.state.word].join("-").slice(0, 40) })}>${this.t("spell")}</button></div>`;
  }
  whenWrong() { return this.fields(); }
}
define("glaswerk-letters", Letters);
