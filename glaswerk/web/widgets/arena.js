// <glaswerk-arena>: two replies without names; the reader says which is better, and strengths with intervals appear. Votes
// stay in this browser; the live lab keeps each with its texts too, as preference data.

import { Told, language, live } from "../data.js";
import { Figure, define, html, nothing } from "../figure.js";
import { send } from "../send.js";
import { keep, kept } from "../storage.js";
import texts from "../texts/arena.js";

const MOST = 200; // votes that are counted, the newest
/** @typedef {{duel: any, standings: any}} Data */

class Arena extends Figure {
  static texts = texts;
  static reloads = ["number"];

  constructor() {
    super();
    this.trouble = "";
    /** the names of the pair that was voted on last @type {string[]} */
    this.told = [];
  }

  initial() { return { number: 0 }; }

  /** @param {AbortSignal} signal @returns {Promise<Data>} */
  async load(signal) {
    const duel = await this.demo("duel", { language, number: this.state.number }, signal);
    const now = this.data?.duel.model === duel.model ? this.data.standings : null;
    this.trouble = "";
    return { duel, standings: now ?? (await this.counted(duel)) };
  }

  /** @param {any} duel @returns {string} */
  key(duel) { return `votes-${duel.model}`; }

  /** The votes of this browser about this model: "better>worse+". @param {any} duel @returns {string[]} */
  votes(duel) {
    try {
      const known = JSON.parse(kept(this.key(duel)) ?? "[]");
      return known.filter((/** @type {any} */ vote) => typeof vote === "string" && vote.length < 170);
    } catch { return []; }
  }

  /** @param {any} duel @returns {Promise<any>} */
  async counted(duel) {
    const votes = this.votes(duel).slice(-MOST);
    if (!votes.length || !live) return { votes: votes.length };
    return this.demo("strengths", { votes });
  }

  /** @param {number} better */
  async vote(better) {
    const { duel } = this.data;
    const [won, lost] = better === 0 ? duel.names : [...duel.names].reverse();
    keep(this.key(duel), JSON.stringify([...this.votes(duel), `${won}>${lost}${better === 0 ? "+" : "-"}`].slice(-MOST)));
    this.told = [...duel.names];
    this.announce(this.t("was", { left: duel.names[0], right: duel.names[1] }));
    try {
      if (live) await send("votes", { language, number: duel.number, better: better === 0 ? "first" : "second" });
      this.data = { duel, standings: await this.counted(duel) };
    } catch (error) {
      this.trouble = error instanceof Told ? this.t(error.message) : String(error);
    }
    this.next();
  }

  next() {
    const { questions, number } = this.data.duel;
    this.set({ number: (number + 1) % questions.length });
    this.requestUpdate();
  }

  forget() {
    keep(this.key(this.data.duel), "[]");
    this.told = [];
    this.data = { ...this.data, standings: { votes: 0 } };
    this.requestUpdate();
  }

  whenWrong() { return html`<div class="controls"><button type="button" class="button" @click=${() => this.next()}>${this.t("skip")}</button></div>`; }

  body() {
    const { duel } = this.data;
    const side = (/** @type {number} */ place) => html`<section class="reply"><p class="side">${this.t(place ? "right" : "left")}</p><p lang="">${duel.replies[place]}</p><button type="button" class="button" data-name=${place ? "right" : "left"} @click=${() => this.vote(place)}>${this.t(place ? "right_better" : "left_better")}</button></section>`;
    return html`<div class="controls"><label class="control grow">${this.t("question")}<select data-key="number" @change=${(/** @type {any} */ event) => this.set({ number: event.target.selectedIndex })}>
        ${duel.questions.map((/** @type {string} */ text, /** @type {number} */ place) => html`<option ?selected=${place === this.state.number}>${text}</option>`)}</select></label>
        <button type="button" class="button quiet" @click=${() => this.next()}>${this.t("skip")}</button></div>
      <div class="two even replies">${side(0)}${side(1)}</div>
      ${this.told.length ? html`<p class="faint" data-name="was">${this.t("was", { left: this.told[0], right: this.told[1] })}</p>` : nothing}
      ${this.trouble ? html`<p class="figure-state error" role="alert">${this.trouble}</p>` : nothing}
      ${this.standings()}`;
  }

  standings() {
    const { standings, duel } = this.data;
    if (!standings.votes) return html`<p class="faint" data-name="none">${this.t("none", { contestants: duel.contestants.join(" · ") })}</p>`;
    if (!standings.models) return this.tally();
    const { models, first_won } = standings;
    const low = Math.min(...models.map((/** @type {any} */ row) => row.low)), high = Math.max(...models.map((/** @type {any} */ row) => row.high));
    const from = Math.floor(low / 100) * 100, to = Math.ceil(high / 100) * 100;
    const at = (/** @type {number} */ value) => `${(100 * (value - from)) / (to - from)}%`;
    return html`<div class="two even"><div class="strengths" role="img" aria-label=${this.t("chart")}>${models.map((/** @type {any} */ row) => html`<div class="row"><span>${row.model}</span><span class="track"><span class="span" .style=${`--from: ${at(row.low)}; --to: ${at(row.high)}`}></span><span class="dot" .style=${`--at: ${at(row.strength)}`}></span></span></div>`)}
        <div class="row scale"><span>${this.t("elo")}</span><span class="ends"><span>${this.n(from, 0)}</span><span>${this.n(to, 0)}</span></span></div></div><div class="reading"><table class="crossed"><caption>${this.t("counted", { votes: standings.votes })}</caption><thead><tr><th scope="col">${this.t("who")}</th><th scope="col">${this.t("won")}</th><th scope="col">${this.t("strength")}</th><th scope="col">Elo</th></tr></thead>
        <tbody>${models.map((/** @type {any} */ row) => html`<tr><th scope="row">${row.model}</th><td>${row.wins} / ${row.votes}</td><td data-name="strength">${this.n(row.strength, 0)} <small>(${this.n(row.low, 0)}–${this.n(row.high, 0)})</small></td><td>${this.n(row.elo, 0)}</td></tr>`)}</tbody></table>
        <p>${this.t("first", { share: this.percent(first_won[0], 0), low: this.n(100 * first_won[1], 0), high: this.percent(first_won[2], 0) })}</p>
        <p><button type="button" class="button quiet" @click=${() => this.forget()}>${this.t("forget")}</button></p></div></div>`;
  }

  /** Without a server the votes are only counted. */
  tally() {
    /** @type {Record<string, number[]>} */
    const counts = {};
    for (const vote of this.votes(this.data.duel)) {
      const [won, lost] = vote.slice(0, -1).split(">");
      for (const name of [won, lost]) counts[name] ??= [0, 0];
      counts[won][0]++;
      counts[lost][1]++;
    }
    return html`<table class="crossed"><caption>${this.t("tally")}</caption><thead><tr><th scope="col">${this.t("who")}</th><th scope="col">${this.t("won")}</th><th scope="col">${this.t("lost")}</th></tr></thead>
      <tbody>${Object.entries(counts).map(([name, [won, lost]]) => html`<tr><th scope="row">${name}</th><td>${won}</td><td>${lost}</td></tr>`)}</tbody></table>`;
  }

  provenance() { return html`${this.t("model")} <b>${this.data?.duel.model ?? ""}</b>`; }
}
define("glaswerk-arena", Arena);
