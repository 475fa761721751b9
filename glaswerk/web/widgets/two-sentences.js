// <glaswerk-two-sentences>: two sentences, one true and one false, with the open model's loss on every token: which one
// does it find likelier?

import { Figure, define, html } from "../figure.js";
import { language } from "../data.js";
import texts from "../texts/two-sentences.js";

class TwoSentences extends Figure {
  static texts = texts;
  static reloads = ["true", "false"];

  initial() { return { true: "", false: "" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("sentence_pair", { language, true: this.state.true, false: this.state.false }, signal); }

  /** @param {"true"|"false"} key */
  field(key) {
    return html`<label class="control grow">${this.t(key)}<input class="prompt" type="text" maxlength="300" spellcheck="false" autocomplete="off" lang="" data-key=${key} .value=${this.state[key] || this.data?.[key] || ""}
      @input=${(/** @type {any} */ event) => this.set({ true: this.data?.true ?? "", false: this.data?.false ?? "", [key]: event.target.value }, { wait: 400 })}></label>`;
  }

  controls() {
    const { offered = [] } = this.data ?? {};
    const at = offered.findIndex((/** @type {string[]} */ pair) => pair[0] === this.data.true && pair[1] === this.data.false);
    return html`<div class="controls"><label class="control">${this.t("offered")}<select data-key="pair" @change=${(/** @type {any} */ event) => { const pair = offered[event.target.selectedIndex - 1]; if (pair) this.set({ true: pair[0], false: pair[1] }); }}>
        <option ?selected=${at < 0}>${this.t("own")}</option>${offered.map((/** @type {string[]} */ pair, /** @type {number} */ place) => html`<option lang="" ?selected=${at === place}>${pair[1].length > 60 ? `${pair[1].slice(0, 59)}…` : pair[1]}</option>`)}</select></label></div>
      <div class="controls">${this.field("true")}</div><div class="controls">${this.field("false")}</div>`;
  }

  whenWrong() { return this.controls(); }

  body() {
    const { pair, most } = this.data, [yes, no] = pair, apart = yes.total - no.total;
    const line = (/** @type {any} */ one, /** @type {string} */ key) => html`<div class="priced-line"><p class="faint">${this.t(`${key}_said`)} <b class="c-loss" data-name=${`${key}-total`}>${this.n(one.total, 2)}</b> · ${this.t("mean")} ${this.n(one.mean, 2)}</p>
      <ul class="look-strip losses" aria-label=${this.t(`${key}_said`)}>${one.tokens.map((/** @type {string} */ token, /** @type {number} */ place) => html`<li><span class="chip" .style=${`--share: ${Math.min(1, one.losses[place] / most)}`}>${token}<small>${this.n(one.losses[place], 2)}</small></span></li>`)}</ul></div>`;
    return html`${this.controls()}${line(yes, "true")}${line(no, "false")}
      <p class="verdict-line" data-name="verdict">${this.t(Math.abs(apart) < 0.005 ? "equal" : apart > 0 ? "fooled" : "fine", { times: this.times(Math.exp(Math.abs(apart))) })}</p>`;
  }

  /** @param {number} ratio */
  times(ratio) { return ratio >= 1e6 ? this.t("million") : this.n(ratio, ratio < 10 ? 1 : 0); }
}
define("glaswerk-two-sentences", TwoSentences);
