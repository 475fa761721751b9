// <glaswerk-training>: a run's training as it happens: loss, learning rate, speed, samples. Server-sent events.

import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { narrow } from "../chart.js";
import { Figure, define, html, nothing, number, svg } from "../figure.js";
import texts from "../texts/training.js";

const H = 252, TOP = 22, LEFT = 46, BOTTOM = 26;
/** @typedef {{kind: string, stage: string, step: number, loss?: number, reward?: number, kl?: number, rate?: number, tokens_per_second?: number, text?: string}} RunEvent */

class Training extends Figure {
  static texts = texts;
  static needsModel = false;

  constructor() {
    super();
    /** @type {EventSource|null} */
    this.source = null;
  }

  async load() {
    this.source?.close();
    /** @type {{run: string, events: RunEvent[]}} */
    const data = { run: "", events: [] };
    const root = document.documentElement.dataset.up ?? "";
    if (document.documentElement.dataset.mode === "static") return data;
    this.source = new EventSource(`${root}api/events`);
    this.source.onmessage = (message) => {
      const told = JSON.parse(message.data);
      if (told.events[0]?.kind === "reset") data.events = [];
      data.run = told.run;
      data.events = data.events.concat(told.events.filter((/** @type {RunEvent} */ event) => event.kind !== "reset"));
      this.requestUpdate();
    };
    return data;
  }

  disconnectedCallback() { super.disconnectedCallback(); this.source?.close(); }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(key, { run: this.data?.run ?? "", ...values }); }

  body() {
    const steps = this.data.events.filter((/** @type {RunEvent} */ event) => event.kind === "step" && event.loss !== undefined);
    if (!steps.length) return html`<p class="faint">${this.t(this.data.run ? "not_yet" : "none")}</p>`;
    const stages = [...new Set(steps.map((/** @type {RunEvent} */ event) => event.stage))];
    const last = steps[steps.length - 1];
    const samples = this.data.events.filter((/** @type {RunEvent} */ event) => event.kind === "sample" && event.text);
    const sample = samples[samples.length - 1];
    return html`<dl class="facts"><div><dd>${last.stage}</dd><dt>${this.t("stage")}</dt></div><div><dd>${this.n(last.step, 0)}</dd><dt>${this.t("step")}</dt></div>
        <div><dd class="c-loss">${this.n(last.loss, 3)}</dd><dt>${this.t("loss")}</dt></div>
        <div><dd>${this.n(last.tokens_per_second, 0)}</dd><dt>${this.t("speed")}</dt></div><div><dd>${this.percent(last.rate ?? 0, 0)}</dd><dt>${this.t("rate")}</dt></div></dl>
      ${this.curve(steps, stages, "loss", this.t("look"))}
      ${this.rounds()}
      ${this.finished()}
      ${samples.length > 1 ? html`<details><summary>${this.t("samples", { count: samples.length })}</summary>${samples.map((/** @type {RunEvent} */ each) => html`<p class="faint">${each.stage}, ${this.t("step")} ${this.n(each.step, 0)}</p><p class="sum">${each.text}</p>`)}</details>` : nothing}
      ${sample ? html`<p class="faint">${this.t("sample")} (${sample.stage}, ${this.t("step")} ${this.n(sample.step, 0)})</p><p class="sum">${sample.text}</p>` : nothing}`;
  }

  /** What each finished stage came to, as the run wrote it. */
  finished() {
    /** @type {any[]} */
    const done = this.data.events.filter((/** @type {RunEvent} */ event) => event.kind === "stage");
    if (!done.length) return nothing;
    const columns = [["parameters", 0], ["tokens", 0], ["seconds", 0], ["tokens_per_second", 0], ["val_loss", 3], ["val_bits_per_byte", 3]];
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${this.t("stages")}><table class="run-stages"><caption class="visually-hidden">${this.t("stages")}</caption>
      <thead><tr><th scope="col">${this.t("stage")}</th>${columns.map(([key]) => html`<th scope="col">${this.t(String(key))}</th>`)}</tr></thead>
      <tbody>${done.map((event) => html`<tr><th scope="row">${event.stage}</th>${columns.map(([key, digits]) => html`<td class="num">${event[key] === undefined ? "–" : this.n(event[key], Number(digits))}</td>`)}</tr>`)}</tbody></table></div>`;
  }

  /** What stages that learn from rewards have come to: reward and KL, round by round. */
  rounds() {
    const rounds = this.data.events.filter((/** @type {RunEvent} */ event) => event.kind === "round");
    if (!rounds.length) return nothing;
    const stages = [...new Set(rounds.map((/** @type {RunEvent} */ event) => event.stage))];
    const last = rounds[rounds.length - 1];
    return html`<p class="faint">${this.t("rounds")}</p>
      <dl class="facts"><div><dd>${last.stage}</dd><dt>${this.t("stage")}</dt></div><div><dd>${this.n(last.step, 0)}</dd><dt>${this.t("round")}</dt></div>
        <div><dd class="c-value">${this.n(last.reward, 3)}</dd><dt>${this.t("reward")}</dt></div><div><dd class="c-loss">${this.n(last.kl, 2)}</dd><dt>${this.t("kl")}</dt></div></dl>
      ${this.curve(rounds, stages, "reward", this.t("reward"))}${this.curve(rounds, stages, "kl", this.t("kl"))}`;
  }

  /** Stages side by side, each from its first step. @param {RunEvent[]} steps @param {string[]} stages
   * @param {"loss"|"reward"|"kl"} what @param {string} label */
  curve(steps, stages, what, label) {
    const W = narrow.matches ? 400 : 720;
    let offset = 0;
    const parts = stages.map((stage) => {
      const own = steps.filter((event) => event.stage === stage).map((event) => ({ x: offset + event.step, y: event[what] ?? 0 }));
      const start = offset;
      offset += Math.max(...own.map((point) => point.x)) - start;
      return { stage, own, start };
    });
    const values = steps.map((event) => event[what] ?? 0);
    const x = scaleLinear([0, offset], [LEFT, W - 8]);
    const y = scaleLinear([Math.min(...values), Math.max(...values)], [H - BOTTOM, TOP]).nice(5);
    const ticks = y.ticks(5), digits = Math.max(1, Math.ceil(-Math.log10((ticks[1] ?? 1) - (ticks[0] ?? 0))));
    const newest = (/** @type {{x: number, y: number}[]} */ own) => svg`<circle class="here" r="4" cx=${x(own[own.length - 1].x)} cy=${y(own[own.length - 1].y)}></circle>`;
    // a short stage's name would run into the next one: it stands in the table below
    let free = -1;
    const named = (/** @type {string} */ stage, /** @type {number} */ at) => {
      const from = Math.min(at + 5, W - 8 - 9 * stage.length);
      if (from < free) return nothing;
      free = from + 9 * stage.length + 6;
      return svg`<text x=${from} y=${H - 8}>${stage}</text>`;
    };
    const draw = line((/** @type {{x: number, y: number}} */ point) => x(point.x), (point) => y(point.y));
    return html`<svg class="plot" viewBox="0 0 ${W} ${H}" role="img" aria-label=${label}>
      <text x=${LEFT} y="10">${this.t(what)}</text>
      ${ticks.map((tick) => svg`<line class="grid" x1=${LEFT} x2=${W - 8} y1=${y(tick)} y2=${y(tick)}></line><text x=${LEFT - 8} y=${y(tick)} text-anchor="end" dominant-baseline="central">${number(tick, digits)}</text>`)}
      ${parts.map(({ stage, own, start }) => svg`<path class="curve ${what === "reward" ? "good-answer" : ""}" d=${draw(own) ?? ""}></path><line class="grid" x1=${x(start)} x2=${x(start)} y1=${TOP} y2=${H - BOTTOM}></line>${named(stage, x(start))}`)}
      ${newest(parts[parts.length - 1].own)}</svg>`;
  }

  provenance() { return this.data?.run ? html`${this.data.run}` : nothing; }
}
define("glaswerk-training", Training);
