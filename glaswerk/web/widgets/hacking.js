// <glaswerk-hacking>: what a recipe measured: a bad reward, the same held back, and a better one, round by round.

import { chart } from "../chart.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import texts from "../texts/hacking.js";

const WAYS = ["bad", "held", "better"];

class Hacking extends Figure {
  static texts = texts;
  static needsModel = false;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { at: -1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const told = await this.demo("hacking", {}, signal);
    // of a single seed, the intervals are those over its answers
    return told.seeds === 1 ? { ...told, summary: told.rows } : told;
  }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) {
    const seeds = this.data?.seeds || 3;
    return super.t(key, key === "look" ? { seeds: super.t(seeds === 1 ? "one_seed" : "seeds", { seeds }) } : values);
  }

  body() {
    const { summary, command } = this.data;
    if (!summary.length) return html`<p class="notice-line" data-name="missing">${this.t("missing")} <code class="wraps">${command}</code></p>`;
    const rounds = [...new Set(/** @type {number[]} */ (summary.map((/** @type {any} */ row) => row.round)))].sort((a, b) => a - b);
    const place = this.state.at < 0 ? rounds.length - 1 : Math.min(this.state.at, rounds.length - 1), round = rounds[place];
    return html`<div class="controls"><label class="slider">${this.t("round")}<span class="value">${round}</span><input type="range" data-key="at" min="0" max=${rounds.length - 1} step="1" .value=${String(place)} aria-valuetext=${`${round}`} @input=${(/** @type {any} */ event) => this.set({ at: Number(event.target.value) })}></label></div>
      <div class="three-ways">${WAYS.map((way) => this.way(way, round, rounds[rounds.length - 1]))}</div>`;
  }

  /** One way: its curves, where it stands, what it says. @param {string} way @param {number} round @param {number} last */
  way(way, round, last) {
    const rows = this.data.summary.filter((/** @type {any} */ row) => row.way === way), now = rows.findLast((/** @type {any} */ row) => row.round <= round);
    const told = this.data.rows.find((/** @type {any} */ row) => row.way === way && row.round === now?.round && row.replies);
    const points = (/** @type {string} */ name) => rows.map((/** @type {any} */ row) => /** @type {[number, number]} */ ([row.round, row[name]]));
    const band = (/** @type {string} */ name, /** @type {any} */ x, /** @type {any} */ y) => rows.map((/** @type {any} */ row, /** @type {number} */ at) => `${at ? "L" : "M"}${x(row.round)} ${y(Math.min(1, row[name] + row[`${name}_interval`]))}`).join("") + [...rows].reverse().map((row) => `L${x(row.round)} ${y(Math.max(0, row[name] - row[`${name}_interval`]))}`).join("") + "Z";
    return html`<section data-way=${way}><p class="matrix-title">${this.t(way)}</p><p class="faint">${this.t(`${way}_said`)}</p>
      ${chart({
        label: this.t("chart", { way: this.t(way) }), x: [0, last], y: [0, 1], xLabel: this.t("rounds"), width: 340, height: 220, right: 78, at: round,
        series: [{ name: this.t("promised"), label: true, className: "bad-answer", dash: "6 3", points: points("reward") }, { name: this.t("meant"), label: true, className: "good-answer", points: points("plain") }],
        more: (/** @type {any} */ x, /** @type {any} */ y) => ["reward", "plain"].map((name) => svg`<path class="interval ${name === "plain" ? "fresh" : "test"}" d=${band(name, x, y)}></path>`),
      })}
      ${now ? html`<dl class="facts"><div><dd class="c-value" data-name="plain-${way}">${this.n(now.plain, 2)}</dd><dt>${this.t("plain_said")}</dt></div><div><dd class="c-loss" data-name="reward-${way}">${this.n(now.reward, 2)}</dd><dt>${this.t("reward_said")}</dt></div><div><dd class="c-logit" data-name="kl-${way}">${this.n(now.kl, 1)}</dd><dt>${this.t("kl_said")}</dt></div></dl>` : nothing}
      <dl class="written">${(told?.replies ?? []).map((/** @type {[string, string]} */ [title, reply]) => html`<div><dt lang="en">${this.t("question", { title })}</dt><dd lang="en">${reply || "…"}</dd></div>`)}</dl></section>`;
  }

  provenance() { return this.data?.summary.length ? html`${this.t("source")} <code>${this.data.command}</code>` : nothing; }
}
define("glaswerk-hacking", Hacking);
