// <glaswerk-lora-merge>: an adapter beside its matrices, merged into them, taken out again: how far the logits are apart.

import { define, html, nothing } from "../figure.js";
import { Later, inParts } from "../later.js";
import texts from "../texts/lora-merge.js";

const STAGES = ["beside", "merged", "unmerged", "base"];

class LoraMerge extends Later {
  static texts = texts;

  static reloads = ["voice"];

  initial() { return { voice: "pirate", stage: "beside" }; }

  async first() { return { told: null }; }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    const { voice } = this.state;
    await inParts((part) => this.demo("tuned", { voice, rank: 8, part }, signal), signal);
    data.told = await this.demo("merged", { voice }, signal);
    this.requestUpdate();
  }

  body() {
    const { told } = this.data, { stage } = this.state;
    return html`<div class="controls">${this.segments("stage", STAGES.map((value) => ({ value, label: this.t(value) })), this.t("stage"))}</div>
      ${this.waiting(this.t("going"), 0.5)}
      ${told ? html`<p>${this.t(`${stage}_says`, { rank: told.rank, apart: this.small(told.apart[stage === "beside" ? "learned" : stage]), largest: this.n(told.largest, 1), tokens: told.tokens, same: this.percent(told.same, 0) })}</p>
        <dl class="facts"><div><dd data-name="apart">${this.small(told.apart[stage === "beside" ? "learned" : stage])}</dd><dt>${this.t(stage === "beside" ? "from_base" : stage === "base" ? "base_from" : "from_beside")}</dt></div>
          <div><dd>${this.n(stage === "beside" || stage === "unmerged" ? told.products.beside : told.products.merged, 0)}</dd><dt>${this.t("products")}</dt></div>
          <div><dd>${this.n(told.adapter, 0)}</dd><dt>${this.t("adapter")}</dt></div><div><dd>${this.n(told.total, 0)}</dd><dt>${this.t("total")}</dt></div></dl>` : nothing}`;
  }

  /** A number that may be tiny. @param {number} value */
  small(value) {
    if (value === 0 || value >= 0.01) return this.n(value, value ? 2 : 0);
    const power = Math.floor(Math.log10(value));
    return `${this.n(value / 10 ** power, 1)} · 10⁻${String(-power).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)])}`;
  }
}
define("glaswerk-lora-merge", LoraMerge);
