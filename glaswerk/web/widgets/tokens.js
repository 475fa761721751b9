// <glaswerk-tokens>: a text as token chips with ids, by the open model's tokenizer.

import { Figure, define, html, nothing } from "../figure.js";
import { ask } from "../data.js";
import texts from "../texts/tokens.js";

class Tokens extends Figure {
  static texts = texts;
  static reloads = ["text"];

  initial() { return { text: "Hello, glass.", chosen: -1 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return ask("tokens", { text: this.state.text }, signal); }

  body() {
    const { tokens, characters, bytes, vocabulary } = this.data;
    const chosen = tokens[this.state.chosen];
    return html`<div class="controls"><label class="control grow">${this.t("text")}
        <input class="prompt" type="text" maxlength="2000" spellcheck="false" .value=${this.state.text}
          @input=${(/** @type {any} */ event) => this.set({ text: event.target.value, chosen: -1 }, { wait: 120 })}></label></div>
      <ul class="chips">${tokens.map((/** @type {any} */ token, /** @type {number} */ place) => html`<li><button type="button" class="chip"
        aria-pressed=${String(place === this.state.chosen)} @click=${() => this.choose(place)}>${token.text}<small>${token.id}</small></button></li>`)}</ul>
      <p class="num">${this.t("counts", { characters: this.n(characters, 0), bytes: this.n(bytes, 0), tokens: this.n(tokens.length, 0), vocabulary: this.n(vocabulary, 0) })}</p>
      ${chosen ? html`<p class="sum">${this.t("bytes_of", { id: chosen.id, bytes: chosen.bytes.match(/../g)?.join(" ") })}</p>` : nothing}`;
  }

  whenWrong() { return html`<div class="controls"><label class="control grow">${this.t("text")}<input class="prompt" type="text" .value=${this.state.text} @input=${(/** @type {any} */ event) => this.set({ text: event.target.value }, { wait: 120 })}></label></div>`; }

  /** @param {number} place */
  choose(place) {
    const token = this.data.tokens[place];
    this.set({ chosen: this.state.chosen === place ? -1 : place });
    this.announce(this.t("bytes_of", { id: token.id, bytes: token.bytes }));
  }
}
define("glaswerk-tokens", Tokens);
