// <glaswerk-descent>: five optimizers race downhill, on a line, on a plane, or on a matrix that cannot be drawn.

import { unpack } from "../data.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import { chart, paint } from "../chart.js";
import { mix, resolved } from "../colour.js";
import texts from "../texts/descent.js";

const SIZE = 320;
const RUNNERS = ["sgd", "momentum", "rmsprop", "adam", "muon"];
const LANDSCAPES = ["wells", "ravine", "banana", "saddle", "matrix"];
/** one shape each, so that colour is not needed */
const SHAPES = {
  sgd: "M-5,-5H5V5H-5Z", momentum: "M0,-6L6,5H-6Z", rmsprop: "M0,-7L7,0L0,7L-7,0Z", adam: "M-5,0A5,5 0 1,0 5,0A5,5 0 1,0 -5,0Z", muon: "M-2,-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
};

class Descent extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["landscape", "power", "calm"];

  constructor() { super(); this.playing = 0; }

  initial() { return { landscape: "ravine", power: 0, calm: true, step: 80 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { landscape, power, calm } = this.state;
    const told = await this.demo("race", { landscape, factor: 2 ** power, calm }, signal);
    return { ...told, heights: told.map ? unpack(told.map) : null };
  }

  disconnectedCallback() { super.disconnectedCallback(); this.pause(); }
  pause() { clearInterval(this.playing); this.playing = 0; this.requestUpdate(); }

  play() {
    if (this.playing) { this.pause(); return; }
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { this.set({ step: this.data.steps }); return; }
    this.set({ step: 0 });
    this.playing = window.setInterval(() => {
      if (this.state.step >= this.data.steps) this.pause();
      else this.set({ step: this.state.step + 1 });
    }, 60);
  }

  body() {
    const { data, state } = this;
    return html`<div class="controls">${this.segments("landscape", LANDSCAPES.map((value) => ({ value, label: this.t(value) })), this.t("landscape"))}</div>
      <p class="faint">${this.t(`${data.landscape}_said`)}</p>
      <div class="controls"><button type="button" class="button quiet" @click=${() => this.play()}>${this.t(this.playing ? "pause" : "play")}</button>
        ${this.slider("step", { label: this.t("step"), min: 0, max: data.steps, step: 1, digits: 0 })}
        <label class="slider">${this.t("rates")}<span class="value">× ${this.factor(state.power)}</span><input type="range" data-key="power" min="-4" max="4" step="1" .value=${String(state.power)} aria-valuetext="× ${this.factor(state.power)}"
          @input=${(/** @type {any} */ event) => this.set({ power: Number(event.target.value) }, { wait: 120 })}></label>
        <label class="check"><input type="checkbox" .checked=${state.calm} @change=${(/** @type {any} */ event) => this.set({ calm: event.target.checked })}>${this.t("calm")}</label></div>
      <div class="two even">${data.line ? this.profile() : data.heights ? this.map() : nothing}${this.curves()}</div>
      <ul class="runners">${RUNNERS.map((name) => this.runner(name))}</ul>`;
  }

  /** @param {number} power */
  factor(power) { return power < 0 ? `1/${2 ** -power}` : `${2 ** power}`; }

  /** @param {string} name */
  runner(name) {
    const { rate, heights, lost } = this.data.runners[name];
    const gone = lost && this.state.step >= heights.length - 1;
    return html`<li class="runner-${name}"><svg viewBox="-8 -8 16 16" aria-hidden="true"><path d=${SHAPES[/** @type {keyof typeof SHAPES} */ (name)]}></path></svg><b>${this.t(name)}</b>
      <span class="faint">η ${this.n(rate, rate < 0.01 ? 4 : rate < 0.1 ? 3 : 2)}</span>
      <span data-name=${name}>${gone ? this.t("lost") : html`${this.t("height")} ${this.n(heights[Math.min(this.state.step, heights.length - 1)], 4)}`}</span></li>`;
  }

  /** @param {string} name @param {number} x @param {number} y */
  marker(name, x, y) {
    return svg`<path class="marker runner-${name}" transform="translate(${Math.max(-20, Math.min(SIZE + 20, x)).toFixed(1)} ${Math.max(-20, Math.min(SIZE + 20, y)).toFixed(1)})" d=${SHAPES[/** @type {keyof typeof SHAPES} */ (name)]}></path>`;
  }

  map() {
    const [[left, right], [low, high]] = this.data.drawn;
    const x = (/** @type {number} */ value) => ((value - left) / (right - left)) * SIZE;
    const y = (/** @type {number} */ value) => SIZE - ((value - low) / (high - low)) * SIZE;
    const upTo = (/** @type {string} */ name) => this.data.runners[name].places.slice(0, this.state.step + 1).filter((/** @type {number[]} */ place) => place.every((value) => Number.isFinite(value) && Math.abs(value) < 1e3));
    return html`<div class="plane"><canvas aria-hidden="true"></canvas><svg class="clip" viewBox="-8 -8 ${SIZE + 16} ${SIZE + 16}" role="img" aria-label=${this.t("map")}>
      <rect class="edge" x="0" y="0" width=${SIZE} height=${SIZE}></rect>
      ${this.data.lowest.map((/** @type {number[]} */ place) => svg`<path class="goal" d="M-5,-5L5,5M5,-5L-5,5" transform="translate(${x(place[0])} ${y(place[1])})"></path>`)}
      <svg x="0" y="0" width=${SIZE} height=${SIZE} viewBox="0 0 ${SIZE} ${SIZE}">
      ${RUNNERS.map((name) => svg`<polyline class="trail runner-${name}" points=${upTo(name).map((/** @type {number[]} */ place) => `${x(place[0]).toFixed(1)},${y(place[1]).toFixed(1)}`).join(" ")}></polyline>`)}
      ${RUNNERS.map((name) => { const last = upTo(name).at(-1); return last ? this.marker(name, x(last[0]), y(last[1])) : nothing; })}</svg></svg></div>`;
  }

  profile() {
    const { line, drawn, runners } = this.data;
    const [[left, right]] = drawn;
    const points = line.map((/** @type {number} */ height, /** @type {number} */ place) => /** @type {[number, number]} */ ([left + (place / (line.length - 1)) * (right - left), height]));
    return chart({
      label: this.t("map"), series: [{ name: "", points, className: "ground" }], width: 420, height: 320, x: [left, right], y: [Math.min(...line) - 0.3, Math.max(...line)],
      more: (/** @type {any} */ x, /** @type {any} */ y) => RUNNERS.map((name) => {
        const at = Math.min(this.state.step, runners[name].places.length - 1);
        const place = runners[name].places[at][0];
        // clamped scales keep those who ran out of the picture at its edge
        return Number.isFinite(place) ? svg`<path class="marker runner-${name}" transform="translate(${x(place)} ${y(runners[name].heights[at])})" d=${SHAPES[/** @type {keyof typeof SHAPES} */ (name)]}></path>` : nothing;
      }),
    });
  }

  curves() {
    const { runners, steps } = this.data;
    const all = RUNNERS.flatMap((name) => runners[name].heights).filter((height) => height !== null);
    const floor = Math.min(0, ...all);  // a landscape that goes below 0 is shown from its lowest point on
    const shift = (/** @type {number|null} */ height) => Math.max((height ?? NaN) - floor, 1e-5);
    const top = Math.min(1e4, Math.max(...all) - floor);
    return chart({
      label: this.t("curves"), logY: true, x: [0, steps], y: [Math.max(1e-5, Math.min(...all.map(shift))), top], xLabel: this.t("step"), yLabel: this.t(floor < 0 ? "above" : "height"), at: this.state.step, width: 420, height: 320, right: 70,
      series: RUNNERS.map((name) => ({ name: this.t(name), label: true, className: `runner-${name}`, points: runners[name].heights.map((/** @type {number|null} */ height, /** @type {number} */ step) => [step, shift(height)]) })),
    });
  }

  drawn() {
    const { heights, side } = this.data;
    if (!heights) return;
    const ground = resolved(this, "--paper"), full = resolved(this, "--residual");
    let least = Infinity, most = -Infinity;
    for (const value of heights) { least = Math.min(least, value); most = Math.max(most, value); }
    // steps of equal height below, ever wider ones above: the ground's shape shows in both
    const level = (/** @type {number} */ value) => Math.floor(16 * Math.sqrt((value - least) / (most - least)));
    paint(this.querySelector("canvas"), heights, side, [ground, full], (value) => mix(ground, full, 0.04 * level(value)));
  }
}
define("glaswerk-descent", Descent);
