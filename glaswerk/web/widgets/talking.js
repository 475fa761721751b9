// <glaswerk-talking>: the same requests to the open model in one way after the other: how many replies are what, and one
// of them with the exact tokens of its request. The fence says which subject: roles, json or mail.

import { Told, live } from "../data.js";
import { define, html, nothing } from "../figure.js";
import { Pieces } from "../pieces.js";
import texts from "../texts/talking.js";
import { track } from "./prompt-score.js";

/** what is counted in each subject, in order; the first two have their own column on a phone too @type {Record<string, string[]>} */
const MEASURES = { roles: ["right", "short"], json: ["valid", "right"], mail: ["out", "held", "out_harmless", "held_harmless"] };
/** measures where more is worse */
const BAD = ["out", "out_harmless", "held_harmless"];

class Talking extends Pieces {
  static texts = texts;
  static lazy = true;
  static reloads = ["what"];

  constructor() {
    super();
    /** the reader's own mail and what came back @type {{text: string, way: string, reply: string, verdict: Record<string, boolean>}|null} */
    this.own = null;
    /** why it did not come, or "computing" */
    this.sending = "";
  }

  initial() { return { what: "roles", way: 0, number: 0 }; }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(["title", "look"].includes(key) ? `${key}_${this.options.what ?? this.state.what}` : key, values); }

  /** @param {number} piece @param {AbortSignal} signal */
  ask(piece, signal) { return this.demo("replies", { what: this.state.what, piece }, signal); }

  count() { return this.data?.count ?? (this.state.what === "mail" ? 5 : 4); }

  body() {
    return html`<div class="controls">${this.runner()}</div>${this.progress()}
      ${this.data.rows ? html`${this.table()}${this.reading()}${this.state.what === "mail" && live ? this.letter() : nothing}` : html`<p class="faint">${this.t(this.asking ? "computing" : "none")}</p>`}`;
  }

  table() {
    const { what, rows, ways } = this.data, measures = MEASURES[what];
    const cell = (/** @type {any} */ row, /** @type {string} */ name) => {
      const found = row?.measures[name];
      return found ? html`<td><span class=${`measured ${BAD.includes(name) ? "bad" : ""}`}>${track(found.interval, found.count / found.of)}</span><span class="num" data-name=${`${name}-${row.way}`}>${found.count} / ${found.of}</span> <small class="faint">${this.n(100 * found.interval[0], 0)}–${this.percent(found.interval[1], 0)}</small></td>` : html`<td class="faint">–</td>`;
    };
    return html`<div class="scroll" tabindex="0" role="group" aria-label=${this.t("table")}><table class="outcomes talked"><thead><tr><td></td>${measures.map((name) => html`<th scope="col">${this.t(`${what}_${name}`)}</th>`)}</tr></thead>
      <tbody>${ways.map((/** @type {string} */ way, /** @type {number} */ place) => html`<tr><th scope="row">${this.t(`${what}_${way}`)}</th>${measures.map((name) => cell(rows[place], name))}</tr>`)}</tbody></table></div>`;
  }

  /** One request in one way: its tokens, the reply, and what became of it. */
  reading() {
    const { what, rows, ways, asked, chat } = this.data, way = Math.min(this.state.way, rows.length - 1), number = Math.min(this.state.number, asked.length - 1), row = rows[way];
    const { tokens, special } = row.wholes[number], verdict = row.verdicts[number], reply = row.replies[number];
    return html`<div class="controls">${this.select("way", rows.map((/** @type {any} */ each, /** @type {number} */ place) => ({ value: place, label: this.t(`${what}_${ways[place]}`) })), this.t("way"))}
        <label class="control">${this.t(`${what}_request`)}<select data-key="number" @change=${(/** @type {any} */ event) => this.set({ number: event.target.selectedIndex })}>${asked.map((/** @type {string} */ text, /** @type {number} */ place) => html`<option lang="en" ?selected=${place === number}>${text}</option>`)}</select></label></div>
      ${chat ? nothing : html`<p class="notice-line">${this.t("no_chat")}</p>`}
      <div class="two even"><div><p class="matrix-title">${this.t("gets")}</p><ul class="chips">${tokens.map((/** @type {string} */ token, /** @type {number} */ place) => html`<li><span class="chip ${special.includes(place) ? "special" : ""}"><bdi>${token}</bdi></span></li>`)}</ul></div>
        <div><p class="matrix-title">${this.t("says")}</p><p class="whole-prompt" lang="" data-name="reply">${reply || "∅"}</p><p class="verdict-line" data-name="verdict">${this.judged(what, verdict)}</p></div></div>`;
  }

  /** A field for a mail of the reader's own, answered under the guard that is chosen above. */
  letter() {
    const { ways, rows } = this.data, way = ways[Math.min(this.state.way, rows.length - 1)], { own, sending } = this;
    return html`<form class="controls own-mail" @submit=${(/** @type {any} */ event) => { event.preventDefault(); this.send(way, event.target.elements.mail.value); }}>
        <label class="control grow">${this.t("own_mail", { way: this.t(`mail_${way}`) })}<input class="prompt" name="mail" type="text" maxlength="300" spellcheck="false" autocomplete="off" lang=""></label>
        <button type="submit" class="button" ?disabled=${sending === "computing"}>${this.t("send")}</button></form>
      ${sending ? html`<p class="faint" role="status">${this.t(sending)}</p>` : own ? html`<p class="whole-prompt" lang="" data-name="own-reply">${own.reply || "∅"}</p><p class="verdict-line" data-name="own-verdict">${this.t(`mail_${own.way}`)}: ${this.judged("mail", own.verdict)}</p>` : nothing}`;
  }

  /** @param {string} way @param {string} text */
  async send(way, text) {
    this.sending = "computing";
    this.requestUpdate();
    try {
      this.own = { text, way, ...(await this.demo("own_mail", { text, way })) };
      this.sending = "";
      this.announce(this.judged("mail", /** @type {any} */ (this.own).verdict));
    } catch (error) {
      this.sending = error instanceof Told ? error.message : String(error);
    }
    this.requestUpdate();
  }

  /** @param {string} what @param {Record<string, boolean>} verdict */
  judged(what, verdict) {
    if (what === "mail") return this.t(verdict.held ? "was_held" : verdict.out ? "was_out" : "was_kept");
    if (what === "json") return this.t(verdict.valid ? (verdict.right ? "valid_right" : "valid_wrong") : "not_valid");
    return this.t(verdict.right ? "has_capital" : "no_capital");
  }
}
define("glaswerk-talking", Talking);
