// <glaswerk-benchmark>: the open model does a benchmark, question after question; the share of right answers with its
// interval, beside what blind guessing gives.

import { define, html, nothing, svg } from "../figure.js";
import { chart } from "../chart.js";
import { language } from "../data.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/benchmark.js";

class Benchmark extends Pieces {
  static texts = texts;
  static reloads = ["task"];
  static starts = ["task"];

  initial() { return { task: "course" }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("benchmark", { language, task: this.state.task, piece }, signal); }

  count() { return Math.ceil(this.data.total / 5); }

  choice() {
    const offered = this.data?.benchmarks ?? ["course"];
    return html`<label class="control">${this.t("task")}<select data-key="task" @change=${(/** @type {any} */ event) => this.set({ task: offered[event.target.selectedIndex] })}>
      ${offered.map((/** @type {string} */ name) => html`<option ?selected=${this.state.task === name}>${this.t(name)}</option>`)}</select></label>`;
  }

  whenWrong() { return html`<div class="controls">${this.choice()}</div>`; }

  body() {
    const { path, chance, total, half } = this.data;
    const [n, share, low, high] = path[path.length - 1];
    return html`<div class="controls">${this.choice()}${this.runner()}</div>${this.progress()}
      <dl class="facts"><div><dd data-name="asked">${n} / ${total}</dd><dt>${this.t("asked")}</dt></div><div><dd class="c-logit" data-name="share">${this.percent(share)}</dd><dt>${this.t("right")}</dt></div>
        <div><dd data-name="interval">${this.n(100 * low, 0)}–${this.percent(high, 0)}</dd><dt>${this.t("interval")}</dt></div><div><dd>± ${this.n(100 * half, 1)}</dd><dt>${this.t("half")}</dt></div>
        <div><dd>${this.percent(chance)}</dd><dt>${this.t("chance")}</dt></div></dl>
      <div class="two even">${this.curve()}<div class="reading"><p class="verdict" data-name="verdict">${this.t(low > chance ? "above" : high < chance ? "below" : "unclear", { chance: this.percent(chance, 0) })}</p>${this.asked()}</div></div>`;
  }

  curve() {
    const { path, chance, guessing, total } = this.data;
    const flat = (/** @type {number} */ sign) => guessing.map((/** @type {number} */ width, /** @type {number} */ place) => [place + 1, Math.min(100, Math.max(0, 100 * (chance + sign * width)))]);
    return chart({
      label: this.t("chart"), x: [0, total], y: [0, 100], xLabel: this.t("questions"), yLabel: this.t("percent"), width: 460, height: 300, right: 76,
      series: [
        { name: "", className: "faint-line", dash: "2 4", points: flat(1) },
        { name: "", className: "faint-line", dash: "2 4", points: flat(-1) },
        { name: this.t("guess"), label: true, className: "truth", dash: "6 3", points: [[0, 100 * chance], [total, 100 * chance]] },
        { name: this.t("model_said"), label: true, className: "held-out", points: path.map((/** @type {number[]} */ row) => [row[0], 100 * row[1]]) },
      ],
      more: (/** @type {any} */ x, /** @type {any} */ y) => svg`<polygon class="interval" points=${[...path.map((/** @type {number[]} */ row) => `${x(row[0])},${y(100 * row[3])}`), ...[...path].reverse().map((row) => `${x(row[0])},${y(100 * row[2])}`)].join(" ")}></polygon>`,
    });
  }

  asked() {
    return html`<ol class="asked" tabindex="0" aria-label=${this.t("last")}>${[...this.data.questions].reverse().map((each) => html`<li><p lang="">${each.text}</p><ul>${each.options.map((/** @type {string} */ option, /** @type {number} */ place) => html`<li class=${place === each.picked ? "picked" : ""}><span class="mark" aria-hidden="true">${place === each.right ? "✓" : place === each.picked ? "✗" : ""}</span><span lang="">${option}</span>${place === each.picked ? html` <small>${this.t("picked")}</small>` : nothing}${place === each.right ? html`<span class="visually-hidden"> (${this.t("right_one")})</span>` : nothing}</li>`)}</ul></li>`)}</ol>`;
  }

  provenance() { return html`${super.provenance()} · ${this.t(`${this.data?.task ?? this.state.task}_source`)}`; }
}
define("glaswerk-benchmark", Benchmark);
