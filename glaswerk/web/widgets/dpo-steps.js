// <glaswerk-dpo-steps>: DPO on one pair. The log-probabilities of every token after every step come from the server; what
// beta makes of them (margin, sigmoid, loss) is computed here.

import { language } from "../data.js";
import { chart } from "../chart.js";
import { define, html, nothing, svg } from "../figure.js";
import { Later, inParts } from "../later.js";
import texts from "../texts/dpo-steps.js";

const PAIRS = ["unknown", "known", "turned"], BETAS = [0.01, 0.03, 0.1, 0.3, 1], SIDES = ["chosen", "rejected"], EDGE = 8;

const sum = (/** @type {number[]} */ values) => values.reduce((all, value) => all + value, 0);
/** The loss of a margin. @param {number} margin */
const lossOf = (margin) => Math.max(0, -margin) + Math.log1p(Math.exp(-Math.abs(margin)));

class DpoSteps extends Later {
  static texts = texts;
  static reloads = ["pair"];

  initial() { return { pair: "unknown", step: 0, beta: 0.1 }; }

  /** @param {AbortSignal} signal */
  first(signal) { return this.demo("steps", { language, pair: this.state.pair, part: 0 }, signal); }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    await inParts((part) => this.demo("steps", { language, pair: this.state.pair, part }, signal), signal, (told) => {
      Object.assign(data, told);
      this.requestUpdate();
    });
  }

  /** log p of an answer under the policy after a step, and under the reference. @param {string} side @param {number} step */
  both(side, step) {
    const rows = this.data[side].log_probs;
    return { policy: sum(rows[step]), reference: sum(rows[0]) };
  }

  /** @param {number} step */
  margin(step) {
    const [good, bad] = SIDES.map((side) => { const { policy, reference } = this.both(side, step); return policy - reference; });
    return this.state.beta * (good - bad);
  }

  body() {
    const { question, steps, done, parts, part } = this.data, { beta } = this.state;
    const step = Math.max(0, Math.min(Math.trunc(this.state.step), done)), place = Math.max(0, BETAS.indexOf(beta));
    return html`<div class="controls">${this.segments("pair", PAIRS.map((value) => ({ value, label: this.t(value) })), this.t("pair"))}
        ${this.slider("step", { label: this.t("step"), min: 0, max: steps, step: 1, digits: 0 })}
        <label class="slider">${this.t("beta")}<span class="value">${this.n(beta, 2)}</span><input type="range" data-key="beta" min="0" max=${BETAS.length - 1} step="1" .value=${String(place)} aria-valuetext=${this.n(beta, 2)}
          @input=${(/** @type {any} */ event) => this.set({ beta: BETAS[Number(event.target.value)] })}></label></div>
      ${this.waiting(this.t("going", { done, steps }), (part + 1) / parts)}
      <p><b lang="">${question}</b></p>
      <div class="two even">${SIDES.map((side) => this.answer(side, step))}</div>
      ${this.reckoning(step)}
      <div class="two even">${this.along(step)}${this.curve(step)}</div>
      ${this.said()}`;
  }

  /** @param {string} side @param {number} step */
  answer(side, step) {
    const { tokens, log_probs } = this.data[side], { policy, reference } = this.both(side, step);
    return html`<div><p class="matrix-title">${this.t(side)}</p><ul class="chips moved-tokens">${tokens.map((/** @type {any} */ token, /** @type {number} */ at) => {
      const moved = log_probs[step][at] - log_probs[0][at], share = Math.min(1, Math.abs(moved) / 4);
      return html`<li><span class="chip ${moved < 0 ? "fell" : "rose"}" .style=${`--share: ${share}`}><bdi>${token.text}</bdi><small>${this.n(log_probs[step][at], 1)}</small></span></li>`;
    })}</ul><p class="num">${this.t("total", { policy: this.n(policy, 1), reference: this.n(reference, 1) })}</p></div>`;
  }

  /** @param {number} step */
  reckoning(step) {
    const { beta } = this.state, margin = this.margin(step);
    const rows = SIDES.map((side) => ({ side, ...this.both(side, step) }));
    const [good, bad] = rows.map((row) => row.policy - row.reference);
    return html`<div class="scroll" tabindex="0"><table class="crossed"><caption>${this.t("reckoning", { step })}</caption><thead><tr><td></td><th scope="col">${this.t("policy")}</th><th scope="col">${this.t("reference")}</th><th scope="col">${this.t("ratio")}</th></tr></thead>
        <tbody>${rows.map((row) => html`<tr><th scope="row">${this.t(row.side)}</th><td>${this.n(row.policy, 2)}</td><td>${this.n(row.reference, 2)}</td><td data-name="ratio-${row.side}"><b>${this.n(row.policy - row.reference, 2)}</b></td></tr>`)}</tbody></table></div>
      <dl class="facts"><div><dd class="c-value" data-name="margin">${this.n(margin, 3)}</dd><dt>${this.t("margin", { beta: this.n(beta, 2), good: this.n(good, 2), bad: this.n(bad, 2) })}</dt></div>
        <div><dd class="c-logit" data-name="sigma">${this.n(1 / (1 + Math.exp(-margin)), 3)}</dd><dt>${this.t("sigma")}</dt></div><div><dd class="c-loss" data-name="loss">${this.n(lossOf(margin), 4)}</dd><dt>${this.t("loss")}</dt></div></dl>`;
  }

  /** @param {number} step */
  along(step) {
    const { steps, done } = this.data;
    const lines = SIDES.map((side) => Array.from({ length: done + 1 }, (_, at) => { const { policy, reference } = this.both(side, at); return /** @type {[number, number]} */ ([at, policy - reference]); }));
    return chart({
      label: this.t("along"), x: [0, steps], xLabel: this.t("step"), yLabel: this.t("along"), width: 460, height: 280, right: 92, at: step,
      series: SIDES.map((side, at) => ({ name: this.t(`${side}_short`), label: true, className: at ? "bad-answer" : "good-answer", dash: at ? "6 3" : "none", points: lines[at] })),
    });
  }

  /** @param {number} step */
  curve(step) {
    const margin = this.margin(step), points = Array.from({ length: 81 }, (_, at) => /** @type {[number, number]} */ ([-EDGE + (at * EDGE) / 40, lossOf(-EDGE + (at * EDGE) / 40)]));
    return chart({
      label: this.t("curve"), x: [-EDGE, EDGE], y: [0, EDGE], xLabel: this.t("margin_axis"), yLabel: this.t("loss"), width: 460, height: 280, series: [{ name: "", points }],
      more: (/** @type {any} */ x, /** @type {any} */ y) => svg`<circle class="here" cx=${x(margin)} cy=${y(lossOf(margin))} r="5"></circle>`,
    });
  }

  /** What it says before and after. */
  said() {
    const { losses } = this.data;
    if (!losses) return nothing;
    return html`<p class="matrix-title">${this.t("said", { steps: this.data.steps })}</p><dl class="written">${losses.questions.map((/** @type {string} */ question, /** @type {number} */ at) => html`<div><dt lang="">${question} <small>${this.t(at ? "elsewhere" : "the_pair")}</small></dt><dd lang=""><b>${this.t("before")}</b> ${losses.before[at]}</dd><dd lang=""><b>${this.t("after")}</b> ${losses.after[at]}</dd></div>`)}</dl>`;
  }
}
define("glaswerk-dpo-steps", DpoSteps);
