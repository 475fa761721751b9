// <glaswerk-thinking-budget>: right answers against the tokens of thinking allowed. First the reader's own curve, then what
// was measured; a slider shows one problem cut at that budget.

import { chain, problemField, problemsOf, replyAt, rest, source, withChains } from "../chains.js";
import { chart } from "../chart.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import texts from "../texts/thinking-budget.js";

const STAGES = ["sft", "grpo"];

class ThinkingBudget extends Figure {
  static texts = withChains(texts);
  static needsModel = false;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { task: "cups", stage: "sft", low: 50, high: 80, half: 40, shown: false, at: 5, problem: 0 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const [told, recorded] = await Promise.all([this.demo("budget", {}, signal), this.demo("chains", {}, signal)]);
    return { ...told, problems: recorded.problems };
  }

  /** @param {string} stage @param {string} [from] */
  rows(stage, from = "rows") { return this.data[from].filter((/** @type {any} */ row) => row.task === this.state.task && row.stage === stage); }

  get budgets() { return this.rows("sft").map((/** @type {any} */ row) => row.setting); }

  /** What the reader expects at a budget: from one share to another, half of the way at `half`. @param {number} budget */
  guess(budget) {
    const { low, high, half } = this.state, bend = (/** @type {number} */ x) => 1 / (1 + Math.exp((-6 * (x - half)) / Math.max(8, half)));
    const most = this.budgets.at(-1), from = bend(0), to = bend(most);
    return low + ((high - low) * (bend(budget) - from)) / (to - from);
  }

  body() {
    const { shown } = this.state, { budgets } = this, most = budgets.at(-1);
    const knob = (/** @type {string} */ key, /** @type {number} */ max, /** @type {number} */ min = 0) => html`<label class="slider">${this.t(`guess_${key}`)}<span class="value">${key === "half" ? this.t("tokens", { count: this.state.half }) : this.percent(this.state[key] / 100, 0)}</span>
      <input type="range" data-key=${key} min=${min} max=${max} step=${key === "half" ? 2 : 1} .value=${String(this.state[key])} aria-valuetext=${`${this.state[key]}`} @input=${(/** @type {any} */ event) => this.set({ [key]: Number(event.target.value) })}></label>`;
    return html`<div class="controls">${this.segments("task", ["cups", "sums"].map((value) => ({ value, label: this.t(value) })), this.t("task"))}${shown ? this.segments("stage", STAGES.map((value) => ({ value, label: this.t(value) })), this.t("stage")) : nothing}</div>
      <div class="controls">${knob("low", 100)}${knob("high", 100)}${knob("half", most - 8, 4)}
        <button type="button" class="button" data-name="reveal" aria-pressed=${String(shown)} @click=${() => this.set({ shown: !shown })}>${this.t(shown ? "hide" : "reveal")}</button></div>
      ${this.curves(budgets)}${shown ? this.told(budgets) : html`<p class="faint">${this.t(`about_${this.state.task}`)} ${this.t("your_turn")}</p>`}`;
  }

  /** @param {number[]} budgets */
  curves(budgets) {
    const { shown, at, task } = this.state, most = budgets[budgets.length - 1], place = Math.min(at, budgets.length - 1);
    const along = Array.from({ length: most / 2 + 1 }, (_, step) => /** @type {[number, number]} */ ([2 * step, this.guess(2 * step)]));
    const once = this.rows("sft", "at_once")[0], chance = task === "cups" ? 100 / 3 : 0;
    const measured = shown ? STAGES.map((stage) => ({ name: this.t(stage), label: true, className: stage === "sft" ? "ground thought" : "way-grpo", dash: stage === "sft" ? "none" : "6 3", points: this.rows(stage).map((/** @type {any} */ row) => /** @type {[number, number]} */ ([row.setting, 100 * row.right])) })) : [];
    const band = (/** @type {any[]} */ rows, /** @type {any} */ x, /** @type {any} */ y) => rows.map((row, each) => `${each ? "L" : "M"}${x(row.setting)} ${y(100 * row.high)}`).join("") + [...rows].reverse().map((row) => `L${x(row.setting)} ${y(100 * row.low)}`).join("") + "Z";
    return chart({
      label: this.t("chart", { task: this.t(task) }), x: [0, most], y: [0, 100], xLabel: this.t("allowed"), yLabel: this.t("percent"), width: 900, height: 330, right: 104, at: shown ? budgets[place] : undefined,
      series: [
        { name: this.t("guessed"), label: true, className: "truth", dash: "2 4", points: along },
        ...(shown ? [{ name: this.t("at_once"), label: true, className: "of-weight", dash: "1 5", points: /** @type {[number, number][]} */ ([[0, 100 * once.right], [most, 100 * once.right]]) }] : []),
        ...(chance ? [{ name: this.t("chance"), label: true, className: "faint-line", dash: "1 5", points: /** @type {[number, number][]} */ ([[0, chance], [most, chance]]) }] : []),
        ...measured,
      ],
      more: (/** @type {any} */ x, /** @type {any} */ y) => (shown ? STAGES.map((stage) => svg`<path class="interval of-${stage}" d=${band(this.rows(stage), x, y)}></path>
        ${this.rows(stage).map((/** @type {any} */ row) => row.seeds.length > 1 ? row.seeds.map((/** @type {number} */ share) => svg`<circle class="seed of-${stage}" cx=${x(row.setting)} cy=${y(100 * share)} r="1.8"></circle>`) : nothing)}`) : nothing),
    });
  }

  /** What was measured at the slider's budget. @param {number[]} budgets */
  told(budgets) {
    const { task, stage } = this.state, place = Math.min(this.state.at, budgets.length - 1), budget = budgets[place], rows = this.rows(stage), row = rows[place];
    const off = rows.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + Math.abs(this.guess(each.setting) - 100 * each.right), 0) / rows.length;
    const problems = problemsOf(this.data.problems, task, stage), problem = problems[Math.min(this.state.problem, problems.length - 1)], reply = replyAt(problem, budget);
    return html`<p data-name="off">${this.t("off", { points: this.n(off, 0) })}</p>
      <div class="controls"><label class="slider scrubber">${this.t("budget")}<span class="value">${this.t("tokens", { count: budget })}</span><input type="range" data-key="at" min="0" max=${budgets.length - 1} step="1" .value=${String(place)} aria-valuetext=${this.t("tokens", { count: budget })} @input=${(/** @type {any} */ event) => this.set({ at: Number(event.target.value) })}></label></div>
      <dl class="facts"><div><dd class="c-value" data-name="right">${this.percent(row.right)}</dd><dt>${this.t("right", { low: this.n(100 * row.low, 0), high: this.percent(row.high, 0) })}</dt></div><div><dd data-name="forced">${row.forced} / ${row.count}</dd><dt>${this.t("forced")}</dt></div>
        <div><dd data-name="used">${this.n(row.tokens, 1)}</dd><dt>${this.t("used")}</dt></div><div><dd data-name="chains">${this.percent(row.chains / row.count)}</dd><dt>${this.t("whole")}</dt></div></dl>
      <div class="controls">${problemField(this, problems)}</div>
      <p class="asked-for"><b lang="en">${problem.asked}</b><br><span class="faint">${this.t(reply.forced ? "was_cut" : reply.budget ? "was_done" : "no_thought", { budget, count: reply.thinking })}</span></p>
      ${chain(this, problem, reply)}${rest(this, problem, reply)}`;
  }

  provenance() { return source(this, this.data); }
}
define("glaswerk-thinking-budget", ThinkingBudget);
