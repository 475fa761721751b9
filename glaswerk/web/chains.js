// Chapter 17's recorded chains: a reply's tokens put together, and drawn step by step with what the check says of each.
// Left out: which reply is shown, and the curves.

import { html, nothing } from "./figure.js";
import words from "./texts/chains.js";

/** @typedef {import("./figure.js").Figure} Figure */
/** @typedef {{first: number, count: number, state: string}} Step */

/** A widget's texts with those that chains need. @param {import("./figure.js").Texts} texts */
export const withChains = (texts) => ({ en: { ...words.en, ...texts.en }, de: { ...words.de, ...texts.de } });

/** what stands before a step @type {Record<string, string>} */
const MARKS = { right: "✓", wrong: "✗", follows: "↳", again: "✗", undone: "↶", back: "↶", wait: "…", cut: "✂", answer: "=" };

/** All tokens of a reply and their probabilities: those of the uncut reply that it shares, and its own.
 * @param {any} problem @param {any} reply @returns {{tokens: string[], shares: number[]}} */
export function whole(problem, reply) {
  const first = problem.replies[0], same = reply === first ? 0 : reply.same;
  return { tokens: [...first.tokens.slice(0, same), ...reply.tokens], shares: [...first.shares.slice(0, same), ...reply.shares] };
}

/** A reply at a budget, made to wait so many times. @param {any} problem @param {number} budget @param {number} [waits] */
export const replyAt = (problem, budget, waits = 0) => problem.replies.find((/** @type {any} */ each) => each.waits === waits && (waits || each.budget === budget));

/** The problems of a task and a stage. @param {any[]} problems @param {string} task @param {string} stage */
export const problemsOf = (problems, task, stage) => problems.filter((each) => each.task === task && each.stage === stage);

/** A choice among problems; those with a mistake say so. @param {Figure} figure @param {any[]} problems @param {number} [chosen] */
export function problemField(figure, problems, chosen = figure.state.problem) {
  return html`<label class="control grow">${figure.t("problem")}<select data-key="problem" @change=${(/** @type {any} */ event) => figure.set({ problem: event.target.selectedIndex, token: -1 })}>
    ${problems.map((each, place) => html`<option ?selected=${place === chosen}>${shortened(each.asked)} · ${figure.t(`kind_${each.kind}`)}</option>`)}</select></label>`;
}

/** A question without what is the same in all. @param {string} asked */
export const shortened = (asked) => asked.replace(/ (Write the steps|Answer with .*)\.$/, "");

/** A reply step by step. `choose` makes its tokens buttons, `colours` says how probable each was.
 * @param {Figure} figure @param {any} problem @param {any} reply @param {{at?: number, choose?: (place: number) => void, colours?: boolean}} [how] */
export function chain(figure, problem, reply, { at = -1, choose, colours = false } = {}) {
  const { tokens, shares } = whole(problem, reply);
  const token = (/** @type {number} */ place) => {
    const style = colours ? `--share: ${shares[place]}` : "", on = place === at ? "chip on" : "chip";
    return choose
      ? html`<button type="button" class=${on} .style=${style} aria-pressed=${String(place === at)} @click=${() => choose(place)}>${tokens[place]}</button>`
      : html`<span class=${on} .style=${style}>${tokens[place]}</span>`;
  };
  return html`<ol class="chain ${colours ? "probable" : ""} ${problem.task === "cups" ? "short" : ""}" lang="en">${reply.steps.map((/** @type {Step} */ step) => html`<li class="step-${step.state} ${step.state === "answer" ? (reply.answered ? "good" : "bad") : ""}">
    <span class="mark" aria-hidden="true">${MARKS[step.state]}</span><span class="row">${Array.from({ length: step.count }, (_, more) => token(step.first + more))}</span>
    <small lang=${figure.closest("[lang]")?.getAttribute("lang") ?? ""}>${step.state === "answer" ? figure.t(reply.answered ? "answer_right" : "answer_wrong") : figure.t(`step_${step.state}`)}</small></li>`)}</ol>`;
}

/** What a reply that was cut would have gone on to write. @param {Figure} figure @param {any} problem @param {any} reply */
export function rest(figure, problem, reply) {
  const [uncut] = problem.replies, end = uncut.steps.find((/** @type {Step} */ step) => step.state === "answer")?.first ?? uncut.tokens.length;
  const tokens = uncut.tokens.slice(Math.min(reply.same, reply.thinking), end);
  if (!reply.forced || !tokens.length) return nothing;
  return html`<p class="faint went-on">${figure.t("went_on")} <span lang="en">${tokens.map((/** @type {string} */ token) => html`<span class="chip other">${token}</span><wbr>`)}</span></p>`;
}

/** Which model a figure speaks of, and what recorded it. @param {Figure} figure @param {any} data */
export function source(figure, data) {
  if (!data) return nothing;
  const size = { size: figure.n(data.parameters / 1e6, 2), layers: data.layers, seeds: figure.t(data.seeds === 1 ? "one_model" : "models", { seeds: data.seeds }) };
  return html`${figure.t("recorded_model", size)} <code>${data.command.split(" ").map((/** @type {string} */ word) => html`<span class="unbroken">${word}</span> `)}</code>`;
}
