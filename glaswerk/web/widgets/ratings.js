// <glaswerk-ratings>: pairs of replies that the reader rates, a reward model from these ratings alone (or from those of a
// rule), what goes with a high reward, and a field to cheat it. Ratings are part of the state, so they are in the URL.

import { Told, language, live } from "../data.js";
import { chart } from "../chart.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import texts from "../texts/ratings.js";

const RATERS = ["me", "longer", "shorter", "varied"];
const FEWEST = 3; // ratings that something is learned from

class Ratings extends Figure {
  static texts = texts;
  static reloads = ["rater", "ratings"];

  constructor() {
    super();
    this.reply = "";
    /** the reward of the reply that the reader wrote @type {any} */
    this.judged = null;
    this.trouble = "";
    this.judging = 0;
  }

  initial() { return { rater: "me", number: 0, ratings: "" }; }

  /** the question that is shown; a URL may name one that is not there */
  get number() { return Math.min(Math.max(0, Math.trunc(this.state.number)), this.data.pairs.length - 1); }
  /** "0l", "3r", ... @returns {string[]} */
  get ratings() { return (this.state.ratings.match(/\d+[lr]/g) ?? []).filter((/** @type {string} */ rating) => !this.data || Number.parseInt(rating) < this.data.pairs.length); }
  /** what the reward model learns from */
  get given() { return { language, rater: this.state.rater, ...(this.state.rater === "me" ? { ratings: this.ratings } : {}) }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { rater } = this.state;
    const enough = rater !== "me" || (live && this.ratings.length >= FEWEST);
    let few = "";
    // side by side: neither waits for the other
    const [told, learned] = await Promise.all([
      this.demo("pairs", { language }, signal),
      enough ? this.demo("learned", this.given, signal).catch((error) => {
        if (!(error instanceof Told) || error.message === "stopped") throw error;
        few = this.t(error.message);
        return null;
      }) : null,
    ]);
    this.judged = null;
    this.trouble = "";
    if (this.reply.trim() && learned) this.judge();
    return { ...told, learned, few };
  }

  /** @param {string} side */
  rate(side) {
    const { number } = this, count = this.data.pairs.length;
    const kept = this.ratings.filter((rating) => Number.parseInt(rating) !== number);
    const rated = [...kept, `${number}${side}`];
    const next = Array.from({ length: count }, (_, step) => (number + 1 + step) % count).find((place) => !rated.some((rating) => Number.parseInt(rating) === place));
    this.announce(this.t("told", { count: rated.length }));
    this.set({ ratings: rated.join(""), number: next ?? number });
  }

  async judge() {
    const mine = ++this.judging;
    try {
      const found = await this.demo("judged", { ...this.given, number: this.number, reply: this.reply });
      if (mine !== this.judging) return;
      this.judged = found;
      this.trouble = "";
    } catch (error) {
      this.trouble = error instanceof Told ? this.t(error.message) : String(error);
    }
    this.requestUpdate();
  }

  body() {
    const { learned, few } = this.data, { rater } = this.state;
    return html`<div class="controls">${this.segments("rater", RATERS.map((value) => ({ value, label: this.t(value) })), this.t("rater"))}</div>
      ${rater === "me" ? this.pair() : html`<p>${this.t(`${rater}_rule`)}</p>`}
      ${few ? html`<p class="notice-line">${few}</p>` : nothing}
      ${learned?.rater === rater ? this.learned(learned) : rater === "me" || few ? nothing : html`<div class="figure-state"><span class="waiting" aria-hidden="true"></span><span>${this.t("computing")}</span></div>`}`;
  }

  pair() {
    const { number } = this, count = this.data.pairs.length, { question, replies } = this.data.pairs[number];
    const rated = this.ratings.length, same = replies[0] === replies[1];
    const mine = this.ratings.find((rating) => Number.parseInt(rating) === number)?.slice(-1);
    const side = (/** @type {number} */ place) => html`<section class="reply"><p lang="">${replies[place]}</p><button type="button" class="button quiet" data-name=${place ? "right" : "left"} aria-pressed=${String(mine === "lr"[place])} ?disabled=${same} @click=${() => this.rate("lr"[place])}>${this.t("better")}</button></section>`;
    return html`<p><b lang="">${question}</b> <span class="faint">${this.t("of", { number: number + 1, count })}</span></p>
      <div class="two even replies">${side(0)}${side(1)}</div>
      <div class="controls"><button type="button" class="button quiet" data-name="skip" @click=${() => { this.set({ number: (number + 1) % count }); if (this.reply.trim() && this.data.learned) this.judge(); }}>${this.t(same ? "same" : "skip")}</button>
        <span class="faint" data-name="rated">${rated < FEWEST ? this.t("fewer", { count: rated, fewest: FEWEST }) : this.t("told", { count: rated })}${live ? nothing : html` ${this.t("needs_live")}`}</span></div>
      ${rated ? html`<p class="faint"><a download="ratings.jsonl" data-name="keep" href="data:application/jsonl;charset=utf-8,${encodeURIComponent(this.lines)}">${this.t("keep")}</a> ${this.t("keep_for")} <code>glaswerk align RUN --method reward --data ratings.jsonl</code></p>` : nothing}`;
  }

  /** The ratings as `glaswerk align` reads them: one pair a line, with TRL's columns. */
  get lines() {
    return this.ratings.map((rating) => {
      const { question, replies } = this.data.pairs[Number.parseInt(rating)], left = rating.endsWith("l");
      return `${JSON.stringify({ prompt: question, chosen: replies[left ? 0 : 1], rejected: replies[left ? 1 : 0] })}\n`;
    }).join("");
  }

  /** @param {any} learned */
  learned({ pairs, agrees, kept_back, kept_back_interval, width, replies, length, variety, words }) {
    const order = [...replies].sort((a, b) => b.reward - a.reward);
    const r = (/** @type {number|null} */ value) => (value === null ? "–" : this.n(value, 2));
    return html`<dl class="facts"><div><dd data-name="pairs">${pairs}</dd><dt>${this.t("pairs", { width: this.n(width, 0) })}</dt></div><div><dd data-name="agrees">${this.percent(agrees, 0)}</dd><dt>${this.t("agrees")}</dt></div>
        <div><dd class="c-value" data-name="kept">${this.percent(kept_back, 0)}</dd><dt>${this.t("kept", { low: this.n(100 * kept_back_interval[0], 0), high: this.percent(kept_back_interval[1], 0) })}</dt></div></dl>
      <div class="two even">${this.scatter(replies)}<div class="reading"><table class="crossed"><caption>${this.t("latched")}</caption><tbody>
          <tr><th scope="row">${this.t("length")}</th><td data-name="length">${r(length)}</td></tr><tr><th scope="row">${this.t("variety")}</th><td>${r(variety)}</td></tr></tbody></table>
        ${words.length ? html`<table class="crossed"><caption>${this.t("words")}</caption><tbody>${words.map((/** @type {any} */ one) => html`<tr><th scope="row"><span lang="">${one.word}</span> <small class="faint">${this.t("in_replies", { count: one.replies })}</small></th><td>${one.gap > 0 ? "+" : ""}${this.n(one.gap, 2)}</td></tr>`)}</tbody></table>` : nothing}</div></div>
      <dl class="written">${[["highest", order[0]], ["lowest", order[order.length - 1]]].map(([key, one]) => html`<div><dt>${this.t(/** @type {string} */ (key))} <small>${this.n(/** @type {any} */ (one).reward, 2)}</small></dt><dd lang=""><b>${/** @type {any} */ (one).question}</b> ${/** @type {any} */ (one).text}</dd></div>`)}</dl>
      ${live ? this.cheat() : nothing}`;
  }

  /** @param {any[]} replies */
  scatter(replies) {
    const most = Math.max(...replies.map((one) => one.tokens)), all = replies.map((one) => one.reward);
    const span = Math.max(Math.max(...all) - Math.min(...all), 0.1) * 0.08;
    return chart({
      label: this.t("chart"), x: [0, most + 2], y: [Math.min(...all) - span, Math.max(...all) + span], xLabel: this.t("tokens"), yLabel: this.t("reward"), width: 460, height: 290, series: [],
      more: (/** @type {any} */ x, /** @type {any} */ y) => replies.map((one) => svg`<circle class="rewarded ${one.rated > 0 ? "won" : one.rated < 0 ? "lost" : ""}" cx=${x(one.tokens)} cy=${y(one.reward)} r="4"></circle>`),
    });
  }

  cheat() {
    const { question } = this.data.pairs[this.number];
    return html`<div class="controls"><label class="control grow">${this.t("cheat", { question })}<input class="prompt" data-name="cheat" type="text" maxlength="400" autocomplete="off" .value=${this.reply}
        @input=${(/** @type {any} */ event) => { this.reply = event.target.value; clearTimeout(this.timer); this.timer = window.setTimeout(() => this.judge(), 350); }}></label></div>
      ${this.trouble ? html`<p class="figure-state error" role="alert">${this.trouble}</p>` : this.judged ? html`<p data-name="judged">${this.t("judged", { reward: this.n(this.judged.reward, 2), above: this.percent(this.judged.above, 0) })}</p>` : nothing}`;
  }

  reset() { this.reply = ""; super.reset(); }
}
define("glaswerk-ratings", Ratings);
