// <glaswerk-hello>: one text in GPT-2's vocabulary beside the open model's. Left out: other vocabularies (`tokenizers.js`).

import { Figure, define, html, nothing } from "../figure.js";
import { Told, settled } from "../data.js";
import texts from "../texts/hello.js";

/** @typedef {{id: number, text: string, bytes: number[], merge?: number}} Piece */
/** @typedef {{name: string, vocabulary: number, tokens: Piece[]}} Cut */

class Hello extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["text"];

  initial() { return { text: "Hello" }; }

  /** GPT-2's list may not be pulled, and no model may be open: each says so in its own place. @param {AbortSignal} signal */
  async load(signal) {
    const { text } = this.state;
    const told = (/** @type {unknown} */ error) => { if (error instanceof Told && error.message !== "stopped") return { missing: error.message }; throw error; };
    const open = async () => {
      const model = await settled();
      if (model.state === "none") throw new Told("no_model");
      return this.demo("opened", { text }, signal);
    };
    const [gpt2, opened] = await Promise.all([this.demo("gpt2", { text }, signal).catch(told), open().catch(told)]);
    return { gpt2, opened };
  }

  body() {
    return html`<div class="controls"><label class="control grow">${this.t("text")}<input class="prompt" type="text" dir="auto" maxlength="60" spellcheck="false" autocomplete="off" .value=${this.state.text}
        @input=${(/** @type {any} */ event) => this.set({ text: event.target.value }, { wait: 200 })}></label></div>
      <div class="two">${this.list(this.data.gpt2, "GPT-2")}${this.list(this.data.opened, this.t("open"))}</div>`;
  }

  /** @param {Cut & {missing?: string}} cut @param {string} name */
  list(cut, name) {
    if (cut.missing) {
      const pull = /glaswerk pull ([\w-]+)/.exec(cut.missing);
      return html`<div><p><b>${name}</b></p><p class="faint">${pull ? html`${this.t("not_pulled")} <code>glaswerk pull ${pull[1]}</code>` : this.t(cut.missing)}</p></div>`;
    }
    return html`<div data-list=${cut.name}><p><b>${cut.name}</b><br><span class="faint num">${this.t("size", { count: this.n(cut.vocabulary, 0) })}</span></p>
      <ul class="chips hello">${cut.tokens.map((token) => html`<li class="chip"><bdi>${token.text}</bdi><small data-id>${token.id}</small>${token.merge === undefined ? nothing
        : html`<small class="faint">${token.merge ? this.t("is_merge", { merge: this.n(token.merge, 0) }) : this.t("is_byte")}</small>`}</li>`)}</ul></div>`;
  }
}
define("glaswerk-hello", Hello);
