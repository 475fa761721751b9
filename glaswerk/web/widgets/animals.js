// <glaswerk-animals>: ten animals on three hand-made axes; the reader places each, and compares with GloVe.

import { scaleLinear } from "d3-scale";
import { Figure, define, html, nothing, svg } from "../figure.js";
import { orMissing, why, withOrigins } from "../origins.js";
import { labels } from "../labels.js";
import texts from "../texts/animals.js";

const AXES = /** @type {const} */ (["size", "tame", "dangerous"]);
const W = 420, H = 300, EDGE = 30;

class Animals extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["animal", "size", "tame", "dangerous"];

  initial() { return { animal: "wolf", size: 4, tame: 1, dangerous: 7.5 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { animal, size, tame, dangerous } = this.state;
    const [told, texts] = await Promise.all([this.demo("animals", { animal, size, tame, dangerous }, signal), orMissing(this.demo("animals_in_texts", { animal }, signal))]);
    return { ...told, texts };
  }

  body() {
    const { placed, others, texts } = this.data;
    const animal = this.state.animal;
    const x = scaleLinear([0, 10], [EDGE + 50, W - 50]), y = scaleLinear([0, 10], [H - EDGE, 14]);
    const names = Object.keys(placed);
    const room = labels(W);
    const { missing, ...cosines } = texts;
    const ranks = Object.keys(cosines); // nearest first
    return html`<div class="controls">
        ${this.pick(names)}${AXES.map((axis) => this.slider(axis, { label: this.t(axis), min: 0, max: 10, step: 0.5, digits: 1 }))}</div>
      <div class="two"><svg class="plot wordplane" viewBox="0 0 ${W} ${H}" role="img" aria-label=${this.t("map")}>
          <line class="grid" x1=${x(0)} x2=${x(10)} y1=${y(0)} y2=${y(0)}></line><line class="grid" x1=${x(0)} x2=${x(0)} y1=${y(0)} y2=${y(10)}></line>
          <text x=${x(10)} y=${H - 8} text-anchor="end">${this.t("tame")} →</text><text transform="translate(16 ${y(10)}) rotate(-90)" text-anchor="end">${this.t("dangerous")} →</text>
          ${names.map((name) => { const [size, tame, dangerous] = placed[name]; const label = this.t(name), [dx, dy] = room(x(tame), y(dangerous), 3 + size, label); return svg`<g class="spot ${name === animal ? "on" : ""}" transform="translate(${x(tame)} ${y(dangerous)})"><circle r=${3 + size}></circle><text x=${dx} y=${dy}>${label}</text></g>`; })}
        </svg>
        <table class="prices"><caption class="faint">${this.t("nearest", { animal: this.t(animal) })}</caption><thead><tr><th scope="col">${this.t("animal")}</th><th scope="col" class="num">${this.t("distance")}</th><th scope="col" class="num">GloVe</th><th scope="col" class="num">${this.t("rank")}</th></tr></thead>
          <tbody>${others.map((/** @type {[string, number]} */ [other, distance], /** @type {number} */ place) => html`<tr data-animal=${other}><th scope="row">${place + 1}. ${this.t(other)}</th><td class="num">${this.n(distance)}</td><td class="num c-residual">${this.n(cosines[other])}</td><td class="num">${missing ? "–" : ranks.indexOf(other) + 1}</td></tr>`)}</tbody></table></div>
      ${missing ? why(this, missing) : nothing}`;
  }

  /** Another animal comes with its own place. @param {string[]} names */
  pick(names) {
    return html`<label class="control">${this.t("animal")}<select data-key="animal" @change=${(/** @type {any} */ event) => {
      const animal = names[event.target.selectedIndex];
      const [size, tame, dangerous] = this.data.placed[animal];
      this.set({ animal, size, tame, dangerous });
    }}>${names.map((name) => html`<option ?selected=${name === this.state.animal}>${this.t(name)}</option>`)}</select></label>`;
  }
}
define("glaswerk-animals", Animals);
