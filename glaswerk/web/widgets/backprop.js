// <glaswerk-backprop>: one neuron as a graph; forward node by node, then the gradient back, edge by edge.

import { Figure, define, html, nothing, svg } from "../figure.js";
import texts from "../texts/backprop.js";

const W = 740, H = 350, BOX = 92, TALL = 50;
/** name, column, height of the centre, stage from which its value is there, stage from which its gradient is
 * @type {Record<string, [number, number, number, number]>} */
const NODES = {
  x1: [0, 35, 0, 9], w1: [0, 100, 0, 9], x2: [0, 175, 0, 9], w2: [0, 240, 0, 9], b: [1, 315, 0, 8],
  p1: [1, 68, 1, 8], p2: [1, 208, 1, 8], s: [2, 160, 2, 7], o: [3, 160, 3, 6], L: [4, 160, 4, 5],
};
const EDGES = [["x1", "p1"], ["w1", "p1"], ["x2", "p2"], ["w2", "p2"], ["p1", "s"], ["p2", "s"], ["b", "s"], ["s", "o"], ["o", "L"]];
const LABELS = { x1: "x₁", w1: "w₁", x2: "x₂", w2: "w₂", b: "b", p1: "w₁·x₁", p2: "w₂·x₂", s: "s = Σ", o: "o = σ(s)", L: "L = −ln o" };
const centre = (/** @type {string} */ name) => [48 + NODES[name][0] * 160, NODES[name][1]];

class Backprop extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["w1", "w2", "b", "rate"];

  initial() { return { w1: 0.5, w2: -1, b: 0.2, rate: 0.5, stage: 4 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { w1, w2, b, rate } = this.state;
    return this.demo("graph", { w1, w2, b, rate }, signal);
  }

  body() {
    const { stage } = this.state;
    return html`<div class="controls">${this.slider("stage", { label: this.t("stage"), min: 0, max: 10, step: 1, digits: 0 })}
        <button type="button" class="button quiet" ?disabled=${stage === 0} @click=${() => this.go(-1)}>${this.t("back")}</button>
        <button type="button" class="button quiet" ?disabled=${stage === 10} @click=${() => this.go(1)}>${this.t("next")}</button></div>
      <div class="scroll" tabindex="0" role="group" aria-label=${this.t("graph")}>${this.graph()}</div>
      <p class="said" data-name="said">${this.said()}</p>
      <div class="controls">${["w1", "w2", "b"].map((key) => this.slider(key, { label: LABELS[/** @type {"w1"} */ (key)], min: -2, max: 2, step: 0.1, digits: 1, accent: "var(--mlp)" }))}
        ${this.slider("rate", { label: this.t("rate"), min: 0.1, max: 2, step: 0.1, digits: 1, accent: "var(--loss)" })}</div>`;
  }

  /** @param {number} by */
  go(by) {
    this.set({ stage: Math.min(10, Math.max(0, this.state.stage + by)) });
    this.updateComplete.then(() => this.announce(this.querySelector("[data-name=said]")?.textContent ?? ""));
  }

  graph() {
    const { values, gradients, stepped } = this.data;
    const { stage } = this.state;
    const stepping = stage === 10;
    return html`<svg class="graph" viewBox="0 0 ${W} ${H}" role="img" aria-label=${this.t("graph")}>
      ${EDGES.map(([from, to]) => {
        const [x1, y1] = centre(from), [x2, y2] = centre(to);
        const back = stage >= NODES[from][3] && stage > 4;
        return svg`<path class="edge ${back ? "back" : stage >= NODES[to][2] ? "there" : ""}" d="M${x1 + BOX / 2},${y1} C${x1 + BOX / 2 + 30},${y1} ${x2 - BOX / 2 - 30},${y2} ${x2 - BOX / 2},${y2}"></path>`;
      })}
      ${Object.entries(NODES).map(([name, [, , from, back]]) => {
        const [x, y] = centre(name);
        const here = stage === from && stage > 0 || stage === back;
        const moves = stepping && name in stepped;
        return svg`<g class="node ${"w1 w2 b".includes(name) ? "learned" : ""} ${here || moves ? "here" : ""}" transform="translate(${x - BOX / 2} ${y - TALL / 2})">
          <rect width=${BOX} height=${TALL} rx="3"></rect><text class="name" x="8" y="17">${LABELS[/** @type {"w1"} */ (name)]}</text>
          ${stage >= from ? svg`<text class="number" x=${BOX - 8} y=${name.length === 2 && "xw".includes(name[0]) || name === "b" ? 17 : 33} text-anchor="end" data-name="value-${name}">${this.n(moves ? stepped[name] : values[name], 3)}</text>` : nothing}
          ${stage >= back ? svg`<text class="slope" x=${BOX - 8} y="45" text-anchor="end" data-name="gradient-${name}">∂ ${this.n(gradients[name], 3)}</text>` : nothing}</g>`;
      })}</svg>`;
  }

  /** What happens at this stage, with its numbers. */
  said() {
    const { values: v, gradients: g, stepped, after, output_after } = this.data;
    const n = (/** @type {number} */ value) => (value < 0 ? `(${this.n(value, 3)})` : this.n(value, 3));
    const { stage } = this.state;
    return this.t(`stage_${stage}`, {
      x1: n(v.x1), x2: n(v.x2), w1: n(v.w1), w2: n(v.w2), b: n(v.b), p1: n(v.p1), p2: n(v.p2), s: n(v.s), o: n(v.o), L: n(v.L), one_minus: n(1 - v.o),
      go: n(g.o), gs: n(g.s), gw1: n(g.w1), gw2: n(g.w2), gb: n(g.b), rate: this.n(this.state.rate, 1), new_w1: n(stepped.w1), new_w2: n(stepped.w2), new_b: n(stepped.b), after: n(after), output_after: n(output_after),
    });
  }
}
define("glaswerk-backprop", Backprop);
