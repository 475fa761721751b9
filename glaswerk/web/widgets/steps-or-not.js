// <glaswerk-steps-or-not>: what a recipe measured: answers at once against steps first, votes over several replies, and
// replies to read.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/steps-or-not.js";
import { track } from "./prompt-score.js";

class StepsOrNot extends Figure {
  static texts = texts;
  static needsModel = false;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { task: "stories", number: 0 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("steps", {}, signal); }

  /** The task that is looked at. @returns {any} */
  get task() { return this.data.tasks.find((/** @type {any} */ each) => each.task === this.state.task) ?? this.data.tasks[0]; }

  body() {
    const { tasks, command, spell, budget } = this.data;
    if (!tasks.length) return html`<p class="notice-line" data-name="missing">${this.t("missing")} <code class="wraps">${command}</code></p>`;
    const { rows, votes, asked, gain, chat_gain } = this.task;
    const row = (/** @type {string} */ name, /** @type {any} */ found, /** @type {string} */ said, /** @type {string} */ beside) => html`<span>${said}${beside ? html` <small class="faint">${beside}</small>` : ""}</span>${track(found.interval, found.right / asked)}<span class="num"><b data-name=${name}>${found.right}</b> / ${asked} <small class="faint">${this.n(100 * found.interval[0], 0)}–${this.percent(found.interval[1], 0)}</small></span>`;
    const points = (/** @type {number[]} */ [mean, low, high]) => this.t("gain_said", { mean: this.signed(mean), low: this.signed(low), high: this.signed(high) });
    return html`<div class="controls">${this.segments("task", tasks.map((/** @type {any} */ each) => ({ value: each.task, label: this.t(each.task) })), this.t("task"))}</div>
      <div class="scored-lines named-rows">${rows.map((/** @type {any} */ each) => row(each.way, each, this.t(each.way), each.tokens ? `${this.t("tokens", { tokens: this.n(each.tokens, 0) })}${each.cut ? `, ${this.t("cut", { cut: each.cut })}` : ""}` : ""))}
        ${votes.map((/** @type {any} */ each) => row(`vote-${each.votes}`, each, this.t(each.votes === 1 ? "drawn_one" : "voted", { votes: each.votes }), ""))}
        <span></span><span class="ends faint"><span>${this.percent(0, 0)}</span><span>${this.percent(0.5, 0)}</span><span>${this.percent(1, 0)}</span></span><span></span></div>
      <dl class="facts"><div><dd data-name="gain">${this.signed(gain[0])}</dd><dt>${this.t("gain")} ${points(gain)}</dt></div><div><dd data-name="chat-gain">${this.signed(chat_gain[0])}</dd><dt>${this.t("chat_gain")} ${points(chat_gain)}</dt></div></dl>
      <p class="faint">${this.t("asked_for", { spell, budget: this.n(budget, 0) })}</p>${this.replies()}`;
  }

  /** A difference of shares in points, with its sign. @param {number} value */
  signed(value) { return `${value > 0 ? "+" : ""}${this.n(100 * value, 0)}`; }

  replies() {
    const { shown } = this.task, number = Math.min(this.state.number, shown.length - 1), { question, answer, replies, drawn } = shown[number];
    return html`<div class="controls"><label class="control grow">${this.t("problem")}<select data-key="number" @change=${(/** @type {any} */ event) => this.set({ number: event.target.selectedIndex })}>${shown.map((/** @type {any} */ each, /** @type {number} */ place) => html`<option lang="en" ?selected=${place === number}>${each.question}</option>`)}</select></label></div>
      <dl class="written stage-texts pairwise">${Object.entries(replies).map(([way, said]) => html`<div><dt>${this.t(way)} <span class=${said.read === answer ? "c-value" : "c-loss"} role="img" aria-label=${this.t(said.read === answer ? "is_right" : "is_wrong")}>${said.read === answer ? "✓" : "✕"}</span></dt><dd class="as-written" lang="en">${said.steps ? `${said.steps}\n` : ""}Answer: ${said.answer || "…"}</dd></div>`)}</dl>
      <p class="faint">${this.t("drawn", { answers: drawn.map((/** @type {number|null} */ each) => each ?? "–").join(", "), answer })}</p>`;
  }

  provenance() { return this.data?.tasks.length ? html`${this.t("model")} <b>${this.data.model}</b> · ${this.t("source")} <code>${this.data.command}</code>` : ""; }
}
define("glaswerk-steps-or-not", StepsOrNot);
