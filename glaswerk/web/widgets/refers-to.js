// <glaswerk-refers-to>: of two nouns, which one does each head look at from a pronoun? All layers and heads at once.

import { Figure, define, html } from "../figure.js";
import { at, tokenOf, trace, values } from "../data.js";
import "../heat.js";
import texts from "../texts/refers-to.js";

/** where one looks from: the words up to it; and the two nouns */
const SENTENCES = [
  { prompt: "The cat sat on the mat because it was tired", from: "because it", nouns: ["cat", "mat"] },
  { prompt: "The trophy didn't fit in the suitcase because it was too big", from: "because it", nouns: ["trophy", "suitcase"] },
  { prompt: "The trophy didn't fit in the suitcase because it was too small", from: "because it", nouns: ["trophy", "suitcase"] },
];

class RefersTo extends Figure {
  static texts = texts;
  static reloads = ["sentence"];

  initial() { return { sentence: 0, place: -1, layer: -1, head: -1 }; }
  get example() { return SENTENCES[this.state.sentence] ?? SENTENCES[0]; }

  async load() {
    const { prompt } = this.example;
    const told = await trace(prompt);
    const found = await values(prompt, ["blocks.*.attention.weights"], true);
    return { ...told, example: this.example, weights: told.steps.filter((step) => step.name.endsWith("attention.weights")).map((step) => found[step.name]) };
  }

  body() {
    const { tokens, prompt, model, weights, example } = this.data, size = tokens.length;
    const where = (/** @type {string} */ words) => tokenOf(tokens, prompt, words);
    const from = this.state.place >= 0 && this.state.place < size ? this.state.place : where(example.from);
    const nouns = /** @type {number[]} */ (example.nouns.map(where)), named = nouns.map((place) => tokens[place].text);
    const look = (/** @type {number} */ layer, /** @type {number} */ head, /** @type {number} */ to) => at(weights[layer], 0, head)[from * size + to];
    /** @type {number[]} */
    const cells = [];
    for (let layer = 0; layer < model.layers; layer++) for (let head = 0; head < model.heads; head++) cells.push(look(layer, head, nouns[0]) - look(layer, head, nouns[1]));
    const most = cells.reduce((best, value, place) => (Math.abs(value) > Math.abs(cells[best]) ? place : best), 0);
    const layer = this.state.layer >= 0 && this.state.layer < model.layers ? this.state.layer : Math.floor(most / model.heads);
    const head = this.state.head >= 0 && this.state.head < model.heads ? this.state.head : most % model.heads;
    const row = at(weights[layer], 0, head).subarray(from * size, (from + 1) * size);
    const means = nouns.map((to) => weights.reduce((/** @type {number} */ sum, /** @type {any} */ _, /** @type {number} */ each) => sum + Array.from({ length: model.heads }, (__, one) => look(each, one, to)).reduce((a, b) => a + b, 0), 0) / cells.length);
    const first = cells.filter((value) => value > 0.1).length, second = cells.filter((value) => value < -0.1).length;
    return html`<div class="controls">${this.select("sentence", SENTENCES.map((each, value) => ({ value, label: each.prompt })), this.t("sentence"))}</div>
      <p class="faint">${this.t("strip", { token: tokens[from].text, layer, head })}</p>
      <ul class="look-strip" aria-label=${this.t("choose")}>${tokens.map((/** @type {any} */ token, /** @type {number} */ place) => html`<li><button type="button"
        class="chip ${place > from ? "future" : ""} ${place === from ? "on" : ""}" aria-pressed=${String(place === from)} .style=${`--share: ${row[place]}`}
        @click=${() => this.set({ place, layer: -1, head: -1 })}>${token.text}<small>${place <= from ? this.n(row[place], 2) : " "}</small></button></li>`)}</ul>
      <div class="two"><glaswerk-heat .values=${cells} .rows=${model.layers} .columns=${model.heads} kind="signed" .most=${1} .largest=${22}
          .rowLabels=${Array.from({ length: model.layers }, (_, each) => `${each}`)} .columnLabels=${Array.from({ length: model.heads }, (_, each) => `${each}`)}
          .cell=${{ row: layer, column: head }} label=${this.t("map", { first: named[0], second: named[1] })}
          @cell=${(/** @type {CustomEvent} */ event) => this.point(event.detail)}></glaswerk-heat>
        <div class="reading"><p>${this.t("reads", { first: named[0], second: named[1] })}</p>
          <p><b>${this.t("here", { layer, head, token: tokens[from].text })}</b></p>
          <dl>${nouns.map((to, each) => html`<dt>${named[each]}</dt><dd class="c-weight" data-name="noun-${each}">${this.n(row[to], 3)}</dd>`)}</dl>
          <p><b>${this.t("all", { count: cells.length })}</b></p>
          <dl>${nouns.map((_, each) => html`<dt>${this.t("mean", { noun: named[each] })}</dt><dd>${this.n(means[each], 3)}</dd>`)}
            <dt>${this.t("prefer", { noun: named[0] })}</dt><dd>${first}</dd><dt>${this.t("prefer", { noun: named[1] })}</dt><dd>${second}</dd></dl>
        </div></div>`;
  }

  /** @param {{row: number, column: number, locked: boolean}} cell */
  point({ row, column, locked }) {
    if (locked) this.set({ layer: row, head: column });
    else this.state = { ...this.state, layer: row, head: column };
    if (locked) this.announce(this.t("here", { layer: row, head: column, token: "" }));
  }
}
define("glaswerk-refers-to", RefersTo);
