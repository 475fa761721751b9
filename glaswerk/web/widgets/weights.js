// <glaswerk-weights>: the open model's parameters as a treemap; the chosen matrix as a histogram and a picture.
// Left out: what a weight does for a text.

import { scaleLinear } from "d3-scale";
import { ask, askOnce, unpack } from "../data.js";
import { Figure, define, html, letters, nothing, svg } from "../figure.js";
import "../heat.js";
import texts from "../texts/weights.js";

const GAP = 3;
const HUES = { embedding: "residual", position: "position", q: "query", k: "key", v: "value", o: "weight", gate: "mlp", up: "mlp", down: "mlp", head: "logit" };
/** @typedef {{name: string, part: string, layer: number|null, shape: number[], numbers: number}} Piece */

class Weights extends Figure {
  static texts = texts;
  static reloads = ["name", "layer"];
  static properties = { ...Figure.properties, width: { state: true } };

  constructor() {
    super();
    /** of the inside, in px: areas are laid out for it, so that words in them keep their size */
    this.width = 920;
    this.observer = new ResizeObserver(() => { this.width = this.querySelector(".figure-foot")?.clientWidth || this.width; });
  }

  connectedCallback() { super.connectedCallback(); this.observer.observe(this); }
  disconnectedCallback() { super.disconnectedCallback(); this.observer.disconnect(); }

  initial() { return { name: "q", layer: 0 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const list = await askOnce("weights", {});
    const one = await ask("weight", { name: this.state.name, layer: this.state.layer }, signal);
    return { ...list, one, picture: { data: unpack(one.picture), shape: one.picture.shape } };
  }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(key, { name: this.data?.model ?? "…", ...values }); }

  body() {
    const { pieces, layers, one } = this.data;
    const names = [...new Set(pieces.map((/** @type {Piece} */ piece) => piece.name))];
    const inside = one.layer !== null;
    const total = pieces.reduce((/** @type {number} */ sum, /** @type {Piece} */ piece) => sum + piece.numbers, 0);
    return html`<p class="faint">${this.t("map", { count: this.n(total, 0) })}</p>${this.map(total)}
      <div class="controls">${this.select("name", names.map((name) => ({ value: name, label: this.t(name) })), this.t("what"))}
        ${inside ? this.numbers("layer", layers, this.t("layer")) : nothing}</div>
      <dl class="facts">${[["shape", one.shape.map((/** @type {number} */ size) => this.n(size, 0)).join(" × ")], ["numbers", this.n(one.numbers, 0)], ["mean", this.n(one.mean, 4)],
        ["deviation", this.n(one.deviation, 4)], ["range", `${this.n(one.min, 2)} … ${this.n(one.max, 2)}`]].map(([key, value]) => html`<div><dd data-name=${key}>${value}</dd><dt>${this.t(key)}</dt></div>`)}</dl>
      ${one.seen < one.numbers ? html`<p class="faint">${this.t("seen", { seen: this.n(one.seen, 0), numbers: this.n(one.numbers, 0) })}</p>` : nothing}
      <div class="two"><div><p><b>${this.t("histogram")}</b></p>${this.histogram()}<p class="faint">${this.t("beyond")}</p></div>
        <div><p><b>${this.t(one.single ? "picture" : "cells")}</b></p><glaswerk-heat .values=${this.data.picture.data} .rows=${this.data.picture.shape[0]} .columns=${this.data.picture.shape[1]}
          .kind=${one.single ? "signed" : "weight"} .hue=${`--${this.hue(one.name)}`} .largest=${7} .label=${this.t(one.single ? "picture" : "cells")}></glaswerk-heat><p class="faint">${this.t(one.single ? "picture_how" : "cells_how")}</p></div></div>`;
  }

  /** @param {string} name @returns {string} */
  hue(name) { return HUES[/** @type {keyof typeof HUES} */ (name)] ?? "position"; }

  /** Parts beside each other, in each one row per layer: the areas are true to the numbers. @param {number} total */
  map(total) {
    /** @type {Map<string, Piece[]>} */
    const parts = new Map();
    for (const piece of this.data.pieces) parts.set(piece.part, [...(parts.get(piece.part) ?? []), piece]);
    const shown = [...parts.values()].filter((own) => sum(own) / total > 0.002);
    const rem = letters();
    const W = this.width, H = Math.max(440 * rem, 0.37 * W);
    const room = W - GAP * (shown.length - 1);
    const whole = shown.reduce((all, own) => all + sum(own), 0);
    let x = 0;
    /** @type {any[]} */
    const cells = [];
    for (const own of shown) {
      const width = (room * sum(own)) / whole;
      /** @type {Map<number|null, Piece[]>} */
      const rows = new Map();
      for (const piece of own) rows.set(piece.layer, [...(rows.get(piece.layer) ?? []), piece]);
      let y = 0;
      for (const row of rows.values()) {
        const height = (H * sum(row)) / sum(own);
        let left = x;
        for (const piece of row) {
          const wide = (width * piece.numbers) / sum(row);
          cells.push(this.cell(piece, left, y, wide, height, total, rem));
          left += wide;
        }
        y += height;
      }
      x += width + GAP;
    }
    return html`<svg class="treemap" viewBox="0 0 ${W} ${H}" role="img" aria-label=${this.t("map", { count: this.n(total, 0) })}>${cells}</svg>`;
  }

  /** @param {Piece} piece @param {number} x @param {number} y @param {number} width @param {number} height @param {number} total
   * @param {number} rem how much larger than usual letters are */
  cell(piece, x, y, width, height, total, rem) {
    const one = this.data.one;
    const chosen = piece.name === one.name && piece.layer === one.layer;
    const where = piece.layer === null ? "" : ` · ${this.t("layer")} ${piece.layer}`;
    const name = this.t(piece.name);
    const fits = height > 13 * rem && width > (6.2 * name.length + 9) * rem;
    const numbered = piece.layer !== null && width > (6.2 * (name.length + 3) + 9) * rem;
    return svg`<g class=${chosen ? "on" : ""} .style=${`--hue: var(--${this.hue(piece.name)})`} @click=${() => this.set({ name: piece.name, ...(piece.layer === null ? {} : { layer: piece.layer }) })}>
      <title>${name}${where}: ${this.n(piece.numbers, 0)} (${this.percent(piece.numbers / total, 1)})</title>
      <rect x=${x + 0.5} y=${y + 0.5} width=${Math.max(0.5, width - 1)} height=${Math.max(0.5, height - 1)}></rect>
      ${fits ? svg`<text x=${x + 5} y=${y + Math.min(height / 2, 14 * rem)} dominant-baseline="central">${name}${numbered ? ` ${piece.layer}` : ""}</text>` : nothing}</g>`;
  }

  histogram() {
    const { counts, reach, name } = this.data.one;
    const w = 420, h = 190, left = 8, bottom = 22;
    const most = Math.max(...counts);
    const x = scaleLinear([-reach, reach], [left, w - left]);
    const step = (w - 2 * left) / counts.length;
    return html`<svg class="plot" viewBox="0 0 ${w} ${h}" role="img" aria-label=${this.t("histogram")}>
      ${counts.map((/** @type {number} */ count, /** @type {number} */ place) => svg`<rect x=${left + place * step + 0.5} width=${step - 1} y=${(h - bottom) * (1 - count / most)} height=${((h - bottom) * count) / most}
        .style=${`fill: var(--${this.hue(name)})`}><title>${this.n(-reach + (2 * reach * (place + 0.5)) / counts.length, 3)}: ${this.n(count, 0)}</title></rect>`)}
      ${x.ticks(5).map((tick) => svg`<text x=${x(tick)} y=${h - 7} text-anchor="middle">${this.n(tick, reach < 0.2 ? 2 : 1)}</text>`)}</svg>`;
  }
}

/** @param {Piece[]} pieces */
function sum(pieces) { return pieces.reduce((all, piece) => all + piece.numbers, 0); }

define("glaswerk-weights", Weights);
