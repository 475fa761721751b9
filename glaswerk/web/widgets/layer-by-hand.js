// <glaswerk-layer-by-hand>: one neuron, then a layer of three as one product, then five words at once; the numbers that
// go in can be changed. The start comes from the chapter's demo.py; by-hand.js computes on.

import { Figure, define, html, svg } from "../figure.js";
import { bends, layer } from "../by-hand.js";
import { matrix, products, short } from "../numbers.js";
import texts from "../texts/layer-by-hand.js";

class LayerByHand extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  initial() { return { x: null, w: null, b: null, bend: "gelu", neuron: 0 }; }
  load() { return this.demo("layer"); }

  body() {
    const { words, all_x } = this.data, { bend } = this.state;
    const x = this.state.x ?? this.data.x, w = this.state.w ?? this.data.w, b = this.state.b ?? this.data.b;
    const { z, a } = layer([x], w, b, bend), all = layer(all_x, w, b, bend);
    const one = Math.min(this.state.neuron, w.length - 1), names = w.map((/** @type {any} */ _, /** @type {number} */ place) => `${this.t("neuron")} ${place + 1}`);
    const inputs = [this.t("place"), this.t("grammar")];
    return html`<div class="controls">${this.segments("neuron", names.map((/** @type {string} */ label, /** @type {number} */ value) => ({ value, label })), this.t("which"))}
        ${this.segments("bend", Object.keys(bends).map((value) => ({ value, label: this.t(value) })), this.t("bend"))}</div>
      <ol class="by-hand rows">
        <li><p><b>${this.t("one_title")}</b> ${this.t("one", { neuron: one + 1 })}</p>
          <div class="matrices">${matrix(x.map((/** @type {number} */ value) => [value]), { label: "x", rows: inputs, concept: "residual", edit: (values) => this.set({ x: values.map((row) => row[0]) }) })}
            ${this.curve(z[0][one], bend)}</div>
          <p class="sum">z<sub>${one + 1}</sub> = ${products(w[one], x, "mlp", "residual")} + ${b[one] < 0 ? `(${short(b[one])})` : short(b[one])} = <b data-name="z">${this.n(z[0][one])}</b><br>
            a<sub>${one + 1}</sub> = ${this.t(bend)}(${this.n(z[0][one])}) = <b class="c-mlp" data-name="a">${this.n(a[0][one])}</b></p></li>
        <li><p><b>${this.t("all_title")}</b> ${this.t("all")}</p>
          <div class="matrices">${matrix(w, { label: "W", rows: names, columns: inputs, concept: "mlp", row: one, edit: (values) => this.set({ w: values }) })}
            ${matrix(b.map((/** @type {number} */ value) => [value]), { label: "b", row: one, edit: (values) => this.set({ b: values.map((row) => row[0]) }) })}
            ${matrix(z[0].map((value) => [value]), { label: "W x + b", row: one })}${matrix(a[0].map((value) => [value]), { label: this.t("out"), row: one, concept: "mlp" })}</div></li>
        <li><p><b>${this.t("words_title")}</b> ${this.t("words", { count: words.length })}</p>
          <div class="matrices">${matrix(all_x, { label: "X", rows: words, columns: inputs, concept: "residual" })}
            ${matrix(all.a, { label: `${this.t(bend)}(X Wᵀ + b)`, rows: words, columns: names.map((/** @type {any} */ _, /** @type {number} */ place) => `${place + 1}`), concept: "mlp" })}</div></li>
      </ol>`;
  }

  /** The activation function with the neuron's place on it. @param {number} z @param {string} bend */
  curve(z, bend) {
    const at = (/** @type {number} */ value) => ({ x: 100 + 30 * Math.max(-3, Math.min(3, value)), y: 95 - 26 * Math.max(-1, Math.min(3, bends[bend](value))) });
    const line = Array.from({ length: 61 }, (_, step) => at(-3 + step / 10)).map(({ x, y }) => `${x},${y.toFixed(1)}`).join(" ");
    const { x, y } = at(z);
    return html`<svg class="bend" viewBox="0 0 200 125" width="200" height="125" role="img" aria-label=${this.t("curve", { bend: this.t(bend), z: this.n(z) })}>
      ${svg`<line x1="10" x2="190" y1="95" y2="95"></line><line x1="100" x2="100" y1="8" y2="122"></line><polyline points=${line}></polyline><circle cx=${x} cy=${y} r="4.5"></circle>`}</svg>`;
  }
}
define("glaswerk-layer-by-hand", LayerByHand);
