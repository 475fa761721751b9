// <glaswerk-heat>: a matrix as coloured cells with labels. Pixels on a canvas, labels in SVG. Hover shows, a click
// locks, arrow keys move. Fires "cell" with {row, column, locked}. Left out: what a cell means; the figure says it.

import { html, nothing, svg } from "lit";
import { css, ramp, resolved } from "./colour.js";
import { define, number } from "./figure.js";
import { Painted } from "./painted.js";

const CHARACTER = 7.3; // width of a label's character in px

export class Heat extends Painted {
  static properties = {
    values: { attribute: false },
    rows: { type: Number },
    columns: { type: Number },
    rowLabels: { attribute: false },
    columnLabels: { attribute: false },
    kind: { type: String },
    most: { type: Number },
    hue: { type: String },
    label: { type: String },
    cell: { attribute: false },
    hidden_: { attribute: false },
    largest: { type: Number },
    scale: { type: Boolean },
  };

  constructor() {
    super();
    /** row by row @type {ArrayLike<number>} */
    this.values = [];
    this.rows = 0;
    this.columns = 0;
    /** @type {string[]} */
    this.rowLabels = [];
    /** @type {string[]} */
    this.columnLabels = [];
    /** @type {"weight"|"signed"} */
    this.kind = "weight";
    /** the value of the full colour; 0: the largest that is there */
    this.most = 0;
    this.hue = "--weight";
    /** what it shows, for a screen reader */
    this.label = "";
    /** the marked cell @type {{row: number, column: number}|null} */
    this.cell = null;
    /** says which cells are not there (the future) @type {((row: number, column: number) => boolean)|null} */
    this.hidden_ = null;
    /** the largest side of a cell in px */
    this.largest = 38;
    this.scale = true;
    this.locked = false;
  }

  connectedCallback() {
    super.connectedCallback();
    this.style.display = "block";
  }

  get full() {
    if (this.most) return this.most;
    let most = 0;
    for (let i = 0; i < this.values.length; i++) {
      const value = Math.abs(this.values[i]);
      if (value > most && Number.isFinite(value) && !this.hidden_?.(Math.floor(i / this.columns), i % this.columns)) most = value;
    }
    return most || 1;
  }

  get geometry() {
    const longest = (/** @type {string[]} */ labels) => Math.max(0, ...labels.map((label) => Math.min(label.length, 16)));
    const left = this.rowLabels.length ? longest(this.rowLabels) * CHARACTER + 12 : 0;
    const right = this.columnLabels.length ? longest(this.columnLabels) * CHARACTER * 0.5 : 0;
    const top = this.columnLabels.length ? longest(this.columnLabels) * CHARACTER * 0.87 + 12 : 0;
    const room = Math.max(60, this.width - left - right);
    const side = Math.max(3, Math.min(this.largest, Math.floor(room / Math.max(1, this.columns))));
    return { left, top, side, width: left + this.columns * side + right, height: top + this.rows * side };
  }

  render() {
    if (!this.width || !this.rows) return nothing;
    const { left, top, side, width, height } = this.geometry;
    const short = (/** @type {string} */ text) => (text.length > 16 ? `${text.slice(0, 15)}…` : text);
    const font = Math.max(8, Math.min(12, side * 0.8));
    return html`<div class="heat scroll" role="application" tabindex="0" aria-label=${this.label}
        @keydown=${this.key}>
      <svg width=${width} height=${height} @mousemove=${this.move} @mouseleave=${this.leave} @click=${this.lock} aria-hidden="true">
        <foreignObject x=${left} y=${top} width=${this.columns * side} height=${this.rows * side}><canvas></canvas></foreignObject>
        ${this.rowLabels.map((label, row) => svg`<text class=${row === this.cell?.row ? "on" : ""} x=${left - 7} y=${top + (row + 0.5) * side} font-size=${font} text-anchor="end" dominant-baseline="central">${short(label)}</text>`)}
        ${this.columnLabels.map((label, column) => svg`<text class=${column === this.cell?.column ? "on" : ""} x="0" y="0" font-size=${font} transform="translate(${left + (column + 0.6) * side} ${top - 7}) rotate(-60)">${short(label)}</text>`)}
        ${this.cell ? svg`<rect class="mark" x=${left + this.cell.column * side} y=${top + this.cell.row * side} width=${side} height=${side}></rect>` : nothing}
      </svg></div>${this.scale ? this.legend() : nothing}`;
  }

  legend() {
    const most = this.full;
    const digits = most >= 100 ? 0 : most >= 10 ? 1 : 2;
    return html`<div class="scale">${number(this.kind === "signed" ? -most : 0, digits)}<canvas class="ramp" width="128" height="1"></canvas>${number(most, digits)}</div>`;
  }

  updated() {
    const canvas = /** @type {HTMLCanvasElement|null} */ (this.querySelector(".heat canvas"));
    if (!canvas || !this.rows) return;
    const { side } = this.geometry;
    const colour = ramp(this, this.kind, this.full, this.hue);
    const ground = css(resolved(this, "--pane"));
    const ratio = Math.min(3, devicePixelRatio || 1);
    const gap = side >= 8 ? 1 : 0;
    canvas.width = this.columns * side * ratio;
    canvas.height = this.rows * side * ratio;
    canvas.style.width = `${this.columns * side}px`;
    canvas.style.height = `${this.rows * side}px`;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(ratio, ratio);
    context.fillStyle = ground;
    context.fillRect(0, 0, this.columns * side, this.rows * side);
    const dot = css(resolved(this, "--hairline"));
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        if (this.hidden_?.(row, column)) {
          context.fillStyle = dot;
          if (side >= 8) context.fillRect(column * side + side / 2 - 1, row * side + side / 2 - 1, 2, 2);
          continue;
        }
        context.fillStyle = css(colour(this.values[row * this.columns + column]));
        context.fillRect(column * side, row * side, side - gap, side - gap);
      }
    }
    const scale = /** @type {HTMLCanvasElement|null} */ (this.querySelector("canvas.ramp"));
    const strip = scale?.getContext("2d");
    if (!strip) return;
    const most = this.full;
    for (let x = 0; x < 128; x++) {
      strip.fillStyle = css(colour(this.kind === "signed" ? most * (x / 63.5 - 1) : (most * x) / 127));
      strip.fillRect(x, 0, 1, 1);
    }
  }

  /** @param {MouseEvent} event */
  place(event) {
    const { left, top, side } = this.geometry;
    const box = /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - left) / side), row = Math.floor((event.clientY - box.top - top) / side);
    const there = row >= 0 && column >= 0 && row < this.rows && column < this.columns && !this.hidden_?.(row, column);
    return there ? { row, column } : null;
  }
  /** @param {{row: number, column: number}|null} cell */
  tell(cell) {
    if (cell) this.dispatchEvent(new CustomEvent("cell", { detail: { ...cell, locked: this.locked }, bubbles: true }));
  }
  /** @param {MouseEvent} event */
  move(event) { if (!this.locked) this.tell(this.place(event)); }
  leave() {}
  /** @param {MouseEvent} event */
  lock(event) {
    const cell = this.place(event);
    this.locked = cell ? !(this.locked && cell.row === this.cell?.row && cell.column === this.cell?.column) : false;
    this.tell(cell);
  }
  /** @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = this.cell ?? { row: 0, column: 0 };
    const row = Math.min(this.rows - 1, Math.max(0, from.row + step[0]));
    let column = Math.min(this.columns - 1, Math.max(0, from.column + step[1]));
    while (column > 0 && this.hidden_?.(row, column)) column--;
    this.locked = true;
    this.tell({ row, column });
  }
}
define("glaswerk-heat", Heat);
