// <glaswerk-matrix>: a matrix of the trace: the whole of it as a picture, a part of it as numbers. Pointing at a number
// shows what it is made of, a click follows its row; arrow keys move. Fires "cell" with {row, column, locked}.
// Left out: what a number is made of (`made.js`).

import { html, nothing } from "lit";
import { css, ramp, resolved } from "../colour.js";
import { define, letters, number } from "../figure.js";
import { Painted } from "../painted.js";
import { tableDigits } from "./numbers.js";

const ROWS = 9; // rows shown as numbers
// in px where letters have their usual size
const CELL = 62;
const LABEL = 104;

export class Matrix extends Painted {
  static slack = 1;
  static properties = {
    values: { attribute: false },
    rows: { type: Number },
    columns: { type: Number },
    labels: { attribute: false },
    columnLabels: { attribute: false },
    step: { type: String },
    leading: { type: String },
    kind: { type: String },
    hue: { type: String },
    most: { type: Number },
    row: { type: Number },
    column: { type: Number },
    future: { type: String },
    name: { type: String },
  };

  constructor() {
    super();
    /** row by row @type {Float32Array} */
    this.values = new Float32Array();
    this.rows = 0;
    this.columns = 0;
    /** what each row is, a token @type {string[]} */
    this.labels = [];
    /** what each column is; null: its number @type {string[]|null} */
    this.columnLabels = null;
    /** the step's name in the trace, and the index before row and column ("0,3") */
    this.step = "";
    this.leading = "0";
    /** @type {"signed"|"weight"} */
    this.kind = "signed";
    this.hue = "--weight";
    /** the value of the full colour; 0: the largest there is */
    this.most = 0;
    /** the chosen cell */
    this.row = 0;
    this.column = 0;
    /** what stands where column > row: "" the number, "gone" a dot, "minus" −∞ */
    this.future = "";
    /** what it shows, for a screen reader */
    this.name = "";
    /** what the picture was painted from @type {Float32Array|null} */
    this.painted = null;
    this.paintedKey = "";
    /** @type {HTMLCanvasElement|null} */
    this.picture = null;
    /** whether the chosen cell takes the keyboard's focus after drawing */
    this.focusing = false;
  }

  get full() {
    if (this.most) return this.most;
    let most = 0;
    for (const value of this.values) { const size = Math.abs(value); if (size > most && Number.isFinite(size)) most = size; }
    return most || 1;
  }

  /** Rows and columns that stand as numbers: around the chosen cell. */
  get section() {
    const fit = Math.max(2, Math.floor((this.width / letters() - LABEL) / CELL));
    const along = (/** @type {number} */ size, /** @type {number} */ room, /** @type {number} */ at) => {
      const count = Math.min(size, room);
      const from = Math.min(Math.max(0, at - Math.floor(count / 2)), size - count);
      return Array.from({ length: count }, (_, place) => from + place);
    };
    return { rows: along(this.rows, ROWS, this.row), columns: along(this.columns, fit, this.column) };
  }

  render() {
    if (!this.width || !this.rows) return nothing;
    const { rows, columns } = this.section;
    const full = this.full;
    const digits = tableDigits(full);
    const whole = columns.length < this.columns || rows.length < this.rows;
    const column_ = (/** @type {number} */ c) => (this.columnLabels ? this.columnLabels[c] : String(c));
    return html`${whole ? html`<div class="whole" @click=${this.aim} @mousemove=${this.aim} aria-hidden="true"><canvas></canvas></div>` : nothing}
      <div class="scroll"><table class="grid" aria-label=${this.name} @keydown=${this.key} @mouseleave=${() => this.tell(-1, -1, false)}>
      <thead><tr><td></td>${columns.map((c) => html`<th scope="col" class=${c === this.column ? "on" : ""}><bdi>${column_(c)}</bdi></th>`)}</tr></thead>
      <tbody>${rows.map((r) => html`<tr><th scope="row" class=${r === this.row ? "on" : ""}><bdi>${this.labels[r]}</bdi></th>${columns.map((c) => this.cell(r, c, full, digits))}</tr>`)}</tbody></table></div>`;
  }

  /** @param {number} r @param {number} c @param {number} full @param {number} digits */
  cell(r, c, full, digits) {
    if (this.future && c > r) return html`<td class="future">${this.future === "minus" ? "−∞" : "·"}</td>`;
    const value = this.values[r * this.columns + c];
    const share = Math.round(46 * Math.min(1, Math.abs(value) / full));
    const hue = this.kind === "weight" ? this.hue : value < 0 ? "--minus" : "--plus";
    const on = r === this.row && c === this.column;
    return html`<td class=${on ? "on" : ""} .style=${`background: color-mix(in srgb, var(${hue}) ${share}%, var(--paper))`}
      ><button type="button" tabindex=${on ? 0 : -1} data-row=${r} data-column=${c} data-step=${this.step} data-index="${this.leading},${r},${c}"
      @mouseenter=${() => this.tell(r, c, false)} @click=${() => this.tell(r, c, true)}>${number(value, digits)}</button></td>`;
  }

  /** @param {number} row @param {number} column @param {boolean} locked */
  tell(row, column, locked) { this.dispatchEvent(new CustomEvent("cell", { detail: { row, column, locked } })); }

  /** Choose a column in the picture. @param {MouseEvent} event */
  aim(event) {
    if (event.type === "mousemove" && !event.buttons) return;
    const box = /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    const column = Math.min(this.columns - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * this.columns)));
    const row = Math.min(this.rows - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * this.rows)));
    this.tell(row, this.future ? Math.min(row, column) : column, true);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e9], End: [0, 1e9] }[event.key];
    if (!step) return;
    event.preventDefault();
    const row = Math.min(this.rows - 1, Math.max(0, this.row + step[0]));
    const last = this.future ? row : this.columns - 1;
    this.tell(row, Math.min(last, Math.max(0, this.column + step[1])), true);
    this.focusing = true;
  }

  updated() {
    if (this.focusing) {
      this.focusing = false;
      /** @type {HTMLElement|null} */ (this.querySelector("td.on button"))?.focus();
    }
    const canvas = /** @type {HTMLCanvasElement|null} */ (this.querySelector("canvas"));
    if (!canvas) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const high = Math.max(3, Math.min(12, Math.floor(110 / this.rows)));
    const width = Math.floor(this.width * ratio), height = high * this.rows;
    canvas.style.height = `${height}px`;
    const key = `${this.step} ${this.leading} ${this.width} ${document.documentElement.dataset.theme} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    if (this.painted !== this.values || this.paintedKey !== key) {
      this.painted = this.values;
      this.paintedKey = key;
      this.picture = this.paint(width);
    }
    canvas.width = width;
    canvas.height = height;
    context.imageSmoothingEnabled = false;
    if (this.picture) context.drawImage(this.picture, 0, 0, width, height);
    const { rows, columns } = this.section;
    context.strokeStyle = css(resolved(this, "--ink"));
    context.lineWidth = 1.5;
    const x = (columns[0] / this.columns) * width, y = rows[0] * high;
    context.strokeRect(Math.max(1, x), Math.max(1, y), Math.max(4, (columns.length / this.columns) * width) - 2, rows.length * high - 2);
  }

  /** The whole matrix, one pixel per row; where columns are more than pixels, a pixel shows the strongest of its columns.
   * @param {number} width */
  paint(width) {
    const picture = document.createElement("canvas");
    const across = Math.min(width, this.columns);
    picture.width = across;
    picture.height = this.rows;
    const context = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d"));
    const image = context.createImageData(across, this.rows);
    const colour = ramp(this, this.kind, this.full, this.hue);
    const ground = resolved(this, "--pane");
    for (let row = 0; row < this.rows; row++) {
      for (let x = 0; x < across; x++) {
        const from = Math.floor((x * this.columns) / across), to = Math.max(from + 1, Math.floor(((x + 1) * this.columns) / across));
        let strongest = 0;
        for (let c = from; c < to; c++) { const value = this.values[row * this.columns + c]; if (Math.abs(value) > Math.abs(strongest)) strongest = value; }
        const rgb = this.future && from > row ? ground : colour(strongest);
        image.data.set([rgb[0], rgb[1], rgb[2], 255], 4 * (row * across + x));
      }
    }
    context.putImageData(image, 0, 0);
    return picture;
  }
}
define("glaswerk-matrix", Matrix);
