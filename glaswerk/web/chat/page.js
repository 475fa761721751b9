// <glaswerk-chat>: a conversation with the models that this server has, one at a time. Every token of a reply is coloured by its
// probability and opens to what else could have stood there. Left out: how the server is asked (client.js); conversations
// are not kept, a reload forgets them.

import { LitElement, html, nothing } from "lit";
import { Refused, models, reply } from "./client.js";
import texts from "./texts.js";

/** @typedef {{text: string, logprob: number, top: {text: string, logprob: number}[]}} Token */
/** @typedef {{role: "user"|"assistant", text: string, tokens: Token[], foot: string, by?: string}} Turn `by`: which model wrote it */

/** @type {"en"|"de"} */
const language = document.documentElement.lang === "de" ? "de" : "en";
const KEPT = "glaswerk-key";
const START = { system: "", temperature: 0.7, top_p: 0.95, max_tokens: 256, seed: "" };
/** from this probability on a token has this colour, the last from 0 on */
const STEPS = [0.9, 0.5, 0.2, 0.05, 0.01, 0];
/** candidates that are asked for */
const CANDIDATES = 8;

class Chat extends LitElement {
  static properties = {
    key: { state: true }, models: { state: true }, model: { state: true }, phase: { state: true }, turns: { state: true }, how: { state: true },
    chosen: { state: true }, trouble: { state: true },
  };

  constructor() {
    super();
    /** "looking", "key", "ready" or "writing" */
    this.phase = "looking";
    this.key = keyFound();
    /** @type {import("./client.js").Model[]} */
    this.models = [];
    /** the one that answers next @type {import("./client.js").Model|null} */
    this.model = null;
    /** @type {Turn[]} */
    this.turns = [];
    this.how = { ...START };
    /** the token that is open @type {{turn: number, place: number}|null} */
    this.chosen = null;
    this.trouble = "";
    /** @type {AbortController|null} */
    this.running = null;
  }

  createRenderRoot() { return this; }
  connectedCallback() { super.connectedCallback(); this.look(); }

  // ------------------------------------------------------------ words
  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return texts[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "")); }
  /** @param {number} value @param {number} digits */
  n(value, digits) { return value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }); }
  /** @param {number} share */
  percent(share) { return share < 0.0005 ? `<\u00a0${this.n(0.1, 1)}\u00a0%` : `${this.n(100 * share, share < 0.0995 ? 1 : 0)}\u00a0%`; }
  /** @param {string} text */
  announce(text) { const place = document.querySelector(".announcer"); if (place) place.textContent = text; }
  /** What to say of a problem. @param {unknown} error */
  saidOf(error) {
    if (!(error instanceof Refused)) return String(error);
    if (!error.status) return this.t("unreachable");
    return error.wait ? this.t("wait", { message: error.message, wait: error.wait }) : error.message;
  }

  // ------------------------------------------------------------ the key
  async look() {
    this.trouble = "";
    if (!this.key) { this.phase = "key"; return; }
    try {
      this.models = await models(this.key);
      sessionStorage.setItem(KEPT, this.key);
      this.phase = "ready";
      this.answers(this.models.find((one) => one.chat) ?? this.models[0]);
      await this.updateComplete;
      this.querySelector("textarea")?.focus();
    } catch (error) {
      const wrong = error instanceof Refused && error.status === 401;
      if (wrong) this.forget();
      this.phase = "key";
      this.trouble = wrong ? this.t("key_wrong") : this.saidOf(error);
    }
  }

  /** From now on this model answers; what was said stays. @param {import("./client.js").Model} model */
  answers(model) {
    this.model = model;
    document.title = `${model.id} · Glaswerk`;
  }

  forget() {
    this.stop();
    sessionStorage.removeItem(KEPT);
    Object.assign(this, { key: "", models: [], model: null, turns: [], chosen: null, phase: "key" });
  }

  // ------------------------------------------------------------ talking
  stop() { this.running?.abort(); }

  /** @param {Event} event */
  async send(event) {
    event.preventDefault();
    const field = /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea[name=message]"));
    const said = field.value.trim();
    if (!said || this.phase !== "ready" || !this.model) return;
    field.value = "";
    const before = this.turns.filter((turn) => turn.text);
    /** @type {Turn} */
    const answer = { role: "assistant", text: "", tokens: [], foot: "", by: this.model.id };
    this.turns = [...before, { role: "user", text: said, tokens: [], foot: "" }, answer];
    this.phase = "writing";
    this.trouble = "";
    this.chosen = null;
    this.announce(this.t("writing"));
    const began = performance.now();
    const running = (this.running = new AbortController());
    const decoder = new TextDecoder();
    let usage = null, reason = "";
    try {
      for await (const chunk of reply(this.key, this.body(), running.signal)) {
        usage = chunk.usage ?? usage;
        const [choice] = chunk.choices;
        if (!choice) continue;
        reason = choice.finish_reason ?? reason;
        answer.text += choice.delta.content ?? "";
        answer.tokens.push(...(choice.logprobs?.content ?? []).map((/** @type {any} */ told) => read(told, decoder)));
        this.requestUpdate();
        this.follow();
      }
      const left = decoder.decode(), last = answer.tokens.at(-1); // bytes that became no character
      if (left && last) last.text += left;
      const seconds = (performance.now() - began) / 1000, tokens = usage?.completion_tokens ?? 0;
      const foot = [this.t("done", { tokens, seconds: this.n(seconds, 1), rate: this.n(tokens / seconds, 0) }), this.t(`reason_${reason}`)];
      const cached = usage?.prompt_tokens_details?.cached_tokens;
      if (cached) foot.push(this.t("cached", { cached }));
      answer.foot = foot.join(" · ");
      this.announce(`${this.t("said")}: ${answer.text}`);
    } catch (error) {
      if (running.signal.aborted) answer.foot = this.t("stopped");
      else this.trouble = this.saidOf(error);
      if (!answer.text) this.turns = this.turns.filter((turn) => turn !== answer);
    }
    if (this.phase !== "key") this.phase = "ready";
    this.requestUpdate();
    await this.updateComplete;
    this.follow();
    field.focus({ preventScroll: true });
  }

  /** What is asked. */
  body() {
    const { system, temperature, top_p, max_tokens, seed } = this.how;
    const messages = this.turns.filter((turn) => turn.text).map(({ role, text }) => ({ role, content: text }));
    if (system.trim()) messages.unshift(/** @type {any} */ ({ role: "system", content: system.trim() }));
    return {
      model: this.model?.id, messages, temperature, top_p, max_tokens, ...(seed === "" ? {} : { seed: Number(seed) }),
      logprobs: true, top_logprobs: CANDIDATES, stream_options: { include_usage: true },
    };
  }

  /** Keep the end in sight, unless the reader has gone up. */
  follow() {
    const page = document.documentElement;
    if (page.scrollHeight - innerHeight - scrollY < 200) scrollTo({ top: page.scrollHeight });
  }

  /** @param {KeyboardEvent} event */
  typed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    /** @type {HTMLTextAreaElement} */ (event.target).form?.requestSubmit();
  }

  // ------------------------------------------------------------ tokens
  /** @param {number} turn @param {number} place */
  choose(turn, place) {
    const same = this.chosen?.turn === turn && this.chosen.place === place;
    this.chosen = same ? null : { turn, place };
    const token = this.turns[turn].tokens[place];
    if (!same) this.announce(`${this.t("instead", { token: chip(token.text) })}: ${token.top.map((one) => `${chip(one.text)} ${this.percent(Math.exp(one.logprob))}`).join(", ")}`);
  }

  /** Arrow keys go from token to token, Enter or space opens, Escape closes.
   * @param {KeyboardEvent} event @param {number} turn */
  move(event, turn) {
    const all = /** @type {HTMLElement[]} */ ([.../** @type {HTMLElement} */ (event.currentTarget).querySelectorAll("[role=button]")]);
    const at = all.indexOf(/** @type {HTMLElement} */ (event.target));
    if (at < 0) return;
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined && all[to]) all[to].focus();
    else if (event.key === "Enter" || event.key === " ") this.choose(turn, Number(all[at].dataset.place));
    else if (event.key === "Escape") this.chosen = null;
    else return;
    event.preventDefault();
  }

  // ------------------------------------------------------------ drawing
  render() {
    if (this.phase === "looking") return html`<p class="talk-wait">${this.t("loading")}</p>`;
    if (this.phase === "key" || !this.model) return this.drawKey();
    return html`<header class="talk-head"><h1>${this.t("title", { model: this.model.id })}</h1><p>${this.t("lead")}</p>${this.models.length > 1 ? this.drawModels() : nothing}</header>
      ${this.model.chat ? nothing : html`<p class="talk-trouble" role="alert">${this.t("no_chat", { model: this.model.id })}</p>`}
      ${this.turns.length ? this.drawScale() : nothing}
      <div class="turns" role="log" aria-live="off" aria-label=${this.t("conversation")}>${this.turns.map((turn, place) => this.drawTurn(turn, place))}</div>
      ${this.trouble ? html`<p class="talk-trouble" role="alert">${this.trouble}</p>` : nothing}
      ${this.model.chat ? this.drawForm() : nothing}
      ${this.drawSettings()}`;
  }

  drawModels() {
    return html`<label class="control talk-models">${this.t("model")}<select name="model" @change=${(/** @type {any} */ event) => this.answers(this.models[event.target.selectedIndex])}>
      ${this.models.map((one) => html`<option ?selected=${one === this.model}>${one.parent ? one.id : this.t("base", { model: one.id })}</option>`)}</select></label>`;
  }

  drawKey() {
    return html`<form class="talk-key" @submit=${(/** @type {Event} */ event) => { event.preventDefault(); this.key = /** @type {HTMLInputElement} */ (this.querySelector("input[name=key]")).value.trim(); this.look(); }}>
      <h1>${this.t("key_title")}</h1><p>${this.t("key_look")}</p>
      <label class="control">${this.t("key")}<input type="password" name="key" autocomplete="off" required .value=${this.key}></label>
      <button class="button" type="submit">${this.t("open")}</button>
      ${this.trouble ? html`<p class="talk-trouble" role="alert">${this.trouble}</p>` : nothing}</form>`;
  }

  /** @param {Turn} turn @param {number} number */
  drawTurn(turn, number) {
    const writing = this.phase === "writing" && number === this.turns.length - 1;
    if (turn.role === "user") return html`<section class="turn yours"><h2>${this.t("you")}</h2><p class="plain-text">${turn.text}</p></section>`;
    const open = this.chosen?.turn === number ? this.chosen.place : -1;
    return html`<section class="turn"><h2>${this.models.length > 1 ? this.t("said_by", { model: turn.by }) : this.t("said")}</h2>
      ${writing ? nothing : html`<p class="visually-hidden">${turn.text}</p>`}
      <div class="tokens" role="group" aria-label=${this.t("tokens_label")} @keydown=${(/** @type {KeyboardEvent} */ event) => this.move(event, number)}
        >${turn.tokens.map((token, place) => (token.text ? html`<span role="button" class="t${step(token.logprob)}" data-place=${place} tabindex=${place === Math.max(0, open) ? 0 : -1}
          aria-pressed=${String(place === open)} aria-label=${`${chip(token.text)} ${this.percent(Math.exp(token.logprob))}`} @click=${() => this.choose(number, place)}>${token.text}</span>` : nothing))}${writing ? html`<span class="pen" aria-hidden="true"></span>` : nothing}</div>
      ${open >= 0 ? this.drawOthers(turn.tokens[open]) : nothing}
      ${turn.foot ? html`<p class="turn-foot">${turn.foot}</p>` : nothing}</section>`;
  }

  /** @param {Token} token */
  drawOthers(token) {
    const told = token.top.some((one) => one.text === token.text && one.logprob === token.logprob) ? token.top : [...token.top, token];
    const rest = Math.max(0, 1 - told.reduce((sum, one) => sum + Math.exp(one.logprob), 0));
    const bars = [...told.map((one) => ({ name: chip(one.text), share: Math.exp(one.logprob), own: one.text === token.text && one.logprob === token.logprob })), { name: this.t("rest"), share: rest, own: false }];
    return html`<div class="others"><p class="others-title">${this.t("instead", { token: language === "de" ? `„${chip(token.text)}“` : `“${chip(token.text)}”` })}</p>
      <ol>${bars.map(({ name, share, own }, place) => html`<li class=${own ? "taken" : ""}><span class=${place < bars.length - 1 ? "chip" : "rest"}>${name}</span>
        <svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect width=${100 * share} height="10"></rect></svg>
        <span class="percent">${this.percent(share)}${own ? html`<small> ${this.t("chosen")}</small>` : nothing}</span></li>`)}</ol>
      <button type="button" class="button quiet" @click=${() => { this.chosen = null; }}>${this.t("close")}</button></div>`;
  }

  drawScale() {
    const named = STEPS.slice(0, -1).map((from) => `≥\u00a0${this.n(100 * from, 0)}\u00a0%`);
    return html`<figure class="prob-scale"><figcaption>${this.t("scale")}</figcaption>${[...named, this.t("least")].map((name, place) => html`<span class="t${place}">${name}</span>`)}</figure>`;
  }

  drawForm() {
    const writing = this.phase === "writing";
    return html`<form class="talk-form" @submit=${this.send}>
      <label class="visually-hidden" for="message">${this.t("message")}</label>
      <textarea id="message" name="message" rows="2" maxlength="20000" placeholder=${this.t("message")} aria-describedby="hint" @keydown=${this.typed}></textarea>
      ${writing ? html`<button class="button" type="button" data-name="stop" @click=${this.stop}>${this.t("stop")}</button>` : html`<button class="button" type="submit">${this.t("send")}</button>`}
      <p id="hint" class="talk-hint">${this.t("hint")}</p></form>`;
  }

  drawSettings() {
    const set = (/** @type {string} */ name) => (/** @type {any} */ event) => { this.how = { ...this.how, [name]: event.target.type === "range" ? Number(event.target.value) : event.target.value }; };
    const slider = (/** @type {"temperature"|"top_p"|"max_tokens"} */ name, /** @type {number} */ least, /** @type {number} */ most, /** @type {number} */ by, /** @type {string} */ shown) => html`<label class="slider">${this.t(name)}<span class="value">${shown}</span>
      <input type="range" min=${least} max=${most} step=${by} .value=${String(this.how[name])} aria-valuetext=${shown} @input=${set(name)}></label>`;
    const { temperature, top_p, max_tokens, seed, system } = this.how;
    const most = Math.min(2048, Math.max(16, (this.model?.context ?? 512) >> 1));
    return html`<details class="talk-settings"><summary>${this.t("settings")}</summary><div class="controls">
        ${slider("temperature", 0, 2, 0.05, temperature ? this.n(temperature, 2) : this.t("greedy"))}
        ${slider("top_p", 0.05, 1, 0.05, this.n(top_p, 2))}
        ${slider("max_tokens", 16, most, 16, this.n(Math.min(max_tokens, most), 0))}
        <label class="control">${this.t("seed")}<input type="text" inputmode="numeric" pattern="[0-9]*" maxlength="9" placeholder=${this.t("seed_none")} .value=${seed} @input=${(/** @type {any} */ event) => { event.target.value = event.target.value.replace(/\D/g, ""); set("seed")(event); }}></label>
        <label class="control grow">${this.t("system")}<input type="text" maxlength="4000" .value=${system} @input=${set("system")}></label></div></details>
      <p class="talk-ends"><button type="button" class="link" @click=${() => { this.stop(); this.turns = []; this.chosen = null; this.trouble = ""; }}>${this.t("again")}</button>
        <button type="button" class="link" @click=${() => { this.how = { ...START }; }}>${this.t("reset")}</button>
        <button type="button" class="link" @click=${this.forget}>${this.t("forget")}</button>
        <a href="docs">${this.t("reference")}</a></p>`;
  }
}

/** The key in the address (where the terminal's link put it; it leaves the address at once), or the one of this tab. */
function keyFound() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) history.replaceState(null, "", location.pathname);
  return given ?? sessionStorage.getItem(KEPT) ?? "";
}

/** A token as it is drawn. A character that two tokens share stands at its last one.
 * @param {import("./client.js").Told} told @param {TextDecoder} decoder @returns {Token} */
function read(told, decoder) {
  return { text: decoder.decode(new Uint8Array(told.bytes), { stream: true }), logprob: told.logprob, top: told.top_logprobs.map(({ token, logprob }) => ({ text: token, logprob })) };
}

/** Which colour. @param {number} logprob */
function step(logprob) { return STEPS.findIndex((from) => Math.exp(logprob) >= from); }

/** A token on a chip: its spaces and line ends can be seen. @param {string} text */
function chip(text) { return text.replaceAll(" ", "·").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "∅"; }

customElements.define("glaswerk-chat", Chat);
