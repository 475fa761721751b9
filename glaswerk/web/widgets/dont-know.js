// <glaswerk-dont-know>: the same questions to every stage of the run, or to the open model in other words: how often it is
// right, wrong, or says that it does not know.

import { define, html, nothing } from "../figure.js";
import { language, live } from "../data.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/dont-know.js";

const OUTCOMES = ["right", "declined", "wrong"];

class DontKnow extends Pieces {
  static texts = texts;
  static reloads = ["source"];
  static starts = ["source"];

  initial() { return { source: "own" }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("honest", { language, source: this.state.source, piece }, signal); }

  controls() {
    const { sources = [] } = this.data;
    return html`<div class="controls">
      ${live && sources.length > 1 ? this.segments("source", sources.map((/** @type {string} */ name, /** @type {number} */ place) => ({ value: place ? name : "own", label: this.t(name) })), this.t("source")) : nothing}
      ${this.runner()}</div>${this.progress()}`;
  }

  whenWrong() { return this.controls(); }

  /** @param {string} way */
  named(way) {
    if (way === "source" && this.data.stages.length) return this.t("way_source_stage", { stage: this.data.open });
    return ["plain", "offer", "source"].includes(way) ? this.t(`way_${way}`) : this.t("way_stage", { stage: way });
  }

  body() {
    const { rows, ways, run, stages } = this.data;
    const kinds = Object.keys(rows[0].kinds);
    return html`${this.controls()}
      <div class="scroll" tabindex="0" role="group" aria-label=${this.t("table")}><table class="outcomes"><caption>${this.t("table")}</caption>
        <thead><tr><td></td>${kinds.map((name) => html`<th scope="col">${this.t(name)}</th>`)}</tr></thead>
        <tbody>${ways.map((/** @type {string} */ way, /** @type {number} */ place) => html`<tr><th scope="row">${this.named(way)}</th>${kinds.map((name) => html`<td>${rows[place] ? this.bar(rows[place].kinds[name]) : html`<span class="faint">–</span>`}</td>`)}</tr>`)}</tbody></table></div>
      <p class="faint legend-line">${OUTCOMES.map((name) => html`<span class="key-pair"><span class=${`key ${name}`} aria-hidden="true"></span> ${this.t(name)}</span> `)}</p>
      ${stages.includes("dpo") ? nothing : this.missing(run, stages)}`;
  }

  /** What is missing, and the commands that make it. @param {string|null} run @param {string[]} stages */
  missing(run, stages) {
    const before = run === null ? html`${this.t("no_run")} <code>glaswerk run wikipedia-en</code>. ${this.t("then")}` : stages.length ? this.t("no_stage") : html`${this.t("no_sft")} <code>glaswerk sft ${run}</code>. ${this.t("then")}`;
    return html`<p class="notice-line">${before} <code>glaswerk align ${run ?? "runs/wikipedia-en"} --method dpo</code>.</p>`;
  }

  /** @param {any} counts */
  bar(counts) {
    const all = Math.max(1, OUTCOMES.reduce((sum, name) => sum + counts[name], 0));
    const [low, high] = counts.interval;
    return html`<span class="outcome-bar" aria-hidden="true">${OUTCOMES.map((name) => html`<span class=${name} .style=${`--size: ${counts[name] / all}`}></span>`)}</span>
      <span class="outcome-said">${OUTCOMES.map((name, place) => html`${place ? " · " : ""}<b data-name=${name}>${counts[name]}</b> ${this.t(`${name}_short`)}`)}</span>
      ${counts.declined ? html`<span class="outcome-said faint">${this.t("interval", { low: this.n(100 * low, 0), high: this.percent(high, 0) })}</span>` : nothing}`;
  }
}
define("glaswerk-dont-know", DontKnow);
