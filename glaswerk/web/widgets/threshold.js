// <glaswerk-threshold>: the open model answers; a threshold on how sure it was decides which replies are given. All from
// stored scores: the sliders ask nobody.

import { define, html, nothing, svg } from "../figure.js";
import { chart } from "../chart.js";
import { language, live } from "../data.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/threshold.js";

const MEASURES = ["mean", "first", "least"], PENALTIES = [0, 1, 3, 9];

class Threshold extends Pieces {
  static texts = texts;
  static reloads = ["source"];
  static starts = ["source"];

  initial() { return { source: "own", measure: "mean", t: 0, penalty: 0 }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("answered", { language, source: this.state.source, piece }, signal); }

  /** Thresholds from the surest reply on: [threshold, replies given, wrong ones among them]. @returns {[number, number, number][]} */
  get steps() { return this.data.ways[this.state.measure].steps; }

  /** How many replies are given at a threshold, and how many of them are wrong. @param {number} t @returns {[number, number]} */
  at(t) {
    let found = /** @type {[number, number]} */ ([0, 0]);
    for (const [threshold, given, wrong] of this.steps) if (threshold >= t) found = [given, wrong];
    return found;
  }

  /** What a measure is called for replies and for choices. @param {string} name */
  measured(name) { return this.t(this.data.source === "choice" ? `choice_${name}` : name); }

  controls() {
    const { sources = [] } = this.data;
    return html`<div class="controls">
      ${live && sources.length > 1 ? this.segments("source", sources.map((/** @type {string} */ name, /** @type {number} */ place) => ({ value: place ? name : "own", label: this.t(name) })), this.t("source")) : nothing}
      ${this.runner()}</div>${this.progress()}
      <div class="controls">${this.segments("measure", MEASURES.map((value) => ({ value, label: this.measured(value) })), this.t("measure"))}
        ${this.slider("t", { label: this.t("threshold"), min: 0, max: 1, step: 0.01 })}
        ${this.segments("penalty", PENALTIES.map((value) => ({ value, label: value ? `−${value}` : "0" })), this.t("penalty"))}</div>`;
  }

  whenWrong() { return this.controls(); }

  body() {
    const { asked, right } = this.data, { t, penalty } = this.state;
    const [given, wrong] = this.at(t);
    const points = given - wrong - penalty * wrong;
    // the threshold that would have brought the most points, silence among the choices
    let best = [Infinity, 0];
    for (const [threshold, many, bad] of this.steps) if (many - bad - penalty * bad > best[1]) best = [threshold, many - bad - penalty * bad];
    return html`${this.controls()}
      <dl class="facts"><div><dd data-name="given">${given} / ${asked}</dd><dt>${this.t("given", { coverage: this.percent(given / asked, 0) })}</dt></div>
        <div><dd class="c-loss" data-name="risk">${given ? this.percent(wrong / given, 0) : "–"}</dd><dt>${this.t("risk", { wrong })}</dt></div>
        <div><dd class="c-value" data-name="lost">${right - (given - wrong)} / ${right}</dd><dt>${this.t("lost")}</dt></div>
        <div><dd data-name="points">${this.n(points, 0)}</dd><dt>${this.t(best[0] === Infinity ? "points_silent" : "points", { best: this.n(best[1], 0), at: this.n(best[0], 2) })}</dt></div></dl>
      ${this.dots()}
      <div class="two even">${this.curve()}<div class="reading"><p class="verdict">${this.t(right ? "areas" : "none_right")}</p>
        ${right ? html`<dl>${MEASURES.map((name) => html`<dt>${this.measured(name)}</dt><dd data-name=${`area-${name}`}>${this.n(this.data.ways[name].area, 3)}</dd>`)}<dt>${this.t("blind")}</dt><dd>${this.n(1 - right / Math.max(1, this.data.given), 3)}</dd></dl>` : nothing}
        ${this.data.given < asked ? html`<p class="faint">${this.t("declined", { declined: asked - this.data.given })}</p>` : nothing}</div></div>`;
  }

  /** Every reply as a mark: how sure it was from left to right, a row for each kind of question. */
  dots() {
    const names = Object.keys(this.data.kinds), { t } = this.state, column = 2 + MEASURES.indexOf(this.state.measure);
    const left = 8, width = 640, row = 58, high = row * names.length + 30, x = (/** @type {number} */ sure) => left + sure * (width - left - 26);
    const mark = (/** @type {number[]} */ dot, /** @type {number} */ place) => {
      const [kind, right] = dot, sure = dot[column], y = row * kind + 34 + ((place * 7) % 5 - 2) * 5;
      const how = `mark ${right ? "right" : "wrong"} ${sure >= t ? "" : "kept-back"}`;
      return right ? svg`<circle class=${how} cx=${x(sure)} cy=${y} r="4.5"></circle>` : svg`<path class=${how} d="M${x(sure) - 4} ${y - 4}l8 8m0 -8l-8 8"></path>`;
    };
    return html`<div class="scroll" tabindex="0" role="group" aria-label=${this.t("dots")}><svg class="plot replies" viewBox="0 0 ${width} ${high}" role="img" aria-label=${this.t("dots")}>
      <line class="now" x1=${x(t)} x2=${x(t)} y1="2" y2=${high - 18}></line>
      ${names.map((name, place) => svg`<text class="row-name" x="0" y=${row * place + 14}>${this.t(name)}</text><line class="grid" x1=${left} x2=${width - 26} y1=${row * place + 34} y2=${row * place + 34}></line>`)}
      ${[0, 0.25, 0.5, 0.75, 1].map((tick) => svg`<text x=${x(tick)} y=${high - 4} text-anchor=${tick ? "middle" : "start"}>${this.percent(tick, 0)}</text>`)}
      ${this.data.dots.map(mark)}</svg></div>
      <p class="faint legend-line"><span class="c-value">●</span> ${this.t("right_mark")} · <span class="c-loss">✕</span> ${this.t("wrong_mark")} · ${this.t("faded")}</p>`;
  }

  curve() {
    const { asked, ways } = this.data, [given, wrong] = this.at(this.state.t);
    const line = (/** @type {string} */ name) => ways[name].steps.map((/** @type {number[]} */ [, many, bad]) => /** @type {[number, number]} */ ([(100 * many) / asked, (100 * bad) / many]));
    return chart({
      label: this.t("chart"), x: [0, 100], y: [0, 100], xLabel: this.t("coverage_axis"), yLabel: this.t("risk_axis"), width: 460, height: 270,
      series: [...MEASURES.filter((name) => name !== this.state.measure).map((name) => ({ name: "", className: "faint-line", dash: "2 4", points: line(name) })), { name: "", points: line(this.state.measure) }],
      more: (/** @type {any} */ x, /** @type {any} */ y) => (given ? svg`<circle class="at-threshold" cx=${x((100 * given) / asked)} cy=${y((100 * wrong) / given)} r="5.5"></circle>` : nothing),
    });
  }

  provenance() { return html`${super.provenance()} · ${this.t(`${this.data?.source ?? "titles"}_source`)}`; }
}
define("glaswerk-threshold", Threshold);
