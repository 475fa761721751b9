// <glaswerk-ways>: what the stages after SFT say to the same questions, and their reward over the way that it took.

import { chart } from "../chart.js";
import { language } from "../data.js";
import { define, html, nothing, svg } from "../figure.js";
import { Later, inParts } from "../later.js";
import texts from "../texts/ways.js";

/** a stage's colour @type {Record<string, string>} */
export const HUES = { sft: "residual", dpo: "query", ppo: "value", grpo: "key", constitution: "weight" };

class Ways extends Later {
  static texts = texts;

  initial() { return { question: 0 }; }

  /** @param {AbortSignal} signal */
  first(signal) { return this.demo("ways", { language, part: 0 }, signal); }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    await inParts((part) => this.demo("ways", { language, part }, signal), signal, (told) => {
      Object.assign(data, told);
      this.requestUpdate();
    });
  }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(key, key === "look" ? { drawn: this.data?.drawn ?? 8 } : values); }

  body() {
    const { questions, stages, count, reward } = this.data, at = Math.min(this.state.question, questions.length - 1);
    return html`<div class="controls">${this.select("question", questions.map((/** @type {string} */ label, /** @type {number} */ value) => ({ value, label })), this.t("question"))}</div>
      ${this.notice()}${this.waiting(this.t("going", { done: stages.length, count }), stages.length / count)}
      <dl class="written stage-texts">${stages.map((/** @type {any} */ stage) => html`<div data-stage=${stage.name}><dt class=${`c-${hue(stage.name)}`}>${stage.name} <small>${this.t(stage.name in HUES ? stage.name : "other")}</small></dt><dd lang="">${stage.replies[at]}</dd></div>`)}</dl>
      <div class="two even">${stages.length > 1 ? this.plane() : nothing}${this.table()}</div>
      <p class="faint">${this.t(reward === "judge" ? "by_judge" : "by_rule")}</p>`;
  }

  notice() {
    const { run, missing } = this.data;
    if (!run) return html`<p class="notice-line" data-name="missing">${this.t("no_run")} <code>glaswerk run --align dpo</code></p>`;
    if (!missing.length) return nothing;
    const [next] = missing, verb = next === "sft" ? `glaswerk sft ${run}` : `glaswerk align ${run} --method ${next}`;
    return html`<p class="notice-line" data-name="missing">${this.t("missing", { stages: missing.join(", ") })} <code>${verb}</code></p>`;
  }

  plane() {
    const { stages } = this.data, most = Math.max(0.5, ...stages.map((/** @type {any} */ stage) => stage.kl_interval[1]));
    const edges = stages.flatMap((/** @type {any} */ stage) => stage.reward_interval), low = Math.min(0, ...edges), high = Math.max(0, ...edges), room = 0.08 * (high - low || 1);
    return chart({
      label: this.t("chart"), x: [-0.04 * most, most * 1.12], y: [low - room, high + room], xLabel: this.t("kl"), yLabel: this.t("reward_axis"), width: 460, height: 290, right: 30, series: [],
      more: (/** @type {any} */ x, /** @type {any} */ y) => stages.map((/** @type {any} */ stage) => svg`<g class="way" .style=${`--hue: var(--${hue(stage.name)})`}><line x1=${x(stage.kl)} x2=${x(stage.kl)} y1=${y(stage.reward_interval[0])} y2=${y(stage.reward_interval[1])}></line><line x1=${x(stage.kl_interval[0])} x2=${x(stage.kl_interval[1])} y1=${y(stage.reward)} y2=${y(stage.reward)}></line><circle cx=${x(stage.kl)} cy=${y(stage.reward)} r="5"></circle><text x=${x(stage.kl) + 8} y=${y(stage.reward) - 8}>${stage.name}</text></g>`),
    });
  }

  table() {
    const { stages } = this.data, between = (/** @type {number[]} */ [low, high]) => html`<small>${this.n(low, 1)}…${this.n(high, 1)}</small>`;
    return html`<div class="scroll" tabindex="0" role="group" aria-label=${this.t("table")}><table class="crossed"><caption>${this.t("table")}</caption><thead><tr><th scope="col">${this.t("stage")}</th><th scope="col">${this.t("kl")}</th><th scope="col">${this.t("reward")}</th><th scope="col">${this.t("tokens")}</th></tr></thead>
      <tbody>${stages.map((/** @type {any} */ stage) => html`<tr><th scope="row" class=${`c-${hue(stage.name)}`}>${stage.name}</th><td data-name=${`kl-${stage.name}`}>${this.n(stage.kl, 2)} ${between(stage.kl_interval)}</td><td data-name=${`reward-${stage.name}`}>${this.n(stage.reward, 2)} ${between(stage.reward_interval)}</td><td>${this.n(stage.tokens, 1)}</td></tr>`)}</tbody></table></div>`;
  }
}

/** @param {string} name */
const hue = (name) => HUES[name] ?? "position";
define("glaswerk-ways", Ways);
