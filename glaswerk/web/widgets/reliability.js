// <glaswerk-reliability>: how sure the open model is of its choices against how often they are right, with a temperature
// that changes only how sure it seems. Every temperature was computed ahead.

import { define, html, nothing, svg } from "../figure.js";
import { chart } from "../chart.js";
import { language, live } from "../data.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/reliability.js";

class Reliability extends Pieces {
  static texts = texts;
  static reloads = ["task"];
  static starts = ["task"];

  initial() { return { task: "own", step: 8 }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("confidence", { language, task: this.state.task, piece }, signal); }

  controls() {
    const { steps = [] } = this.data, { step } = this.state;
    // an exported site answers "own", whatever that is, and what models without a run were asked
    const tasks = (this.data.tasks ?? []).filter((/** @type {string} */ name, /** @type {number} */ place) => live || !place || name !== "capitals");
    const shown = this.n(steps[step]?.temperature ?? 1, 2);
    return html`<div class="controls"><label class="control">${this.t("task")}<select data-key="task" @change=${(/** @type {any} */ event) => this.set({ task: event.target.selectedIndex ? tasks[event.target.selectedIndex] : "own" })}>
        ${tasks.map((/** @type {string} */ name, /** @type {number} */ place) => html`<option ?selected=${this.state.task === (place ? name : "own")}>${this.t(name)}</option>`)}</select></label>${this.runner()}
      <label class="slider">${this.t("temperature")}<span class="value">${shown}</span><input type="range" data-key="step" min="0" max=${Math.max(1, steps.length - 1)} step="1" .value=${String(step)} aria-valuetext=${shown}
        @input=${(/** @type {any} */ event) => this.set({ step: Number(event.target.value) })}></label></div>${this.progress()}`;
  }

  whenWrong() { return this.controls(); }

  body() {
    const { steps, right, asked, total, best, chance } = this.data;
    const now = steps[this.state.step];
    return html`${this.controls()}
      <dl class="facts"><div><dd data-name="asked">${asked} / ${total}</dd><dt>${this.t("asked")}</dt></div><div><dd class="c-value" data-name="right">${this.percent(right, 0)}</dd><dt>${this.t("right", { chance: this.percent(chance, 0) })}</dt></div>
        <div><dd class="c-logit" data-name="sure">${this.percent(now.sure, 0)}</dd><dt>${this.t("sure")}</dt></div><div><dd class="c-loss" data-name="ece">${this.n(now.ece, 3)}</dd><dt>${this.t("ece")}</dt></div>
        <div><dd data-name="brier">${this.n(now.brier, 3)}</dd><dt>${this.t("brier")}</dt></div><div><dd>${this.n(now.loss, 2)}</dd><dt>${this.t("loss")}</dt></div></dl>
      <div class="two even">${this.diagram(now)}<div class="reading"><p class="verdict" data-name="verdict">${this.t(now.sure - right > 0.05 ? "too_sure" : right - now.sure > 0.05 ? "too_unsure" : "fits", { sure: this.percent(now.sure, 0), right: this.percent(right, 0) })}</p>
        <p class="faint">${this.t("best", { temperature: this.n(steps[best].temperature, 2), ece: this.n(steps[best].ece, 3) })}</p>
        ${this.data.tasks[0] === "capitals" ? html`<p class="faint">${this.t("no_run")}</p>` : nothing}</div></div>`;
  }

  /** @param {any} now */
  diagram(now) {
    return chart({
      label: this.t("chart"), x: [0, 100], y: [0, 100], xLabel: this.t("confidence_axis"), yLabel: this.t("right_axis"), width: 460, height: 340,
      series: [{ name: "", className: "faint-line", dash: "4 4", points: [[0, 0], [100, 100]] }],
      more: (/** @type {any} */ x, /** @type {any} */ y) => now.bins.filter((/** @type {any} */ bin) => bin.count).map((/** @type {any} */ bin) => svg`<rect class="bin" x=${x(100 * bin.low) + 1} width=${Math.max(1, x(100 * bin.high) - x(100 * bin.low) - 2)} y=${y(100 * bin.right)} height=${Math.max(1, y(0) - y(100 * bin.right))}></rect>
        <line class="gap" x1=${x(100 * bin.confidence)} x2=${x(100 * bin.confidence)} y1=${y(100 * bin.right)} y2=${y(100 * bin.confidence)}></line><circle class="gap-end" cx=${x(100 * bin.confidence)} cy=${y(100 * bin.confidence)} r="3.5"></circle>
        <text x=${x(100 * bin.low) + 4} y=${y(0) - 5}>${bin.count}</text>`),
    });
  }

  provenance() { return html`${super.provenance()} · ${this.t(`${this.data?.task ?? "capitals"}_source`)}`; }
}
define("glaswerk-reliability", Reliability);
