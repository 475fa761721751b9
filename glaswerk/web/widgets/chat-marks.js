// <glaswerk-chat-marks>: one conversation as tokens in three formats; special tokens, and which tokens are learned.

import { language } from "../data.js";
import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/chat-marks.js";

const TALKS = ["question", "turns", "typed"], FORMATS = ["own", "chatml", "text"];

class ChatMarks extends Figure {
  static texts = texts;
  static reloads = ["talk"];

  initial() { return { talk: "question", format: "own" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("marks", { language, talk: this.state.talk }, signal); }

  body() {
    const { messages, formats } = this.data;
    const format = this.state.format, found = formats[format];
    return html`<div class="controls">${this.segments("talk", TALKS.map((value) => ({ value, label: this.t(value) })), this.t("talk"))}
        ${this.segments("format", FORMATS.map((value) => ({ value, label: this.t(value) })), this.t("format"))}</div>
      <dl class="turns">${messages.map((/** @type {any} */ message) => html`<div><dt>${message.role}</dt><dd>${message.content}</dd></div>`)}</dl>
      ${found ? this.tokens(found) : html`<p class="notice-line">${this.t("none")}</p>`}`;
  }

  /** @param {any} found */
  tokens({ tokens, learned }) {
    const { format } = this.state, { template, same, marks } = this.data;
    const special = tokens.filter((/** @type {any} */ token) => token.special).length;
    const note = format === "text" ? "text_note" : format === "own" ? (template ? (same ? "template_same" : "template_note") : "chatml_own") : "chatml_note";
    return html`<ul class="chips masked">${tokens.map((/** @type {any} */ token) => html`<li><span class="chip ${token.special ? "special" : ""} ${token.learned ? "learned-token" : ""}"><bdi>${token.text}</bdi><small>${token.id}</small></span></li>`)}</ul>
      <p class="legend-line"><span class="chip special">${this.t("special")}</span> <span class="chip learned-token">${this.t("learned")}</span> <span class="chip">${this.t("read")}</span></p>
      <dl class="facts"><div><dd data-name="tokens">${tokens.length}</dd><dt>${this.t("all")}</dt></div><div><dd data-name="learned">${learned} <small>(${this.percent(learned / tokens.length, 0)})</small></dd><dt>${this.t("learned")}</dt></div><div><dd>${special}</dd><dt>${this.t("special_count", { count: marks })}</dt></div></dl>
      <p>${this.t(note)}</p>${this.state.talk === "typed" ? html`<p>${this.t(format === "text" ? "typed_text" : "typed_note")}</p>` : nothing}`;
  }
}
define("glaswerk-chat-marks", ChatMarks);
