// <glaswerk-seen-once>: imagined facts that are told again and again; what share of the tellings is about facts read once,
// and how likely is it that the next question is about a fact never read?

import { Figure, define, html } from "../figure.js";
import { chart } from "../chart.js";
import texts from "../texts/seen-once.js";

const FACTS = [300, 1000, 3000];

class SeenOnce extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["facts", "steep"];

  initial() { return { facts: 1000, steep: 1, at: 16 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("seen_once", { facts: this.state.facts, steep: this.state.steep }, signal); }

  body() {
    const { rows, facts } = this.data, row = rows[Math.min(this.state.at, rows.length - 1)];
    const [never, once, more] = row.counts, shown = this.n(row.read, 0);
    const line = (/** @type {string} */ key) => rows.map((/** @type {any} */ each) => /** @type {[number, number]} */ ([each.read, 100 * each[key]]));
    return html`<div class="controls"><label class="slider">${this.t("read")}<span class="value">${shown}</span><input type="range" data-key="at" min="0" max=${rows.length - 1} step="1" .value=${String(this.state.at)} aria-valuetext=${shown} @input=${(/** @type {any} */ event) => this.set({ at: Number(event.target.value) })}></label>
        ${this.segments("facts", FACTS.map((value) => ({ value, label: this.n(value, 0) })), this.t("facts"))}
        ${this.segments("steep", [0, 1].map((value) => ({ value, label: this.t(value ? "uneven" : "even") })), this.t("steep"))}</div>
      <dl class="facts"><div><dd class="c-logit" data-name="once">${this.percent(row.once)}</dd><dt>${this.t("once_said", { once: this.n(once, 0) })}</dt></div>
        <div><dd class="c-loss" data-name="never">${this.percent(row.never)}</dd><dt>${this.t("never_said", { never: this.n(never, 0), facts: this.n(facts, 0) })}</dt></div>
        <div><dd class="c-value" data-name="more">${this.n(more, 0)}</dd><dt>${this.t("more_said")}</dt></div></dl>
      <div class="stack tellings" role="img" aria-label=${this.t("stack", { never: this.n(never, 0), once: this.n(once, 0), more: this.n(more, 0) })}><span class="wrong" .style=${`--size: ${never / facts}`}></span><span class="once" .style=${`--size: ${once / facts}`}></span><span class="right" .style=${`--size: ${more / facts}`}></span></div>
      ${chart({
        label: this.t("chart"), x: [rows[0].read, rows[rows.length - 1].read], y: [0, 100], logX: true, xLabel: this.t("read_axis"), yLabel: this.t("percent"), at: row.read, width: 900, height: 250, right: 110,
        series: [{ name: this.t("never"), label: true, points: line("never") }, { name: this.t("once"), label: true, className: "held-out", dash: "6 3", points: line("once") }],
      })}`;
  }

  provenance() { return this.t("source"); }
}
define("glaswerk-seen-once", SeenOnce);
