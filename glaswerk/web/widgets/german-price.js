// <glaswerk-german-price>: how many tokens German takes for what English says, measured on translated sentences.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/german-price.js";
import { OPEN, askEach, chips, missing, nameOf, withNames } from "../vocabularies.js";

/** @typedef {import("../vocabularies.js").Found} Found */
const FULL = 2; // the ratio at which a bar is full

class GermanPrice extends Figure {
  static texts = withNames(texts);
  static needsModel = false;
  static reloads = ["place"];

  initial() { return { place: 20, kind: "gpt2", kinds: ["characters", "wordpiece", "bpe", "gpt2", "cl100k", "o200k", "open"] }; }

  /** The table is measured once; only sentence and cuts follow the slider. @type {Promise<Found[]>|null} */
  prices = null;
  /** what the open model's vocabulary takes, once it is there @type {Found|null} */
  open = null;

  /** @param {AbortSignal} signal */
  async load(signal) {
    const pair = await this.demo("pair", { place: this.state.place }, signal);
    /** @type {any} */
    const data = { ...pair, cuts: [] };
    const { kinds } = this.state;
    this.prices ??= askEach(this, "price", kinds, {}, new AbortController().signal, (open) => {
      this.open = open;
      this.requestUpdate();
    }).catch((error) => { this.prices = null; throw error; });
    [data.prices, data.cuts] = await Promise.all([
      this.prices,
      askEach(this, "cut", kinds.filter((/** @type {string} */ kind) => kind !== "characters"), { texts: [pair.de, pair.en] }, signal, (open) => {
        data.cuts = data.cuts.map((/** @type {Found} */ each) => (each.kind === OPEN ? open : each));
        this.requestUpdate();
      }),
    ]);
    return data;
  }

  body() {
    const { prices, cuts, pairs } = this.data;
    const cut = cuts.find((/** @type {Found} */ found) => found.kind === this.state.kind);
    const choices = cuts.map((/** @type {Found} */ found) => ({ value: found.kind, label: nameOf(this, found) }));
    return html`<div class="scroll"><table class="prices"><caption class="faint">${this.t("caption", { pairs: this.n(pairs, 0) })}</caption>
        <thead><tr><th scope="col">${this.t("vocabulary")}</th><th scope="col" class="num">${this.t("german")}</th><th scope="col" class="num">${this.t("english")}</th><th scope="col" colspan="2">${this.t("ratio")}</th></tr></thead>
        <tbody>${prices.map((/** @type {Found} */ found) => this.price(found.kind === OPEN ? this.open ?? found : found))}</tbody></table></div>
      <div class="controls">
        <label class="slider">${this.t("sentence")}<span class="value">${this.n(this.state.place + 1, 0)}</span>
          <input type="range" data-key="place" min="0" max=${pairs - 1} step="1" .value=${String(this.state.place)} aria-valuetext=${`${this.state.place + 1}`}
            @input=${(/** @type {any} */ event) => this.set({ place: Number(event.target.value) }, { wait: 120 })}></label>
        ${this.select("kind", choices, this.t("vocabulary"))}</div>
      ${cut?.answer ? [this.data.de, this.data.en].map((text, side) => html`<p lang=${side ? "en" : "de"}>${text} <span class="faint num">${this.t(cut.answer.cuts[side].length === 1 ? "one" : "count", { tokens: this.n(cut.answer.cuts[side].length, 0) })}</span></p>${chips(this, cut.answer.cuts[side])}`) : cut?.missing ? missing(this, cut.missing) : nothing}`;
  }

  /** @param {Found} found */
  price(found) {
    const told = found.answer;
    if (!told) return html`<tr><th scope="row">${nameOf(this, found)}</th><td colspan="4">${found.missing ? missing(this, found.missing) : this.t("computing")}</td></tr>`;
    return html`<tr data-kind=${found.kind}><th scope="row">${nameOf(this, found)}</th><td class="num">${this.n(told.de, 0)}</td><td class="num">${this.n(told.en, 0)}</td>
      <td class="num"><b>${this.n(told.ratio)}</b></td><td class="ratio"><span class="bar" aria-hidden="true"><span .style=${`width: ${Math.min(100, (100 * told.ratio) / FULL)}%`}></span></span></td></tr>`;
  }
}
define("glaswerk-german-price", GermanPrice);
