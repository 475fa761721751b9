// <glaswerk-model-card>: the open model's shape, and its parameters by part.

import { Figure, define, html, nothing } from "../figure.js";
import { ask } from "../data.js";
import texts from "../texts/model-card.js";

const HUES = { embedding: "residual", position: "position", attention: "weight", mlp: "mlp", norm: "position", head: "logit" };

class ModelCard extends Figure {
  static texts = texts;

  /** @param {AbortSignal} signal */
  load(signal) { return ask("model", {}, signal); }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(key, { name: this.data?.name ?? "…", ...values }); }

  body() {
    const { parameters, layers, heads, width, vocabulary, context, tied, family } = this.data;
    const parts = Object.entries(parameters).filter(([name, count]) => name !== "total" && count > 0);
    return html`<dl class="facts">${[["parameters", parameters.total], ["layers", layers], ["heads", heads], ["width", width], ["vocabulary", vocabulary], ["context", context]].map(
        ([name, value]) => html`<div><dd data-name=${name}>${this.n(value, 0)}</dd><dt>${this.t(name)}</dt></div>`)}
        <div><dd>${family}</dd><dt>${this.t("family")}</dt></div></dl>
      <div class="parts" role="list" aria-label=${this.t("parts")}>${parts.map(([name, count]) => html`<div role="listitem" .style=${`flex-grow: ${count}; --hue: var(--${HUES[/** @type {keyof typeof HUES} */ (name)]})`}>
        <b>${this.t(name)}</b><span class="num">${this.n(count, 0)} · ${this.percent(count / parameters.total, count / parameters.total < 0.005 ? 2 : 0)}</span></div>`)}</div>
      ${tied ? html`<p class="faint">${this.t("tied")}</p>` : nothing}`;
  }

  provenance() { return nothing; }
}
define("glaswerk-model-card", ModelCard);
