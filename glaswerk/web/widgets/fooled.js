// <glaswerk-fooled>: many pairs of a true and a false sentence; how often does the open model find the false one likelier?

import { define, html, svg } from "../figure.js";
import { language } from "../data.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/fooled.js";

class Fooled extends Pieces {
  static texts = texts;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { row: 0 }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("sentence_pairs", { language, source: "own", piece }, signal); }

  body() {
    const { rows, fooled, interval } = this.data;
    const [low, high] = interval, at = Math.min(this.state.row, rows.length - 1), row = rows[at];
    return html`<div class="controls">${this.runner()}${rows.length > 1 ? html`<label class="slider">${this.t("pair")}<span class="value">${this.n(at + 1, 0)}</span><input type="range" data-key="row" min="0" max=${rows.length - 1} step="1" .value=${String(at)} aria-valuetext=${this.n(at + 1, 0)} @input=${(/** @type {any} */ event) => this.set({ row: Number(event.target.value) })}></label>` : ""}</div>${this.progress()}
      <dl class="facts"><div><dd class="c-loss" data-name="fooled">${fooled} / ${rows.length}</dd><dt>${this.t("fooled")}</dt></div><div><dd data-name="interval">${this.n(100 * low, 0)}–${this.percent(high, 0)}</dd><dt>${this.t("interval")}</dt></div></dl>
      <div class="two even">${this.plane(rows, at)}<div class="reading"><p><span class="c-value">${this.t("true")}</span> <span lang="">${row.true}</span> <span class="num">${this.n(row.totals[0], 1)}</span></p><p><span class="c-loss">${this.t("false")}</span> <span lang="">${row.false}</span> <span class="num">${this.n(row.totals[1], 1)}</span></p>
        <p class="verdict">${this.t(row.totals[1] < row.totals[0] ? "cheaper" : "dearer")}</p></div></div>`;
  }

  /** Each pair as a bar: the false sentence's loss minus the true one's. @param {any[]} rows @param {number} at */
  plane(rows, at) {
    const apart = rows.map((row) => row.totals[1] - row.totals[0]), order = apart.map((_, place) => place).sort((a, b) => apart[a] - apart[b]);
    const most = Math.max(1, ...apart.map(Math.abs)), wide = 460, high = 250, middle = 118, step = (wide - 46) / rows.length;
    return html`<svg class="plot" viewBox="0 0 ${wide} ${high}" role="img" aria-label=${this.t("chart")}>
      <text x="0" y="10">${this.t("axis")}</text><text x="38" y=${middle - 82} text-anchor="end">${this.n(most, 1)}</text><text x="38" y=${middle + 4} text-anchor="end">0</text><text x="38" y=${middle + 90} text-anchor="end">${this.n(-most, 1)}</text>
      <line class="grid" x1="42" x2=${wide} y1=${middle} y2=${middle}></line>
      ${order.map((pair, place) => svg`<rect class=${`bar ${apart[pair] < 0 ? "bad" : "good"} ${pair === at ? "chosen" : ""}`} x=${44 + place * step} width=${Math.max(1.5, step - 1.5)} y=${middle - Math.max(0, (apart[pair] / most) * 86)} height=${Math.max(1, (Math.abs(apart[pair]) / most) * 86)}></rect>`)}
      <text x=${wide} y=${high - 4} text-anchor="end">${this.t("below")}</text></svg>`;
  }

  provenance() { return html`${super.provenance()} · ${this.t(this.data?.corpus ? "corpus_source" : "own_source")}`; }
}
define("glaswerk-fooled", Fooled);
