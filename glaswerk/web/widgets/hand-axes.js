// <glaswerk-hand-axes>: boy, man and woman on two axes made by hand; points are moved, distances follow. Plain geometry,
// computed here.

import { scaleLinear } from "d3-scale";
import { Figure, define, html, svg } from "../figure.js";
import texts from "../texts/hand-axes.js";

const SIZE = 320, EDGE = 34;
const NAMES = ["boy", "man", "woman"];
const x = scaleLinear([0, 10], [EDGE, SIZE - 10]), y = scaleLinear([0, 10], [SIZE - EDGE, 10]);

class HandAxes extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = /** @type {string[]} */ ([]);

  initial() { return { boy: [1, 2], man: [1, 7], woman: [9, 7] }; }
  async load() { return {}; }

  body() {
    const places = NAMES.map((name) => /** @type {[number, number]} */ (this.state[name]));
    const pairs = [[0, 1], [1, 2], [0, 2]];
    return html`<div class="two"><svg class="plot wordplane" viewBox="0 0 ${SIZE} ${SIZE}" role="img" aria-label=${this.t("title")}>
        ${[0, 2, 4, 6, 8, 10].map((tick) => svg`<line class="grid" x1=${x(tick)} x2=${x(tick)} y1=${y(0)} y2=${y(10)}></line><line class="grid" x1=${x(0)} x2=${x(10)} y1=${y(tick)} y2=${y(tick)}></line>
          <text x=${x(tick)} y=${y(0) + 14} text-anchor="middle">${tick}</text><text x=${x(0) - 6} y=${y(tick) + 4} text-anchor="end">${tick}</text>`)}
        <text x=${x(10)} y=${SIZE - 4} text-anchor="end">${this.t("sex")} →</text><text transform="translate(11 ${y(10)}) rotate(-90)" text-anchor="end">${this.t("age")} →</text>
        ${pairs.map(([one, other]) => svg`<line class="between" x1=${x(places[one][0])} y1=${y(places[one][1])} x2=${x(places[other][0])} y2=${y(places[other][1])}></line>`)}
        ${NAMES.map((name, at) => svg`<g class="spot" transform="translate(${x(places[at][0])} ${y(places[at][1])})" @pointerdown=${(/** @type {PointerEvent} */ event) => this.drag(event, name)}>
          <circle class="grip" r="14"></circle><circle r="5.5"></circle><text x=${places[at][0] > 7 ? -9 : 9} y="-7" text-anchor=${places[at][0] > 7 ? "end" : "start"}>${this.t(name)}</text></g>`)}
      </svg>
      <div class="reading">${NAMES.map((name, at) => html`<div class="controls tight"><b>${this.t(name)}</b>${[0, 1].map((axis) => html`<label class="control">${this.t(axis ? "age" : "sex")}
          <input type="number" data-key="${name}-${axis}" min="0" max="10" step="0.5" .value=${String(places[at][axis])} @input=${(/** @type {any} */ event) => this.move(name, axis, event.target.valueAsNumber)}></label>`)}</div>`)}
        <dl>${pairs.map(([one, other]) => html`<dt>${this.t(NAMES[one])} – ${this.t(NAMES[other])}</dt><dd data-name="${NAMES[one]}-${NAMES[other]}">${this.n(Math.hypot(places[one][0] - places[other][0], places[one][1] - places[other][1]))}</dd>`)}</dl>
      </div></div>`;
  }

  /** @param {string} name @param {number} axis @param {number} value */
  move(name, axis, value) {
    if (!(value >= 0 && value <= 10)) return;
    const place = [...this.state[name]];
    place[axis] = value;
    this.set({ [name]: place });
  }

  /** @param {PointerEvent} event @param {string} name */
  drag(event, name) {
    const plot = /** @type {SVGSVGElement} */ (/** @type {Element} */ (event.currentTarget).closest("svg"));
    event.preventDefault();
    const half = (/** @type {number} */ value) => Math.min(10, Math.max(0, Math.round(2 * value) / 2));
    const move = (/** @type {PointerEvent} */ to) => {
      const box = plot.getBoundingClientRect();
      this.set({ [name]: [half(x.invert(((to.clientX - box.left) / box.width) * SIZE)), half(y.invert(((to.clientY - box.top) / box.height) * SIZE))] });
    };
    const stop = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", stop); };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
  }
}
define("glaswerk-hand-axes", HandAxes);
