// <glaswerk-token-loss>: the open model's loss on every token of a text, and what it would have bet on.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/token-loss.js";

class TokenLoss extends Figure {
  static texts = texts;

  initial() { return { prompt: "Paris ist die Hauptstadt von Frankreich", token: -1 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("tokens", { prompt: this.state.prompt }, signal); }

  body() {
    const { rows, first, mean, perplexity, blind, vocabulary } = this.data;
    const worst = rows.reduce((/** @type {number} */ best, /** @type {any} */ row, /** @type {number} */ place) => (row.loss > rows[best].loss ? place : best), 0);
    const at = this.state.token >= 0 && this.state.token < rows.length ? this.state.token : worst;
    const row = rows[at];
    return html`<div class="controls">${this.promptField()}</div>
      <ul class="look-strip losses" aria-label=${this.t("choose")}><li><span class="chip future">${first}<small>–</small></span></li>
        ${rows.map((/** @type {any} */ each, /** @type {number} */ place) => html`<li><button type="button" class="chip ${place === at ? "on" : ""}" aria-pressed=${String(place === at)}
          .style=${`--share: ${Math.min(1, each.loss / blind)}`} @click=${() => this.set({ token: place })}>${each.token}<small data-name="loss">${this.n(each.loss, 2)}</small></button></li>`)}</ul>
      <div class="reading"><p>${this.t("told", { token: row.token, share: this.share(row.loss) })} <span class="c-loss">−ln P = ${this.n(row.loss, 3)}</span>${row.bet === row.token ? html` ${this.t("right")}` : nothing}</p>
        ${row.bet === row.token ? nothing : html`<p class="faint">${this.t("bet", { token: row.bet, share: this.percent(row.bet_probability) })}</p>`}
        <dl><dt>${this.t("mean")}</dt><dd class="c-loss" data-name="mean">${this.n(mean, 3)}</dd><dt>${this.t("perplexity")}</dt><dd data-name="perplexity">${this.n(perplexity, 1)}</dd>
          <dt>${this.t("blind", { count: this.n(vocabulary, 0) })}</dt><dd>${this.n(blind, 3)}</dd></dl></div>`;
  }

  /** P as per cent, with two digits that say something. @param {number} loss */
  share(loss) { return this.percent(Math.exp(-loss), Math.min(12, Math.max(1, Math.ceil(loss / Math.LN10) - 1))); }
}
define("glaswerk-token-loss", TokenLoss);
