// <glaswerk-perceptron>: one neuron learns AND, OR and fails at XOR, look by look; two layers learn XOR.

import { unpack } from "../data.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import { paint } from "../chart.js";
import { mix, resolved } from "../colour.js";
import texts from "../texts/perceptron.js";

const SIZE = 300, LEAST = -0.5, MOST = 1.5;
const CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]];
const px = (/** @type {number} */ x) => ((x - LEAST) / (MOST - LEAST)) * SIZE;
const py = (/** @type {number} */ y) => SIZE - px(y);

/** The part of the square where w·x + b > 0, as SVG points. @param {number[]} weights */
export function above([w1, w2, b]) {
  const square = [[LEAST, LEAST], [MOST, LEAST], [MOST, MOST], [LEAST, MOST]];
  const side = (/** @type {number[]} */ [x, y]) => w1 * x + w2 * y + b;
  /** @type {number[][]} */
  const kept = [];
  square.forEach((corner, place) => {
    const next = square[(place + 1) % 4];
    const here = side(corner), there = side(next);
    if (here > 0) kept.push(corner);
    if (here > 0 !== there > 0) {
      const share = here / (here - there);
      kept.push([corner[0] + share * (next[0] - corner[0]), corner[1] + share * (next[1] - corner[1])]);
    }
  });
  return kept.map(([x, y]) => `${px(x)},${py(y)}`).join(" ");
}

class Perceptron extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["task"];

  initial() { return { task: "AND", look: -1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { task } = this.state;
    if (task !== "two") return { ...await this.demo("perceptron", { task }, signal), task };
    const told = await this.demo("xor", {}, signal);
    return { ...told, task, pixels: unpack(told.maps) };
  }

  get two() { return this.data.task === "two"; }
  get last() { return this.two ? this.data.steps.length - 1 : this.data.looks.length; }
  /** how many looks (or shown steps) have passed */
  get at() { return this.state.look < 0 ? this.last : Math.min(this.state.look, this.last); }

  body() {
    const { at, two } = this;
    const shown = two ? this.n(this.data.steps[at], 0) : this.n(at, 0);
    return html`<div class="controls">
        <div class="control"><span>${this.t("task")}</span><div class="segments" role="group" aria-label=${this.t("task")}>
          ${["AND", "OR", "XOR", "two"].map((task) => html`<button type="button" aria-pressed=${String(this.state.task === task)} @click=${() => this.set({ task, look: -1 })}>${task === "two" ? this.t("two") : task}</button>`)}</div></div>
        <label class="slider">${this.t(two ? "steps" : "looks")}<span class="value">${shown}</span>
          <input type="range" data-key="look" min="0" max=${this.last} step="1" .value=${String(at)} aria-valuetext=${shown}
            @input=${(/** @type {any} */ event) => this.set({ look: Number(event.target.value) })}></label></div>
      <div class="two">${this.plane()}${two ? this.readTwo() : this.readOne()}</div>`;
  }

  plane() {
    const { at, two, data } = this;
    const weights = two ? null : at ? data.looks[at - 1].weights : [0, 0, 0];
    const looked = two || !at ? null : data.looks[at - 1].x;
    const targets = two ? [0, 1, 1, 0] : data.looks.slice(0, 4).map((/** @type {any} */ look) => look.y);
    const output = (/** @type {number} */ place) => two ? data.outputs[at][place] : Number(weights[0] * CORNERS[place][0] + weights[1] * CORNERS[place][1] + weights[2] > 0);
    return html`<div class="plane" .style=${"--most: 22rem"}><canvas aria-hidden="true" ?hidden=${!two}></canvas>
      <svg viewBox="-26 -8 ${SIZE + 40} ${SIZE + 40}" role="img" aria-label=${this.t("plane", { task: two ? "XOR" : data.task })}>
        <rect class="edge" x="0" y="0" width=${SIZE} height=${SIZE}></rect>
        ${weights ? svg`<polygon class="fires" points=${above(weights)}></polygon>` : nothing}
        ${CORNERS.map(([x, y], place) => {
          const wrong = Math.round(output(place)) !== targets[place];
          const now = looked && looked[0] === x && looked[1] === y;
          return svg`<g transform="translate(${px(x)} ${py(y)})">${now ? svg`<circle class="ring" r="20"></circle>` : nothing}
            <circle class="point ${targets[place] ? "one" : "zero"}" r="12"></circle><text class=${targets[place] ? "in" : ""} text-anchor="middle" dominant-baseline="central">${targets[place]}</text>
            ${wrong ? svg`<text class="wrong" x="24" y="-13">✗ ${this.t("wrong")}</text>` : nothing}</g>`;
        })}
        ${[0, 1].map((tick) => svg`<text x=${px(tick)} y=${SIZE + 16} text-anchor="middle">${tick}</text><text x="-9" y=${py(tick)} text-anchor="end" dominant-baseline="central">${tick}</text>`)}
        <text x=${SIZE} y=${SIZE + 28} text-anchor="end">x₁</text><text x="-9" y="8" text-anchor="end">x₂</text></svg></div>`;
  }

  readOne() {
    const { at, data } = this;
    const look = at ? data.looks[at - 1] : null;
    const [w1, w2, b] = look ? look.weights : [0, 0, 0];
    const number = (/** @type {number} */ value) => this.n(value, 0);
    const passed = look ? look.epoch : 0;
    return html`<div class="reading">
      ${look ? html`<p>${this.t("seen", { epoch: look.epoch, x1: look.x[0], x2: look.x[1] })}</p>
        <dl><dt>${this.t("wanted")}</dt><dd>${look.y}</dd><dt>${this.t("output")}</dt><dd>${look.output}</dd>
          <dt class="c-loss">${this.t("error")}</dt><dd class="c-loss" data-name="error">${number(look.y - look.output)}</dd></dl>
        <p class="faint">${this.t(look.y === look.output ? "kept" : "moved")}</p>` : html`<p>${this.t("begin")}</p>`}
      <dl><dt class="c-mlp">w₁</dt><dd data-name="w1">${number(w1)}</dd><dt class="c-mlp">w₂</dt><dd data-name="w2">${number(w2)}</dd><dt class="c-mlp">b</dt><dd data-name="b">${number(b)}</dd></dl>
      <p class="faint">${this.t("mistakes")}</p>
      <ul class="counts">${data.mistakes.map((/** @type {number} */ count, /** @type {number} */ place) => html`<li class=${place + 1 === passed ? "on" : place + 1 > passed ? "later" : ""}>${count}</li>`)}</ul>
      ${at === this.last ? html`<p><b>${data.learned ? this.t("learned", { epochs: data.mistakes.length }) : this.t("circle", { from: data.circle[0], to: data.circle[1] })}</b></p>` : nothing}</div>`;
  }

  readTwo() {
    const { at, data } = this;
    return html`<div class="reading"><p>${this.t("two_said")}</p>
      <dl>${CORNERS.map(([x, y], place) => html`<dt>[${x}, ${y}] → ${x ^ y}</dt><dd data-name="output-${place}">${this.n(data.outputs[at][place], 3)}</dd>`)}
        <dt class="c-loss">${this.t("loss")}</dt><dd class="c-loss" data-name="loss">${this.n(data.losses[at], 3)}</dd></dl></div>`;
  }

  drawn() {
    if (!this.two) return;
    const ground = resolved(this, "--paper"), full = resolved(this, "--mlp");
    const { side, pixels } = this.data;
    const map = pixels.subarray(this.at * side * side, (this.at + 1) * side * side);
    // the plane was walked x first: a row of the picture is one x2
    const turned = Float32Array.from({ length: side * side }, (_, place) => map[(place % side) * side + Math.floor(place / side)]);
    paint(this.querySelector("canvas"), turned, side, [ground, full], (value) => mix(ground, full, (0.55 * value) / 255));
  }
}
define("glaswerk-perceptron", Perceptron);
