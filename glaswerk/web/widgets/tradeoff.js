// <glaswerk-tradeoff>: what a recipe measured: PPO, DPO and GRPO on one preference, gain over KL, point by point.

import { chart } from "../chart.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import texts from "../texts/tradeoff.js";

/** @type {Record<string, string>} */
const HUES = { dpo: "query", ppo: "value", grpo: "key" };

class Tradeoff extends Figure {
  static texts = texts;
  static needsModel = false;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { measure: "plain", at: -1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const told = await this.demo("tradeoff", {}, signal);
    // of a single seed, the intervals are those over its answers
    return told.seeds === 1 ? { ...told, summary: told.rows } : told;
  }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) {
    const seeds = this.data?.seeds || 3;
    return super.t(key, key === "look" ? { seeds: super.t(seeds === 1 ? "one_seed" : "seeds", { seeds }) } : values);
  }

  /** Each method's points, in order. @returns {[string, any[]][]} */
  get ways() { return Object.keys(HUES).map((method) => [method, this.data.summary.filter((/** @type {any} */ row) => row.method === method)]); }

  body() {
    const { summary, command } = this.data;
    if (!summary.length) return html`<p class="notice-line" data-name="missing">${this.t("missing")} <code class="wraps">${command}</code></p>`;
    const { ways } = this, last = Math.max(...ways.map(([, rows]) => rows.length)) - 1, at = this.state.at < 0 ? last : Math.min(this.state.at, last);
    const now = ways.map(([method, rows]) => /** @type {[string, any]} */ ([method, rows[Math.min(at, rows.length - 1)]])).filter(([, row]) => row), done = this.t("done", { share: this.percent(at / (last || 1), 0) });
    return html`<div class="controls">${this.segments("measure", ["plain", "reward"].map((value) => ({ value, label: this.t(value) })), this.t("measure"))}
        <label class="slider">${this.t("at")}<span class="value">${done}</span><input type="range" data-key="at" min="0" max=${last} step="1" .value=${String(at)} aria-valuetext=${done} @input=${(/** @type {any} */ event) => this.set({ at: Number(event.target.value) })}></label></div>
      <div class="two even">${this.plane(ways, now)}${this.table(now)}</div>
      ${this.said(now)}`;
  }

  /** @param {[string, any[]][]} ways @param {[string, any][]} now */
  plane(ways, now) {
    const { measure } = this.state, rows = this.data.summary, edges = rows.flatMap((/** @type {any} */ row) => [row[measure] - row[`${measure}_interval`], row[measure] + row[`${measure}_interval`]]);
    const most = Math.max(...rows.map((/** @type {any} */ row) => row.kl)), low = Math.min(...edges), high = Math.max(...edges), room = 0.06 * (high - low || 1);
    return chart({
      label: this.t("chart"), x: [-0.03 * most, most * 1.08], y: [low - room, high + room], xLabel: this.t("kl"), yLabel: this.t(`${measure}_axis`), width: 460, height: 300, right: 48,
      series: ways.map(([method, points]) => ({ name: method, label: true, className: `way-${method}`, points: points.map((row) => /** @type {[number, number]} */ ([row.kl, row[measure]])) })),
      more: (/** @type {any} */ x, /** @type {any} */ y) => [
        ...ways.flatMap(([method, points]) => points.map((row) => svg`<circle class="passed" .style=${`--hue: var(--${HUES[method]})`} cx=${x(row.kl)} cy=${y(row[measure])} r="2.6"></circle>`)),
        ...now.map(([method, row]) => svg`<g class="way" .style=${`--hue: var(--${HUES[method]})`}><line x1=${x(row.kl)} x2=${x(row.kl)} y1=${y(row[measure] - row[`${measure}_interval`])} y2=${y(row[measure] + row[`${measure}_interval`])}></line><line x1=${x(row.kl - row.kl_interval)} x2=${x(row.kl + row.kl_interval)} y1=${y(row[measure])} y2=${y(row[measure])}></line><circle cx=${x(row.kl)} cy=${y(row[measure])} r="5.5"></circle></g>`),
      ],
    });
  }

  /** @param {[string, any][]} now */
  table(now) {
    const cell = (/** @type {any} */ row, /** @type {string} */ name) => html`<td data-name=${`${name}-${row.method}`}>${this.n(row[name], 2)} <small>± ${this.n(row[`${name}_interval`], 2)}</small></td>`;
    return html`<div class="scroll" tabindex="0" role="group" aria-label=${this.t("table")}><table class="crossed"><caption>${this.t("table")}</caption><thead><tr><th scope="col">${this.t("method")}</th><th scope="col">${this.t("kl_short")}</th><th scope="col">${this.t("plain_short")}</th><th scope="col">${this.t("reward_short")}</th></tr></thead>
      <tbody>${now.map(([method, row]) => html`<tr><th scope="row" class=${`c-${HUES[method]}`}>${method} <small>${row.step}</small></th>${["kl", "plain", "reward"].map((name) => cell(row, name))}</tr>`)}</tbody></table></div>`;
  }

  /** @param {[string, any][]} now */
  said(now) {
    const found = now.map(([method, row]) => /** @type {[string, any]} */ ([method, this.data.rows.find((/** @type {any} */ each) => each.method === method && each.step === row.step && each.replies)])).filter(([, row]) => row);
    if (!found.length) return nothing;
    return html`<p class="matrix-title">${this.t("said")}</p><dl class="written stage-texts">${found.map(([method, row]) => html`<div><dt class=${`c-${HUES[method]}`}>${method}</dt>${row.replies.map((/** @type {string} */ reply) => html`<dd lang="en">${reply || "…"}</dd>`)}</div>`)}</dl>`;
  }

  provenance() { return this.data?.summary.length ? html`${this.t("source")} <code>${this.data.command}</code>` : nothing; }
}
define("glaswerk-tradeoff", Tradeoff);
