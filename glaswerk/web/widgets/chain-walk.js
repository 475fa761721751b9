// <glaswerk-chain-walk>: one chain, token by token: how probable each was, which step it belongs to, where the first mistake
// is and what builds on it.

import { chain, problemField, problemsOf, replyAt, source, whole, withChains } from "../chains.js";
import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/chain-walk.js";

class ChainWalk extends Figure {
  static texts = withChains(texts);
  static needsModel = false;
  /** @type {string[]} */
  static reloads = [];

  initial() { return { task: "sums", stage: "sft", problem: 0, reply: 0, token: -1 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("chains", {}, signal); }

  /** The replies worth looking at, from the smallest budget to the uncut one, and the one that was made to wait.
   * @param {any} problem @returns {any[]} */
  replies(problem) {
    const cut = problem.replies.filter((/** @type {any} */ each) => each !== problem.replies[0] && !each.waits && (each.forced || !each.budget)).reverse();
    return [...cut, problem.replies[0], replyAt(problem, 0, 1)].filter(Boolean);
  }

  /** @param {any} reply */
  named(reply) { return reply.waits ? this.t("made_to_wait") : reply.forced || !reply.budget ? this.t("cut_at", { budget: reply.budget }) : this.t("uncut"); }

  body() {
    const { task, stage } = this.state, problems = problemsOf(this.data.problems, task, stage), problem = problems[Math.min(this.state.problem, problems.length - 1)];
    const replies = this.replies(problem), uncut = replies.indexOf(problem.replies[0]), reply = replies[this.state.reply > 0 ? Math.min(this.state.reply - 1, replies.length - 1) : uncut];
    const { tokens, shares } = whole(problem, reply), at = this.state.token >= 0 ? Math.min(this.state.token, tokens.length - 1) : this.interesting(problem, reply, shares);
    const choose = (/** @type {Record<string, any>} */ changes) => this.set({ token: -1, ...changes });
    const pick = (/** @type {string} */ key, /** @type {string[]} */ values) => html`<div class="control"><span>${this.t(key)}</span><div class="segments" role="group" aria-label=${this.t(key)}>${values.map((value) => html`<button type="button" aria-pressed=${String(this.state[key] === value)} @click=${() => choose({ [key]: value, problem: 0, reply: 0 })}>${this.t(value)}</button>`)}</div></div>`;
    return html`<div class="controls">${pick("task", ["cups", "sums"])}${pick("stage", ["sft", "grpo"])}${problemField(this, problems)}
        <label class="control">${this.t("budget")}<select data-key="reply" @change=${(/** @type {any} */ event) => choose({ reply: event.target.selectedIndex + 1 })}>${replies.map((each) => html`<option ?selected=${each === reply}>${this.named(each)}</option>`)}</select></label></div>
      <p class="asked-for"><b lang="en">${problem.asked}</b></p>
      ${chain(this, problem, reply, { at, colours: true, choose: (place) => this.set({ token: place }) })}
      <label class="slider scrubber">${this.t("token")}<span class="value"><bdi>${tokens[at]}</bdi> · ${this.t("token_is", { number: at + 1, count: tokens.length })}</span><input type="range" data-key="token" min="0" max=${tokens.length - 1} step="1" .value=${String(at)} aria-valuetext=${`${tokens[at]}: ${this.percent(shares[at])}`} @input=${(/** @type {any} */ event) => this.set({ token: Number(event.target.value) })}></label>
      ${this.reading(problem, reply, tokens, shares, at)}`;
  }

  /** Where to look first: at the first mistake, else at the least probable token that it wrote itself.
   * @param {any} problem @param {any} reply @param {number[]} shares */
  interesting(problem, reply, shares) {
    const wrong = reply.steps.find((/** @type {any} */ step) => step.state === "wrong"), { tokens } = whole(problem, reply);
    const [first, last] = wrong ? [wrong.first, wrong.first + wrong.count] : [0, tokens.length];
    let best = first;
    for (let place = first; place < last; place++) if (!this.given(problem, reply, place) && shares[place] < shares[best]) best = place;
    return best;
  }

  /** Whether a token was put there and not written: the marker of a cut reply, and the word that makes it wait.
   * @param {any} problem @param {any} reply @param {number} place */
  given(problem, reply, place) {
    const answer = reply.steps.find((/** @type {any} */ step) => step.state === "answer"), { tokens } = whole(problem, reply);
    if (reply.waits) return reply.steps.some((/** @type {any} */ step) => step.state === "wait" && step.first === reply.same && place >= step.first && place < step.first + step.count);
    if (!answer || (!reply.forced && reply.budget)) return false;
    const colon = tokens.findIndex((token, at) => at >= answer.first && token.includes(":"));
    return place >= reply.thinking && place <= colon;
  }

  /** @param {any} problem @param {any} reply @param {string[]} tokens @param {number[]} shares @param {number} at */
  reading(problem, reply, tokens, shares, at) {
    const step = reply.steps.findIndex((/** @type {any} */ each) => at >= each.first && at < each.first + each.count), { state } = reply.steps[step];
    const sum = shares.reduce((all, share, place) => all + (this.given(problem, reply, place) ? 0 : Math.log(Math.max(share, 5e-4))), 0);
    const verdict = reply.whole === reply.answered ? (reply.whole ? "both" : "neither") : reply.whole ? "spoiled" : "lucky";
    return html`<div class="two even"><div class="reading"><p class="big c-logit" data-name="share">${shares[at] < 0.0005 ? `< ${this.percent(0.0005, 2)}` : this.percent(shares[at])}</p>
        <p>${this.t(this.given(problem, reply, at) ? "was_given" : "was_written", { token: tokens[at] })}</p><p data-name="step">${this.t("in_step", { number: step + 1, count: reply.steps.length })} <b>${state === "answer" ? this.t(reply.answered ? "answer_right" : "answer_wrong") : this.t(`step_${state}`)}</b></p></div>
      <div class="reading"><p class="verdict ${reply.answered ? "right" : "wrong"}" data-name="verdict">${this.t(verdict)} ${reply.follows === null ? nothing : this.t(reply.follows ? "follows" : "breaks")}</p>
        <dl><dt>${this.t("thought")}</dt><dd>${reply.thinking}</dd><dt>${this.t("steps_right")}</dt><dd data-name="steps">${reply.right}</dd><dt>${this.t("probable")}</dt><dd>${this.percent(Math.exp(sum))}</dd></dl></div></div>`;
  }

  provenance() { return source(this, this.data); }
}
define("glaswerk-chain-walk", ChainWalk);
