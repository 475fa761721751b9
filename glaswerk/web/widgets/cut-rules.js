// <glaswerk-cut-rules>: two prompts under the same cut (top-k, top-p or min-p): what each leaves to be drawn. The logits
// are fetched once per prompt; the slider only cuts them anew.

import { Figure, define, html } from "../figure.js";
import { askOnce } from "../data.js";
import { distribution, unfolded } from "../sampling.js";
import texts from "../texts/cut-rules.js";

const SHOWN = 12;
const OFF = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 };

class CutRules extends Figure {
  static texts = texts;
  static reloads = ["sure", "open"];

  initial() { return { sure: "The capital of France is", open: "The weather today is", rule: "top_p", top_k: 10, top_p: 0.9, min_p: 0.1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const one = async (/** @type {string} */ prompt) => {
      const told = await askOnce("next", { prompt });
      const logits = unfolded(told);
      return { ...told, logits, plain: distribution(logits, OFF) };
    };
    const sure = await one(this.state.sure);
    return { model: sure.model, sides: [sure, await one(this.state.open)] };
  }

  body() {
    const rule = this.state.rule;
    const slider = {
      top_k: { min: 1, max: 100, step: 1, digits: 0 },
      top_p: { min: 0.05, max: 1, step: 0.01 },
      min_p: { min: 0.01, max: 0.5, step: 0.01 },
    }[/** @type {"top_k"|"top_p"|"min_p"} */ (rule)] ?? { min: 0, max: 1, step: 1 };
    return html`<div class="controls">${this.segments("rule", ["top_k", "top_p", "min_p"].map((value) => ({ value, label: this.t(value) })), this.t("rule"))}
        ${this.slider(rule, { label: this.t(`${rule}_slider`), ...slider })}</div>
      <p class="cut-says">${this.t(`${rule}_says`, { value: this.n(this.state[rule], rule === "top_k" ? 0 : 2) })}</p>
      <div class="two even">${this.side(0, "sure")}${this.side(1, "open")}</div>`;
  }

  /** @param {number} place @param {"sure"|"open"} key */
  side(place, key) {
    const { logits, plain, top, vocabulary } = this.data.sides[place];
    const cut = distribution(logits, /** @type {any} */ ({ ...OFF, [this.state.rule]: this.state[this.state.rule] }));
    const kept = cut.findIndex((share) => share === 0);
    const count = kept < 0 ? vocabulary : kept;
    let mass = 0;
    for (let i = 0; i < count; i++) mass += plain[i];
    const shown = Math.min(SHOWN, top.length);
    return html`<div class="reading">${this.promptField(key)}
      <p class="num"><b class="big" data-name="kept-${key}">${this.n(count, 0)}</b> ${this.t("kept", { vocabulary: this.n(vocabulary, 0), mass: this.percent(mass) })}</p>
      <div class="bars" role="list" aria-label=${this.t("bars")}>${top.slice(0, shown).map((/** @type {any} */ candidate, /** @type {number} */ i) => html`<span role="listitem" class="chip ${i < count ? "" : "gone"}">${candidate.token}</span>
        <span class="bar ${i < count ? "" : "gone"}"><span .style=${`width: ${(100 * plain[i]) / plain[0]}%`}></span></span>
        <span class="percent ${i < count ? "" : "gone"}">${i < count ? html`${this.percent(plain[i])} → <b>${this.percent(cut[i])}</b>` : this.percent(plain[i])}</span>`)}</div></div>`;
  }

  whenWrong() { return html`<div class="controls">${this.promptField("sure")}${this.promptField("open")}</div>`; }
  provenance() { return html`${this.t("model")} <b>${this.data?.model ?? ""}</b>`; }
}
define("glaswerk-cut-rules", CutRules);
