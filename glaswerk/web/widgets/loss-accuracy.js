// <glaswerk-loss-accuracy>: a small model learns; at each checkpoint its loss and two accuracies on the same test.

import { define, html } from "../figure.js";
import { chart } from "../chart.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/loss-accuracy.js";

class LossAccuracy extends Pieces {
  static texts = texts;
  static needsModel = false;
  static lazy = true;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { at: -1 }; }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("practice", { piece }, signal); }

  get at() { const last = this.data.checkpoints.length - 1; return this.state.at < 0 ? last : Math.min(this.state.at, last); }

  body() {
    if (!this.data.checkpoints) return html`<div class="controls">${this.runner()}</div>${this.progress()}<p class="faint">${this.t(this.asking ? "computing" : "none")}</p>`;
    const { checkpoints, chance, parameters, practised, tested } = this.data;
    const { at } = this, now = checkpoints[at];
    return html`<div class="controls">${this.runner()}<label class="slider">${this.t("checkpoint")}<span class="value">${this.n(now.step, 0)}</span><input type="range" data-key="at" min="0" max=${checkpoints.length - 1} step="1" .value=${String(at)} aria-valuetext=${this.n(now.step, 0)} ?disabled=${checkpoints.length < 2}
          @input=${(/** @type {any} */ event) => this.set({ at: Number(event.target.value) })}></label></div>${this.progress()}
      <dl class="facts"><div><dd class="c-loss" data-name="loss">${this.n(now.loss, 2)}</dd><dt>${this.t("loss_said")}</dt></div><div><dd class="c-logit" data-name="choice">${this.percent(now.choice, 0)}</dd><dt>${this.t("choice_said", { chance: this.percent(chance, 0) })}</dt></div>
        <div><dd class="c-value" data-name="exact">${this.percent(now.exact, 0)}</dd><dt>${this.t("exact_said")}</dt></div><div><dd>${this.n(parameters, 0)}</dd><dt>${this.t("parameters")}</dt></div><div><dd>${this.n(practised, 0)} / ${this.n(tested, 0)}</dd><dt>${this.t("words")}</dt></div></dl>
      <div class="two even">${this.losses()}${this.accuracies()}</div>
      <p class="faint">${this.t("writes", { step: this.n(now.step, 0) })} ${now.written.map((/** @type {any} */ each) => html`<span class="turned-word"><code>${each.word} → ${each.reply || "∅"}</code> ${each.right ? "✓" : "✗"}</span> `)}</p>`;
  }

  /** @param {string} key @param {number} scale @returns {[number, number][]} */
  along(key, scale = 1) { return this.data.checkpoints.map((/** @type {any} */ each) => [each.step, scale * each[key]]); }

  losses() {
    const first = this.data.checkpoints[0].loss;
    return chart({ label: this.t("losses"), x: [0, this.data.steps], y: [0, Math.ceil(first)], xLabel: this.t("step"), yLabel: this.t("loss"), at: this.data.checkpoints[this.at].step, width: 440, height: 250, right: 16, series: [{ name: "", points: this.along("loss") }] });
  }

  accuracies() {
    return chart({
      label: this.t("accuracies"), x: [0, this.data.steps], y: [0, 100], xLabel: this.t("step"), yLabel: this.t("percent"), at: this.data.checkpoints[this.at].step, width: 440, height: 250, right: 84,
      series: [
        { name: "", className: "faint-line", dash: "2 4", points: [[0, 100 * this.data.chance], [this.data.steps, 100 * this.data.chance]] },
        { name: this.t("choice"), label: true, className: "held-out", dash: "6 3", points: this.along("choice", 100) },
        { name: this.t("exact"), label: true, className: "exact", points: this.along("exact", 100) },
      ],
    });
  }

  provenance() { return this.t("source"); }
}
define("glaswerk-loss-accuracy", LossAccuracy);
