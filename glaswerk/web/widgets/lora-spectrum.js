// <glaswerk-lora-spectrum>: the singular values of what fine-tuning added to a layer's matrices, by an adapter of some
// rank and by training the matrices whole.

import { define, html } from "../figure.js";
import { chart } from "../chart.js";
import { Later, inParts } from "../later.js";
import texts from "../texts/lora-spectrum.js";

const RANKS = [1, 2, 4, 8, 16, 32];
/** @type {Record<string, string>} */
const HUES = { q_proj: "of-query", k_proj: "of-key", v_proj: "of-value", c_attn: "of-weight" };

class LoraSpectrum extends Later {
  static texts = texts;
  static reloads = ["voice", "rank"];

  initial() { return { voice: "pirate", rank: 8, layer: 0 }; }

  async first() { return { found: {} }; }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    const { voice } = this.state;
    for (const rank of [this.state.rank, 0]) {
      await inParts((part) => this.demo("tuned", { voice, rank, part }, signal), signal);
      data.found = { ...data.found, [rank]: await this.demo("spectrum", { voice, rank }, signal) };
      this.requestUpdate();
    }
  }

  body() {
    const { found } = this.data, { rank } = this.state;
    const one = found[rank], whole = found[0], layers = (one ?? whole)?.layers ?? 1, layer = Math.min(this.state.layer, layers - 1);
    const rows = (/** @type {any} */ told) => told?.rows.filter((/** @type {any} */ row) => row.layer === layer) ?? [];
    const share = (/** @type {any} */ row) => row.values.slice(0, rank).reduce((/** @type {number} */ sum, /** @type {number} */ value) => sum + value * value, 0) / row.squares;
    return html`<div class="controls"><label class="slider">${this.t("rank")}<span class="value">${rank}</span><input type="range" data-key="rank" min="0" max="5" step="1" .value=${String(RANKS.indexOf(rank))} aria-valuetext=${`${rank}`}
          @input=${(/** @type {any} */ event) => this.set({ rank: RANKS[Number(event.target.value)] }, { wait: 60 })}></label>
        ${this.slider("layer", { label: this.t("layer"), min: 0, max: Math.max(1, layers - 1), step: 1, digits: 0 })}</div>
      ${this.waiting(this.t("going"), Object.keys(found).length / 2)}
      <div class="two even">${this.values(rows(one), this.t("lora", { rank }))}${this.values(rows(whole), this.t("whole"))}</div>
      <dl class="facts">${rows(whole).map((/** @type {any} */ row) => html`<div><dd class=${HUES[row.name]} data-name=${row.name}>${this.percent(share(row), 0)}</dd><dt>${this.t("share", { rank, name: row.name })}</dt></div>`)}</dl>`;
  }

  /** @param {any[]} rows @param {string} label */
  values(rows, label) {
    const most = Math.max(0, ...rows.map((row) => row.values[0]));
    return chart({
      label, x: [1, 32], y: [0, most || 1], xLabel: this.t("place"), yLabel: label, width: 440, height: 270, right: 60,
      series: rows.map((row) => ({
        name: row.name, label: true, className: HUES[row.name],
        points: Array.from({ length: Math.min(32, row.rows, row.columns) }, (_, place) => /** @type {[number, number]} */ ([place + 1, row.values[place] ?? 0])),
      })),
    });
  }
}
define("glaswerk-lora-spectrum", LoraSpectrum);
