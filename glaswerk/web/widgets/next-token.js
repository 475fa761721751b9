// <glaswerk-next-token>: the likeliest next tokens as bars, with temperature, top-k, top-p and min-p.

import { Figure, define, html, nothing } from "../figure.js";
import { ask, askOnce } from "../data.js";
import { distribution, unfolded } from "../sampling.js";
import texts from "../texts/next-token.js";

class NextToken extends Figure {
  static texts = texts;

  initial() {
    return { prompt: "The capital of France is", temperature: 1, top_k: 0, top_p: 1, min_p: 0, shown: 12, seed: 1 };
  }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const told = await askOnce("next", { prompt: this.state.prompt });
    this.drawn_ = null;
    return { ...told, logits: unfolded(told) };
  }

  body() {
    const { logits, top, vocabulary } = this.data;
    const shares = distribution(logits, /** @type {any} */ (this.state));
    const shown = Math.min(this.state.shown, top.length);
    const kept = shares.findIndex((share) => share === 0);
    const most = Math.max(shares[0], 1e-9);
    let rest = 1;
    for (let i = 0; i < shown; i++) rest -= shares[i];
    return html`<div class="controls">${this.promptField()}</div>
      <div class="controls">
        ${this.slider("temperature", { label: this.t("temperature"), min: 0.1, max: 2, step: 0.05 })}
        ${this.slider("top_k", { label: this.t("top_k"), min: 0, max: 100, step: 1, digits: 0, off: 0, offText: this.t("off") })}
        ${this.slider("top_p", { label: this.t("top_p"), min: 0.05, max: 1, step: 0.01, off: 1, offText: this.t("off") })}
        ${this.slider("min_p", { label: this.t("min_p"), min: 0, max: 0.5, step: 0.01, off: 0, offText: this.t("off") })}
      </div>
      <div class="bars" role="list" aria-label=${this.t("bars")}>${top.slice(0, shown).map((/** @type {any} */ candidate, /** @type {number} */ place) => this.bar(candidate.token, shares[place], most, candidate.id))}
        <span class="faint">${this.t("rest")}</span><span></span><span class="percent faint">${this.percent(Math.max(0, rest))}</span></div>
      <p class="num faint">${this.t("kept", { kept: this.n(kept < 0 ? vocabulary : kept, 0), vocabulary: this.n(vocabulary, 0) })}</p>
      <div class="actions"><button type="button" class="button quiet" @click=${() => this.draw()}>${this.t("draw")}</button>
        ${this.drawn_ ? html`<span>${this.t("drawn", { token: this.drawn_.token, probability: this.percent(this.drawn_.probability) })}</span>
          <button type="button" class="button quiet" @click=${() => this.set({ prompt: this.drawn_.text })}>${this.t("append")}</button>` : nothing}</div>`;
  }

  /** @param {string} token @param {number} share @param {number} most @param {number} id */
  bar(token, share, most, id) {
    return html`<span role="listitem" class="chip ${share ? "" : "gone"}" title="id ${id}">${token}</span>
      <span class="bar ${share ? "" : "gone"}"><span .style=${`width: ${share ? (100 * share) / most : 6}%`}></span></span>
      <span class="percent ${share ? "" : "gone"}" data-id=${id} data-value=${share}>${share ? this.percent(share) : "–"}</span>`;
  }

  async draw() {
    const { prompt, temperature, top_k, top_p, min_p, seed } = this.state;
    this.drawn_ = await ask("step", { prompt, temperature, top_k, top_p, min_p, seed });
    this.set({ seed: seed + 1 });
    this.announce(this.t("drawn", { token: this.drawn_.token, probability: this.percent(this.drawn_.probability) }));
  }
}
define("glaswerk-next-token", NextToken);
