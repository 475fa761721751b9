// <glaswerk-ppo-rollout>: rollouts of PPO, token by token. Log-probabilities, values and advantages come from the server;
// rewards of tokens, surprises and ratios are computed here, as the formulas beside the figure say.

import "../bands.js";
import { chart } from "../chart.js";
import { language } from "../data.js";
import { define, html, nothing } from "../figure.js";
import { Later, inParts } from "../later.js";
import texts from "../texts/ppo-rollout.js";

/** @typedef {{kl: number, reward: number, value: number, next: number, surprise: number, later: number, advantage: number, white: number, ratio: number|null, last: boolean}} Reckoned */

class PpoRollout extends Later {
  static texts = texts;
  static reloads = ["reward"];

  constructor() {
    super();
    /** the token under the pointer; -1: none */
    this.over = -1;
  }

  initial() { return { reward: "judge", question: 0, reply: 0, look: -1, token: -1 }; }

  /** @param {AbortSignal} signal */
  first(signal) { return this.demo("rollouts", { language, reward: this.state.reward, part: 0 }, signal); }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    /** @type {any[]} */
    const parts = [];
    await inParts((part) => this.demo("rollouts", { language, reward: this.state.reward, part }, signal), signal, (told) => {
      parts.push(told);
      Object.assign(data, told, { rounds: parts.flatMap((each) => each.rounds), looks: parts.flatMap((each) => each.looks) });
      this.requestUpdate();
    });
  }

  /** Which look is shown: the chosen one, else the newest that was learned from. */
  get place() {
    const { looks } = this.data, chosen = Math.trunc(this.state.look);
    return chosen >= 0 ? Math.min(chosen, looks.length - 1) : Math.max(0, looks.findLastIndex((/** @type {any} */ look) => look.replies[0].new));
  }

  get look() { return this.data.looks[this.place]; }

  /** The reply that is shown. */
  get reply() {
    const found = this.look.replies.filter((/** @type {any} */ each) => each.question === this.state.question);
    return found[Math.min(this.state.reply, found.length - 1)] ?? this.look.replies[0];
  }

  /** All that follows from a reply's numbers, per token. @param {any} reply @returns {Reckoned[]} */
  reckoned(reply) {
    const { beta, gamma, lam } = this.data, { mean, deviation } = this.look, count = reply.tokens.length;
    return reply.tokens.map((/** @type {string} */ _, /** @type {number} */ at) => {
      const last = at === count - 1, value = reply.values[at], next = last ? 0 : reply.values[at + 1];
      const kl = reply.old[at] - reply.reference[at], reward = -beta * kl + (last ? reply.reward : 0);
      const later = last ? 0 : gamma * lam * reply.advantages[at + 1], advantage = reply.advantages[at];
      return {
        kl, reward, value, next, surprise: reward + gamma * next - value, later, advantage, white: (advantage - mean) / deviation,
        ratio: reply.new ? Math.exp(reply.new[at] - reply.old[at]) : null, last,
      };
    });
  }

  body() {
    const { rewards, reward, questions, looks, whole, rounds, parts, part, going, ended } = this.data;
    const { reply } = this, rows = this.reckoned(reply), count = rows.length;
    const best = rows.reduce((top, row, at) => (Math.abs(row.white) > Math.abs(rows[top].white) ? at : top), 0);
    const locked = this.state.token >= 0 ? Math.min(this.state.token, count - 1) : best, at = this.over >= 0 && this.over < count ? this.over : locked;
    const { place } = this, learned = this.t("after_rounds", { count: looks[place].round, whole });
    return html`<div class="controls"><div class="control"><span>${this.t("reward")}</span><div class="segments" role="group" aria-label=${this.t("reward")}>
        ${rewards.map((/** @type {string} */ name) => html`<button type="button" aria-pressed=${String(name === reward)} @click=${() => this.set({ reward: name, look: -1, token: -1 })}>${this.t(name)}</button>`)}</div></div>
        ${this.select("question", questions.map((/** @type {string} */ label, /** @type {number} */ value) => ({ value, label })), this.t("question"))}
        ${this.segments("reply", [0, 1].map((value) => ({ value, label: `${value + 1}` })), this.t("reply"))}
        <label class="slider">${this.t("look_at")}<span class="value">${learned}</span><input type="range" data-key="look" min="0" max=${going ? parts : looks.length - 1} step="1" .value=${String(place)} aria-valuetext=${learned}
          @input=${(/** @type {any} */ event) => this.set({ look: Number(event.target.value) })}></label></div>
      ${rewards.includes("judge") || !this.data.run ? nothing : html`<p class="notice-line">${this.t("no_judge")} <code>glaswerk align ${this.data.run} --method reward</code></p>`}
      ${this.waiting(this.t("going", { done: Math.min(rounds.length, whole), whole }), (part + 1) / parts)}
      ${ended ? html`<p class="notice-line" data-name="ended">${this.t(ended, { count: ended === "same" ? rounds.length - 1 : rounds.length })}</p>` : nothing}
      <p class="asked-for"><b lang="">${questions[reply.question]}</b><br>${this.t("reply_got", { reward: this.n(reply.reward, 2), cut: reply.ended ? "" : this.t("cut") })}</p>
      <p class="legend-line band-legend">${[["r", "value"], ["kl", "logit"], ["v", "residual"], ["a", "key"]].map(([name, hue]) => html`<span class="key-pair"><b class="c-${hue}">${SYMBOLS[name]}</b> ${this.t(name)}</span>`)}</p>
      <glaswerk-bands .tokens=${reply.tokens} .bands=${[
        { symbol: SYMBOLS.r, hue: "--value", values: rows.map((row) => row.reward) },
        { symbol: SYMBOLS.kl, hue: "--logit", values: rows.map((row) => row.kl) },
        { symbol: SYMBOLS.v, hue: "--residual", values: rows.map((row) => row.value), line: true },
        { symbol: SYMBOLS.a, hue: "--key", values: rows.map((row) => row.white) },
      ]} .at=${at} label=${this.t("bands", { text: reply.text })} @token=${(/** @type {CustomEvent} */ event) => this.pointed(event.detail)}></glaswerk-bands>
      <label class="slider scrubber">${this.t("token")}<span class="value"><bdi>${reply.tokens[at]}</bdi> · ${this.t("token_is", { number: at + 1, count })}</span><input type="range" data-key="token" min="0" max=${count - 1} step="1" .value=${String(at)} aria-valuetext=${this.spoken(reply.tokens[at], rows[at])}
          @input=${(/** @type {any} */ event) => { this.pointed({ place: Number(event.target.value), locked: true }); }}></label>
      <div class="two even">${this.reckoning(reply, rows[at], at)}${this.others(reply, at)}</div>
      ${this.curves(looks[place].round)}${this.said()}`;
  }

  /** @param {{place: number, locked: boolean}} told */
  pointed({ place, locked }) {
    this.over = locked ? -1 : place;
    // what is held stays, though newer rounds come
    if (locked) this.set({ token: place, look: this.place });
    else this.requestUpdate();
  }

  /** @param {string} token @param {Reckoned} row */
  spoken(token, row) { return `${token}: ${["r", "kl", "v", "a"].map((name, at) => `${this.t(name)} ${this.n([row.reward, row.kl, row.value, row.white][at], 2)}`).join(", ")}`; }

  /** The formulas with this token's numbers. @param {any} reply @param {Reckoned} row @param {number} at */
  reckoning(reply, row, at) {
    const { beta, gamma, lam, clip } = this.data, { mean, deviation } = this.look, n = (/** @type {number} */ value, digits = 3) => this.n(value, digits);
    const signed = (/** @type {number} */ value) => (value < 0 ? `(${n(value)})` : n(value));
    const r = html`<b class="c-value">r</b>`, kl = html`<b class="c-logit">KL</b>`, v = html`<b class="c-residual">V</b>`, a = html`<b class="c-key">A</b>`;
    return html`<div class="reckoned"><p class="matrix-title">${this.t("token_is", { number: at + 1, count: reply.tokens.length })}: <bdi class="chip">${reply.tokens[at]}</bdi></p>
      <dl class="sums"><dt>${kl}</dt><dd>ln π − ln π<sub>ref</sub> = ${n(reply.old[at])} − ${signed(reply.reference[at])} = <b class="c-logit" data-name="kl">${n(row.kl)}</b></dd>
        <dt>${r}</dt><dd>−β ${kl}${row.last ? html` + R` : nothing} = −${n(beta, 2)} · ${signed(row.kl)}${row.last ? html` + ${signed(reply.reward)}` : nothing} = <b class="c-value" data-name="reward">${n(row.reward)}</b></dd>
        <dt><b class="c-key">δ</b></dt><dd>${r} + γ ${v}′ − ${v} = ${n(row.reward)} + ${gamma === 1 ? nothing : html`${n(gamma, 2)} · `}${signed(row.next)} − ${signed(row.value)} = <b class="c-key" data-name="surprise">${n(row.surprise)}</b></dd>
        <dt>${a}</dt><dd><b class="c-key">δ</b> + γλ ${a}′ = ${n(row.surprise)} + ${n(gamma * lam, 2)} · ${signed(row.last ? 0 : reply.advantages[at + 1])} = <b class="c-key" data-name="advantage">${n(row.advantage)}</b></dd>
        <dt><b class="c-key">Â</b></dt><dd>(${a} − ${signed(mean)}) / ${n(deviation)} = <b class="c-key" data-name="white">${n(row.white)}</b></dd>
        ${row.ratio === null ? nothing : html`<dt><b class="c-logit">ρ</b></dt><dd>π<sub>new</sub> / π = ${n(Math.exp(reply.new[at]), 4)} / ${n(Math.exp(reply.old[at]), 4)} = <b class="c-logit" data-name="ratio">${n(row.ratio)}</b></dd>`}</dl>
      <p class="faint">${this.t(row.last ? "last_token" : "middle_token")} ${row.ratio === null ? this.t("not_learned") : this.clipped(row.ratio, row.white, clip)}</p></div>`;
  }

  /** What the clip makes of a ratio. @param {number} ratio @param {number} white @param {number} clip */
  clipped(ratio, white, clip) {
    const low = this.n(1 - clip, 1), high = this.n(1 + clip, 1);
    if (ratio >= 1 - clip && ratio <= 1 + clip) return this.t("ratio_kept", { low, high });
    return ratio > 1 === white > 0 ? this.t("ratio_held", { edge: ratio > 1 ? high : low }) : this.t("ratio_beyond");
  }

  /** The drawn token and the likeliest others, with their probabilities. @param {any} reply @param {number} at */
  others(reply, at) {
    const drawn = [reply.tokens[at], ...[reply.reference, reply.old, ...(reply.new ? [reply.new] : [])].map((row) => Math.exp(row[at]))];
    const rows = [drawn, ...reply.others[at]], names = ["by_reference", "by_policy", ...(reply.new ? ["by_new"] : [])];
    return html`<div><p class="matrix-title">${this.t("others")}</p><div class="scroll" tabindex="0" role="group" aria-label=${this.t("others")}><table class="instead"><thead><tr><td></td>${names.map((name) => html`<th scope="col">${this.t(name)}</th>`)}</tr></thead>
      <tbody>${rows.map(([text, ...shares], row) => html`<tr class=${row ? "" : "on"}><th scope="row"><bdi class="chip ${row ? "other" : ""}">${text}</bdi>${row ? nothing : html` <small>${this.t("drawn")}</small>`}</th>
        ${shares.map((/** @type {number} */ share) => html`<td><span class="meter" .style=${`--share: ${share}`}></span>${this.percent(share, share >= 0.0995 ? 0 : 1)}</td>`)}</tr>`)}</tbody></table></div></div>`;
  }

  /** @param {number} at */
  curves(at) {
    const { rounds, whole, reward, rewards } = this.data;
    if (rounds.length < 2) return nothing;
    const over = (/** @type {(round: any) => number} */ value) => rounds.map((/** @type {any} */ round, /** @type {number} */ place) => /** @type {[number, number]} */ ([place, value(round)]));
    // short is long the other way round: one of the two is enough
    const others = rewards.filter((/** @type {string} */ name) => name !== reward && name !== (reward === "longer" ? "shorter" : reward === "shorter" ? "longer" : "shorter"));
    const common = { x: /** @type {[number, number]} */ ([0, whole]), xLabel: this.t("round"), width: 460, height: 230, at };
    return html`<div class="two even curves">${chart({ ...common, label: this.t("rounds"), yLabel: this.t("rounds"), right: 96, series: [
        ...others.map((/** @type {string} */ name) => ({ name: this.t(`${name}_short`), label: true, className: "faint-line", dash: "4 3", points: over((round) => round.by[name]) })),
        { name: this.t(`${reward}_short`), label: true, className: "of-reward", points: over((round) => round.reward) }] })}
      ${chart({ ...common, label: this.t("kls"), yLabel: this.t("kls"), series: [{ name: "", className: "of-logit", points: over((round) => round.kl) }] })}</div>`;
  }

  /** What is said before and after. */
  said() {
    const { losses, questions } = this.data;
    if (!losses?.after) return nothing;
    return html`<p class="matrix-title">${this.t("said")}</p><dl class="written">${questions.map((/** @type {string} */ question, /** @type {number} */ at) => html`<div><dt lang="">${question}</dt><dd lang=""><b>${this.t("said_before")}</b> ${losses.before[at]}</dd><dd lang=""><b>${this.t("said_after")}</b> ${losses.after[at]}</dd></div>`)}</dl>`;
  }
}

/** @type {Record<string, string>} */
const SYMBOLS = { r: "r", kl: "KL", v: "V", a: "Â" };
define("glaswerk-ppo-rollout", PpoRollout);
