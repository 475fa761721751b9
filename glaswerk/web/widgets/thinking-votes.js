// <glaswerk-thinking-votes>: several drawn replies vote; right answers against votes, and against tokens beside one thought.

import { source, withChains } from "../chains.js";
import { chart } from "../chart.js";
import { Figure, define, html, svg } from "../figure.js";
import texts from "../texts/thinking-votes.js";

class ThinkingVotes extends Figure {
  static texts = withChains(texts);
  static needsModel = false;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { task: "sums", stage: "sft", votes: 16 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("votes", {}, signal); }

  /** @param {string} [from] @returns {any[]} */
  rows(from = "rows") { return this.data[from].filter((/** @type {any} */ row) => row.task === this.state.task && row.stage === this.state.stage); }

  body() {
    const rows = this.rows(), single = this.rows("single"), row = rows.find((each) => each.setting === this.state.votes) ?? rows[rows.length - 1];
    const best = single[single.length - 1], points = 100 * (row.right - best.right), more = row.tokens - best.tokens;
    return html`<div class="controls">${this.segments("task", ["cups", "sums"].map((value) => ({ value, label: this.t(value) })), this.t("task"))}${this.segments("stage", ["sft", "grpo"].map((value) => ({ value, label: this.t(value) })), this.t("stage"))}
        ${this.segments("votes", rows.map((each) => ({ value: each.setting, label: `${each.setting}` })), this.t("votes"))}</div>
      <div class="two even">${this.overVotes(rows, row)}${this.overTokens(rows, single, row)}</div>
      <dl class="facts"><div><dd class="c-value" data-name="right">${this.percent(row.right)}</dd><dt>${this.t("right", { low: this.n(100 * row.low, 0), high: this.percent(row.high, 0) })}</dt></div><div><dd data-name="tokens">${this.n(row.tokens, 0)}</dd><dt>${this.t("tokens")}</dt></div>
        <div><dd data-name="single">${this.percent(best.right)}</dd><dt>${this.t("single", { tokens: this.n(best.tokens, 0) })}</dt></div></dl>
      <p class="verdict-line" data-name="verdict">${this.t(points > 0.05 ? "gains" : points < -0.05 ? "loses" : "same", { points: this.n(Math.abs(points), 1), times: this.n(row.tokens / best.tokens, 1), more: this.n(more, 0), votes: row.setting })} ${this.t(row.low > best.right || row.high < best.right ? "sure" : "unsure")}</p>`;
  }

  /** @param {any[]} rows @param {any} row */
  overVotes(rows, row) {
    const most = rows[rows.length - 1].setting;
    return chart({
      label: this.t("over_votes"), x: [0, most], y: [0, 100], xLabel: this.t("votes_axis"), yLabel: this.t("percent"), width: 460, height: 270, at: row.setting,
      series: [{ name: "", className: "of-voted", points: rows.map((each) => [each.setting, 100 * each.right]) }],
      more: (/** @type {any} */ x, /** @type {any} */ y) => rows.map((each) => svg`<line class="reach of-voted" x1=${x(each.setting)} x2=${x(each.setting)} y1=${y(100 * each.low)} y2=${y(100 * each.high)}></line><circle class="spot of-voted" cx=${x(each.setting)} cy=${y(100 * each.right)} r="4"></circle>`),
    });
  }

  /** @param {any[]} rows @param {any[]} single @param {any} row */
  overTokens(rows, single, row) {
    const thought = single.filter((each) => each.tokens >= 1);
    return chart({
      label: this.t("over_tokens"), x: [thought[0].tokens, rows[rows.length - 1].tokens * 1.1], y: [0, 100], logX: true, xLabel: this.t("tokens_axis"), yLabel: this.t("percent"), width: 460, height: 270, right: 84, at: row.tokens,
      series: [
        { name: this.t("thought"), label: true, className: "ground thought", points: thought.map((each) => [each.tokens, 100 * each.right]) },
        { name: this.t("voted"), label: true, className: "of-voted", dash: "6 3", points: rows.map((each) => [each.tokens, 100 * each.right]) },
      ],
      more: (/** @type {any} */ x, /** @type {any} */ y) => [...thought.map((each) => svg`<circle class="spot of-sft" cx=${x(each.tokens)} cy=${y(100 * each.right)} r="3"></circle>`), ...rows.map((each) => svg`<circle class="spot of-voted" cx=${x(each.tokens)} cy=${y(100 * each.right)} r="4"></circle>`)],
    });
  }

  provenance() { return source(this, this.data); }
}
define("glaswerk-thinking-votes", ThinkingVotes);
