// <glaswerk-thinking-hurts>: what a model makes of being held up, of a wrong step in its own mouth, of being cut; and what a
// right answer costs then.

import { chain, problemField, problemsOf, replyAt, source, withChains } from "../chains.js";
import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/thinking-hurts.js";

const WAYS = ["wait", "slip", "cut"], STAGES = ["sft", "grpo"];

class ThinkingHurts extends Figure {
  static texts = withChains(texts);
  static needsModel = false;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { task: "cups", way: "wait", stage: "sft", problem: -1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const [told, recorded] = await Promise.all([this.demo("hurts", {}, signal), this.demo("chains", {}, signal)]);
    return { ...told, problems: recorded.problems };
  }

  /** @param {string} stage @returns {any[]} */
  rows(stage) { return this.data[this.state.way].filter((/** @type {any} */ row) => row.task === this.state.task && row.stage === stage); }

  body() {
    const { way } = this.state;
    return html`<div class="controls">${this.segments("way", WAYS.map((value) => ({ value, label: this.t(value) })), this.t("way"))}${this.segments("task", ["cups", "sums"].map((value) => ({ value, label: this.t(value) })), this.t("task"))}</div>
      <p class="faint">${this.t(`${way}_said`)}</p>
      <div class="scroll" tabindex="0" role="group" aria-label=${this.t("table")}><table class="outcomes prices-of"><caption>${this.t("table")}</caption><thead><tr><td></td>${STAGES.map((stage) => html`<th scope="col">${this.t(stage)}</th>`)}</tr></thead>
        <tbody>${this.rows("sft").map((row) => html`<tr><th scope="row">${this.t(`${way}_row`, { setting: row.setting, steps: this.t(row.setting === 1 ? "one_step" : "steps", { setting: row.setting }) })}</th>${STAGES.map((stage) => this.cell(stage, row.setting))}</tr>`)}</tbody></table></div>
      ${way === "wait" ? this.example() : nothing}`;
  }

  /** @param {string} stage @param {number} setting */
  cell(stage, setting) {
    const row = this.rows(stage).find((each) => each.setting === setting), { way } = this.state;
    const more = way === "wait" && setting ? this.t("changed", { lost: row.lost, gained: row.gained, waited: row.waited }) : way === "slip" ? this.t("taken_back", { count: row.taken_back, all: row.count, handed: row.handed, handed_right: row.handed_right, worked: row.count - row.handed, worked_right: Math.round(row.right * row.count) - row.handed_right }) : way === "cut" ? this.t("cut_count", { count: row.forced, all: row.count }) : "";
    return html`<td data-name=${`${way}-${stage}-${setting}`}><span class="reached" .style=${`--low: ${row.low}; --high: ${row.high}; --share: ${row.right}`}><i></i><b></b></span><strong class="c-value">${this.percent(row.right)}</strong> <small>${this.n(100 * row.low, 0)}–${this.percent(row.high, 0)}</small>
      ${way === "slip" ? nothing : html`<span class="outcome-said">${row.price === null ? this.t("no_price") : this.t("price", { price: this.n(row.price, 0) })}</span>`}${more.split(" · ").filter(Boolean).map((each) => html`<span class="outcome-said">${each}</span>`)}</td>`;
  }

  /** A chain that was done and made to wait. */
  example() {
    const { task, stage } = this.state, problems = problemsOf(this.data.problems, task, stage);
    // first one that waiting changed, if there is one
    const changed = problems.findIndex((each) => replyAt(each, 0, 1)?.answered !== each.replies[0].answered), place = this.state.problem < 0 ? Math.max(0, changed) : Math.min(this.state.problem, problems.length - 1);
    const problem = problems[place], reply = replyAt(problem, 0, 1);
    if (!reply) return nothing;
    return html`<p class="matrix-title">${this.t("example")}</p><div class="controls">${this.segments("stage", STAGES.map((value) => ({ value, label: this.t(value) })), this.t("stage"))}${problemField(this, problems, place)}</div>
      <p class="asked-for"><b lang="en">${problem.asked}</b><br><span class="faint">${this.t(problem.replies[0].answered ? "before_right" : "before_wrong")} ${this.t(reply.answered ? "after_right" : "after_wrong")}</span></p>${chain(this, problem, reply)}`;
  }

  provenance() { return source(this, this.data); }
}
define("glaswerk-thinking-hurts", ThinkingHurts);
