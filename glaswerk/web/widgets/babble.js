// <glaswerk-babble>: the same beginning continued by counts of 1, 2, 3 and 5 tokens and by the model; what stands in the
// corpus word for word is marked.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/babble.js";

class Babble extends Figure {
  static texts = texts;
  static reloads = ["prompt", "seed"];

  initial() { return { prompt: "The history of the city", seed: 1 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("babble", { prompt: this.state.prompt, seed: this.state.seed }, signal); }

  body() {
    const { lines, corpus, own, length, prompt } = this.data;
    return html`<div class="controls">${this.promptField()}
        <button type="button" class="button quiet" @click=${() => this.set({ seed: this.state.seed + 1 })}>${this.t("again_drawn")}</button></div>
      ${lines.map((/** @type {any} */ line) => html`<div class="seed-line"><p class="num"><b>${line.n ? this.t("by_counts", { n: line.n }) : this.t("by_model")}</b>
          <span class="faint">${this.t("copied", { share: this.percent(this.share(line), 0) })}</span></p>
        <p class="told"><span class="faint">${prompt}</span>${line.tokens.map((/** @type {string} */ token, /** @type {number} */ place) => html`<span class=${line.copied[place] ? "from-corpus" : ""}>${plain(token)}</span>`)}</p></div>`)}
      <p class="faint"><span class="from-corpus">${this.t("marked")}</span> ${this.t(own ? "legend_own" : "legend_pulled", { length, corpus })}</p>`;
  }

  /** @param {{copied: boolean[]}} line */
  share(line) { return line.copied.filter(Boolean).length / Math.max(1, line.copied.length); }
}

/** A chip's text as it is read: spaces and line ends as themselves. @param {string} token */
function plain(token) { return token.replaceAll("·", " ").replaceAll("⏎", " ⏎ "); }
define("glaswerk-babble", Babble);
