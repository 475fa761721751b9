// <glaswerk-bits>: what each token of a text costs in bits under the model, and the whole beside its bytes and zlib.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/bits.js";

class Bits extends Figure {
  static texts = texts;

  initial() { return { prompt: "The capital of France is Paris, and the capital of Spain is Madrid." }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("bits", { text: this.state.prompt }, signal); }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(key === "prompt" ? "text" : key, values); }

  body() {
    const { tokens, bytes, model_bits, zlib_bits, even_bits } = this.data;
    const rows = [["bytes", 8 * bytes], ["zlib", zlib_bits], ["even", even_bits], ["model_code", model_bits]];
    const most = Math.max(...rows.map(([, value]) => Number(value)));
    return html`<div class="controls">${this.promptField()}</div>
      <ol class="written priced" aria-label=${this.t("costs")}>${tokens.map((/** @type {any} */ token) => html`<li title=${this.percent(token.probability, 2)}><span class="chip">${token.token}</span>
        <span class="cost"><span .style=${`--size: ${Math.min(1, token.bits / 16)}`}></span></span><small>${this.n(token.bits, 1)}</small></li>`)}</ol>
      <div class="bars named" role="list">${rows.map(([key, value]) => html`<span role="listitem">${this.t(String(key))}</span>
        <span class="bar"><span .style=${`width: ${(100 * Number(value)) / most}%`}></span></span><span class="percent" data-name=${key}>${this.t("unit", { count: this.n(Number(value), 0) })}</span>`)}</div>
      <p class="num">${this.t("per_byte", { bits: this.n(model_bits / bytes, 2) })}</p>`;
  }
}
define("glaswerk-bits", Bits);
