// <glaswerk-bands>: tokens in a row, and below each its numbers as bars in coloured bands, like the staves of a score.
// Under the pointer or the cursor stands a pane of glass. Hover shows, a click locks: fires "token" with {place, locked}.
// Long rows are broken into lines; on a phone there is one line that scrolls. Left out: what a band means.

import { html, nothing, svg } from "lit";
import { narrow } from "./chart.js";
import { define, number } from "./figure.js";
import { Painted } from "./painted.js";

/** @typedef {{symbol: string, hue: string, values: number[], line?: boolean, digits?: number}} Band */
/** @typedef {{low: number, high: number, y: (value: number) => number}} Scale */

const CHARACTER = 7.9, PADDING = 12, LEAST = 30, LEFT = 62, TOP = 34, HIGH = 40, GAP = 11;

export class Bands extends Painted {
  static properties = {
    tokens: { attribute: false },
    bands: { attribute: false },
    at: { type: Number },
    label: { type: String },
  };

  constructor() {
    super();
    /** @type {string[]} */
    this.tokens = [];
    /** @type {Band[]} */
    this.bands = [];
    /** the token under the glass */
    this.at = 0;
    /** what it shows, for a screen reader */
    this.label = "";
  }

  connectedCallback() {
    super.connectedCallback();
    this.style.display = "block";
  }

  /** The tokens as lines of about the same length: where each begins, and the widths of its columns.
   * @returns {{first: number, widths: number[]}[]} */
  get lines() {
    const widths = this.tokens.map((token) => Math.max(LEAST, [...token].length * CHARACTER + PADDING));
    const room = narrow.matches ? Infinity : this.width - LEFT - 2, whole = widths.reduce((all, each) => all + each, 0);
    const broken = (/** @type {number} */ length) => {
      /** @type {{first: number, widths: number[]}[]} */
      const found = [];
      let used = 0;
      widths.forEach((width, place) => {
        if (!found.length || used + width > room || used + width / 2 > length) { found.push({ first: place, widths: [] }); used = 0; }
        found[found.length - 1].widths.push(width);
        used += width;
      });
      return found;
    };
    const full = broken(Infinity), even = broken(whole / full.length);
    return even.length > full.length ? full : even;
  }

  /** From values to heights: zero is always there, and the same scale in all lines. @param {Band} band @param {number} top @returns {Scale} */
  scale(band, top) {
    const low = Math.min(0, ...band.values), high = Math.max(0, ...band.values), span = high - low || 1;
    return { low, high, y: (value) => top + HIGH - ((value - low) / span) * HIGH };
  }

  /** @param {number} place @param {boolean} locked */
  tell(place, locked) { this.dispatchEvent(new CustomEvent("token", { detail: { place, locked }, bubbles: true })); }

  render() {
    if (!this.width || !this.tokens.length) return nothing;
    return html`<div class="bands" @pointerleave=${() => this.tell(-1, false)}>${this.lines.map((line) => this.line(line))}</div>`;
  }

  /** @param {{first: number, widths: number[]}} line */
  line({ first, widths }) {
    const width = widths.reduce((all, each) => all + each, 0) + 2, height = TOP + this.bands.length * (HIGH + GAP);
    /** @type {number[]} */
    const begins = [];
    widths.reduce((x, each) => { begins.push(x); return x + each; }, 0);
    const names = html`<svg class="names" width=${LEFT} height=${height} aria-hidden="true">${this.bands.map((band, row) => this.name(band, TOP + row * (HIGH + GAP)))}</svg>`;
    const drawn = html`<svg width=${width} height=${height} viewBox="0 0 ${width} ${height}" role="img" aria-label=${this.label}>
      ${this.bands.map((band, row) => this.band(band, TOP + row * (HIGH + GAP), first, widths, begins, width))}
      ${widths.map((each, at) => {
        const place = first + at, on = place === this.at;
        return svg`<g class=${on ? "column on" : "column"} @pointerenter=${(/** @type {PointerEvent} */ event) => { if (event.pointerType !== "touch") this.tell(place, false); }} @click=${() => this.tell(place, true)}>
          <rect class="grip" x=${begins[at]} y="0.5" width=${each} height=${height - GAP + 3}></rect>
          <rect class="token" x=${begins[at] + 1.5} y="2" width=${each - 3} height="23" rx="3"></rect>
          <text x=${begins[at] + each / 2} y="14" text-anchor="middle" dominant-baseline="central">${this.tokens[place]}</text></g>`;
      })}</svg>`;
    return narrow.matches ? html`<div class="scroll" tabindex="0" role="group" aria-label=${this.label}><div class="system">${names}${drawn}</div></div>` : html`<div class="system">${names}${drawn}</div>`;
  }

  /** A band's symbol and the ends of its scale. @param {Band} band @param {number} top */
  name(band, top) {
    const { low, high } = this.scale(band, top), digits = band.digits ?? 2;
    return svg`<g .style=${`--hue: var(${band.hue})`}><text class="symbol" x="2" y=${top + HIGH / 2} dominant-baseline="central">${band.symbol}</text>
      ${high > 0 ? svg`<text class="tick" x=${LEFT - 5} y=${top + 3} text-anchor="end" dominant-baseline="central">${number(high, digits)}</text>` : nothing}
      ${low < 0 ? svg`<text class="tick" x=${LEFT - 5} y=${top + HIGH - 2} text-anchor="end" dominant-baseline="central">${number(low, digits)}</text>` : nothing}</g>`;
  }

  /** @param {Band} band @param {number} top @param {number} first @param {number[]} widths @param {number[]} begins @param {number} right */
  band(band, top, first, widths, begins, right) {
    const { y } = this.scale(band, top), zero = y(0), values = band.values.slice(first, first + widths.length);
    const steps = values.map((value, at) => `${at ? "L" : "M"}${begins[at] + 1} ${y(value)}H${begins[at] + widths[at] - 1}`).join("");
    return svg`<g class="stave" .style=${`--hue: var(${band.hue})`}>
      <rect class="ground" x="0" y=${top - 2} width=${right} height=${HIGH + 4}></rect>
      ${values.map((value, at) => svg`<rect class=${band.line ? "under" : value < 0 ? "bar minus" : "bar"} x=${begins[at] + (band.line ? 1 : 3)} width=${widths[at] - (band.line ? 2 : 6)} y=${Math.min(zero, y(value))} height=${Math.max(0.75, Math.abs(y(value) - zero))}></rect>`)}
      ${band.line ? svg`<path class="steps" d=${steps}></path>` : nothing}
      <line class="zero" x1="0" x2=${right} y1=${zero} y2=${zero}></line></g>`;
  }

  updated() {
    // where the row scrolls, the cursor stays in sight
    const box = this.querySelector(".scroll"), column = this.querySelector(".column.on .grip");
    if (!box || !column) return;
    const [view, here] = [box.getBoundingClientRect(), column.getBoundingClientRect()];
    if (here.left < view.left + LEFT) box.scrollLeft += here.left - view.left - LEFT;
    else if (here.right > view.right) box.scrollLeft += here.right - view.right + 24;
  }
}
define("glaswerk-bands", Bands);
