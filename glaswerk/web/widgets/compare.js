// <glaswerk-compare>: one prompt through the open model and another one: after which token, in which layer and in which
// written token they part. Left out: which is better.

import { Figure, define, html, nothing } from "../figure.js";
import { ask, askOnce } from "../data.js";
import "../heat.js";
import texts from "../texts/compare.js";

/** @typedef {{id: number, text: string}} Written */

class Compare extends Figure {
  static texts = texts;
  static reloads = ["prompt", "with"];

  initial() { return { prompt: "Paris ist die Hauptstadt von", with: "", row: -1, column: -1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { models, open } = await askOnce("models", {});
    // another stage of the same run is small and near; any other model is opened only when it is asked for
    const near = models.find((/** @type {string} */ name) => open.includes("/") && name.split("/")[0] === open.split("/")[0]);
    const other = models.includes(this.state.with) ? this.state.with : near;
    if (!other) return { models, model: open, none: true };
    return { models, other, model: open, ...(await ask("compare", { prompt: this.state.prompt, with: other }, signal)) };
  }

  body() {
    const { models, none, other, places, layers, first, second, same_tokens } = this.data;
    const controls = html`<div class="controls">${this.promptField()}
        ${models.length ? html`<label class="control">${this.t("other")}<select data-key="with" @change=${(/** @type {any} */ event) => this.set({ with: event.target.value })}>
          ${other ? nothing : html`<option value="" selected>${this.t("choose")}</option>`}
          ${models.map((/** @type {string} */ name) => html`<option value=${name} ?selected=${name === other}>${name}</option>`)}</select></label>` : nothing}</div>`;
    if (none) return models.length ? controls : html`<p>${this.t("none")}</p>`;
    const labels = first.tokens.map((/** @type {any} */ token) => token.text);
    return html`${controls}
      ${same_tokens ? this.places(places, labels) : html`<p>${this.t("other_tokens")}</p>${[first, second].map((side) => html`<p class="faint">${this.t("tokens_of", { name: side.name, count: side.tokens.length })}</p>
        <ul class="chips">${side.tokens.map((/** @type {any} */ token) => html`<li><span class="chip"><bdi>${token.text}</bdi></span></li>`)}</ul>`)}${this.ends()}`}
      ${this.written(first, second)}
      ${layers ? this.layers(layers, labels) : same_tokens ? html`<p class="faint">${this.t("other_shape")}</p>` : nothing}`;
  }

  /** @param {any[]} places @param {string[]} labels */
  places(places, labels) {
    const most = places.reduce((best, place, at) => (place.moved > places[best].moved ? at : best), 0);
    const { first, second } = this.data;
    const chip = (/** @type {any} */ top) => html`<td><bdi class="chip">${top.token}</bdi></td><td class="n">${this.percent(top.probability)}</td>`;
    return html`<p><b>${places[most].moved ? this.t("parts_at", { token: labels[most], moved: this.percent(places[most].moved) }) : this.t("equal")}</b></p>
      <div class="scroll"><table class="layers parting"><thead><tr><th>${this.t("after")}</th><th>${this.t("apart")}</th><th colspan="2">${this.t("says", { name: first.name })}</th><th colspan="2">${this.t("says", { name: second.name })}</th></tr></thead>
      <tbody>${places.map((place, at) => html`<tr class=${at === most && place.moved ? "on" : ""}><th scope="row"><bdi class="chip">${labels[at]}</bdi></th>
        <td><span class="length"><span class="n" data-moved=${at}>${this.percent(place.moved)}</span><span class="rail"><span .style=${`width: ${100 * place.moved}%; background: var(--logit)`}></span></span></span></td>
        ${chip(place.first)}${chip(place.second)}</tr>`)}</tbody></table></div>`;
  }

  /** What each expects at the end. */
  ends() {
    const { first, second } = this.data;
    return html`<div class="two">${[first, second].map((side) => html`<div><p class="faint">${this.t("says", { name: side.name })}</p><div class="bars">${side.top.slice(0, 5).map((/** @type {any} */ one) => html`<bdi class="chip">${one.token}</bdi>
      <span class="bar"><span .style=${`width: ${(100 * one.probability) / side.top[0].probability}%`}></span></span><span class="percent">${this.percent(one.probability)}</span>`)}</div></div>`)}</div>`;
  }

  /** @param {{name: string, written: Written[]}} first @param {{name: string, written: Written[]}} second */
  written(first, second) {
    const longest = Math.max(first.written.length, second.written.length);
    let same = 0;
    while (same < longest && first.written[same]?.text === second.written[same]?.text) same++;
    const words = same === longest ? this.t("all_same", { count: same }) : same ? this.t("first_other", { count: same }) : this.t("part_at_once");
    return html`<p class="matrix-title">${this.t("written")}</p>${[first, second].map((side) => html`<p class="faint side-name">${side.name}</p><ul class="chips written">${side.written.length
      ? side.written.map((token, at) => html`<li><span class="chip ${at >= same ? "parted" : ""}"><bdi>${token.text}</bdi></span></li>`) : html`<li class="faint">${this.t("nothing")}</li>`}</ul>`)}<p class="faint">${longest ? words : nothing}</p>`;
  }

  /** @param {number[][]} layers @param {string[]} labels */
  layers(layers, labels) {
    const rows = layers.length, columns = labels.length;
    const flat = (this.flat_ = this.data.flat ??= Float32Array.from(layers.flat()));
    const row = Math.min(this.state.row < 0 ? rows - 1 : this.state.row, rows - 1), column = Math.min(this.state.column < 0 ? columns - 1 : this.state.column, columns - 1);
    return html`<p class="matrix-title">${this.t("layers_title")}</p><p class="faint">${this.t("layers_text")}</p>
      <glaswerk-heat .values=${flat} .rows=${rows} .columns=${columns} .rowLabels=${layers.map((_, at) => String(at))} .columnLabels=${labels} .most=${0} .largest=${24} hue="--loss"
        .cell=${{ row, column }} label=${this.t("layers_map")} @cell=${(/** @type {CustomEvent} */ event) => this.set({ row: event.detail.row, column: event.detail.column })}></glaswerk-heat>
      <p class="num">${this.t("cell", { layer: row, token: labels[column], value: this.n(layers[row][column], 3) })}</p>`;
  }
}
define("glaswerk-compare", Compare);
