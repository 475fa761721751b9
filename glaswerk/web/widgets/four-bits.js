// <glaswerk-four-bits>: the weights of one matrix of the open model as a histogram, and sixteen values to keep them by:
// NF4's, and sixteen at equal distances.

import { define, html, svg } from "../figure.js";
import { Later } from "../later.js";
import texts from "../texts/four-bits.js";

const MATRICES = ["attention.qkv", "attention.output", "mlp.up", "mlp.down"], KINDS = ["nf4", "even"];

class FourBits extends Later {
  static texts = texts;
  static reloads = ["layer", "matrix"];

  initial() { return { layer: 0, matrix: "mlp.up" }; }

  /** @param {AbortSignal} signal */
  async first(signal) { return { ...(await this.demo("packed", { layer: this.state.layer, matrix: this.state.matrix }, signal)), losses: {} }; }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    for (const kind of ["exact", ...KINDS]) {
      const told = await this.demo("packed_loss", { kind }, signal);
      data.losses = { ...data.losses, [kind]: told.loss };
      this.requestUpdate();
    }
  }

  body() {
    const { layers, shape, stored, bits, bytes, losses } = this.data;
    return html`<div class="controls">${this.numbers("layer", layers, this.t("layer"))}${this.select("matrix", MATRICES.map((value) => ({ value, label: value })), this.t("matrix"))}</div>
      <div class="two even">${KINDS.map((kind) => this.histogram(kind))}</div>
      <table class="ledger"><thead><tr><td></td><th scope="col">${this.t("error")}</th><th scope="col">${this.t("entropy")}</th><th scope="col">${this.t("loss")}</th></tr></thead><tbody>
        <tr><th scope="row">${this.t("exact")}</th><td>0</td><td>–</td><td class="c-loss" data-name="exact">${losses.exact === undefined ? "…" : this.n(losses.exact, 3)}</td></tr>
        ${KINDS.map((kind) => html`<tr><th scope="row">${this.t(kind)}</th><td data-name=${`error-${kind}`}>${this.percent(this.data[kind].error, 1)}</td><td>${this.n(this.data[kind].entropy, 2)}</td><td class="c-loss" data-name=${kind}>${losses[kind] === undefined ? "…" : this.n(losses[kind], 3)}</td></tr>`)}</tbody></table>
      <p class="faint">${this.t("size", { rows: this.n(shape[0], 0), columns: this.n(shape[1], 0), bits: this.n(bits, 2), fp32: this.n(bytes.fp32 / 1e6, 2), nf4: this.n((bytes.fp32 * bits) / 32e6, 2) })} ${stored ? this.t("stored", { stored }) : ""}</p>
      ${this.waiting(this.t("going"), Object.keys(losses).length / 3)}`;
  }

  /** Bars of the weights, lines at the sixteen values, the thicker the more often used. @param {string} kind */
  histogram(kind) {
    const { histogram } = this.data, { book, used } = this.data[kind];
    const most = Math.max(...histogram), x = (/** @type {number} */ value) => 12 + ((value + 1) / 2) * 416, wide = 416 / histogram.length;
    return html`<svg class="plot spread" viewBox="0 0 440 236" role="img" aria-label=${this.t("histogram", { kind: this.t(kind) })}><text x="12" y="11">${this.t("histogram", { kind: this.t(kind) })}</text>
      ${histogram.map((/** @type {number} */ share, /** @type {number} */ place) => svg`<rect class="weights" x=${12 + place * wide} width=${Math.max(0.5, wide - 0.6)} y=${150 - (128 * share) / most} height=${(128 * share) / most}></rect>`)}
      ${book.map((/** @type {number} */ value, /** @type {number} */ place) => svg`<line class="code" x1=${x(value)} x2=${x(value)} y1="150" y2="162"></line><rect class="used" x=${x(value) - 3.5} width="7" y="165" height=${used[place] * 240}><title>${this.n(value, 3)}: ${this.percent(used[place], 1)}</title></rect>`)}
      ${[-1, 0, 1].map((value) => svg`<text x=${x(value)} y="232" text-anchor=${value < 0 ? "start" : value ? "end" : "middle"}>${this.n(value, 0)}</text>`)}</svg>`;
  }
}
define("glaswerk-four-bits", FourBits);
