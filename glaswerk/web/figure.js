// The base of every figure: title, the line that says what one looks at, model and prompt below, a way back to the
// start, waiting and error states, state in the URL, texts in both languages, announcements, numbers.
// Left out: what a figure shows; each widget extends this. See glaswerk/course/README.md for a worked example.

import { LitElement, html, nothing } from "lit";
import { Told, ask, language, look, reachable, settled, status } from "./data.js";
import frame from "./texts/frame.js";
import { gone, over, turn } from "./turns.js";

export { html, nothing, svg } from "lit";

/** @typedef {Record<string, any>} State */
/** @typedef {Record<"en"|"de", Record<string, string>>} Texts */

export class Figure extends LitElement {
  /** texts of the widget: en and de with the same keys, `title` and `look` among them @type {Texts} */
  static texts = { en: {}, de: {} };
  /** whether it waits for the open model @type {boolean} */
  static needsModel = true;
  /** keys of the state that need new data when they change @type {string[]} */
  static reloads = ["prompt"];

  static properties = {
    options: { type: Object },
    chapter: { type: String },
    phase: { state: true },
    message: { state: true },
    state: { state: true },
  };

  constructor() {
    super();
    /** what the chapter gave in its fence @type {State} */
    this.options = {};
    /** the chapter's name, where demo functions are called */
    this.chapter = "";
    /** "waiting", "computing", "ready" or "error" */
    this.phase = "waiting";
    this.message = "";
    /** what the reader changed; in the URL too @type {State} */
    this.state = {};
    /** what load() fetched @type {any} */
    this.data = null;
    /** @type {AbortController|null} */
    this.running = null;
    this.timer = 0;
    /** whether it had its turn (turns.js) */
    this.begun = false;
    /** canvases take their colours from the theme */
    this.themed = () => this.requestUpdate();
    this.again = () => { if (this.phase === "error") this.reload(); };
    this.modelChanged = () => { if (this.begun && /** @type {typeof Figure} */ (this.constructor).needsModel && status.state === "ready") this.reload(); };
  }

  createRenderRoot() { return this; }

  // ------------------------------------------------------------ what a widget writes
  /** What the figure starts from; options of the fence go over it. @returns {State} */
  initial() { return {}; }
  /** Fetch what the state needs. Called at the start and when a key of `reloads` changes.
   * @param {AbortSignal} _signal @returns {Promise<any>} becomes this.data */
  async load(_signal) { return {}; }
  /** The figure's inside; called only when this.data is there. @returns {any} */
  body() { return nothing; }
  /** After the inside was drawn: canvases. */
  drawn() {}

  // ------------------------------------------------------------ state
  get start() { return { ...this.initial(), ...this.options }; }

  connectedCallback() {
    super.connectedCallback();
    this.state = { ...this.start, ...this.fromURL() };
    document.addEventListener("glaswerk-back", this.again);
    document.addEventListener("glaswerk-model", this.modelChanged);
    document.addEventListener("glaswerk-theme", this.themed);
    turn(this).then(() => { this.begun = true; return this.reload(); }).finally(over);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("glaswerk-back", this.again);
    document.removeEventListener("glaswerk-model", this.modelChanged);
    document.removeEventListener("glaswerk-theme", this.themed);
    gone(this);
    this.running?.abort();
  }

  /** Change one or more keys of the state: redraws, writes the URL, loads where needed.
   * @param {State} changes @param {{wait?: number}} [how] wait: milliseconds to wait for more changes before loading */
  set(changes, how = {}) {
    const before = this.state;
    this.state = { ...before, ...changes };
    const reloads = /** @type {typeof Figure} */ (this.constructor).reloads;
    if (reloads.some((key) => JSON.stringify(before[key]) !== JSON.stringify(this.state[key]))) {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => this.reload(), how.wait ?? 0);
    }
    this.toURL();
  }

  /** Whether there is anything that a reader can change, and so a way back. */
  get changeable() { return Object.keys(this.start).length > 0 || this.reset !== Figure.prototype.reset; }

  /** Everything as it was at the start. */
  reset() {
    this.state = { ...this.start };
    this.toURL();
    this.reload();
  }

  async reload() {
    this.running?.abort();
    const run = (this.running = new AbortController());
    const slow = window.setTimeout(() => { if (!run.signal.aborted && this.phase !== "error") this.phase = this.data ? "ready" : "computing"; this.toggleAttribute("data-busy", !run.signal.aborted); }, 300);
    try {
      if (/** @type {typeof Figure} */ (this.constructor).needsModel) {
        const model = await settled();
        if (model.state === "none") throw new Told("no_model");
        if (model.state === "failed") throw new Told(model.error);
      }
      const data = await this.load(run.signal);
      if (run.signal.aborted) return;
      this.data = data;
      this.phase = "ready";
      this.message = "";
      this.requestUpdate();
      await this.updateComplete;
      if (!run.signal.aborted) this.setAttribute("data-ready", "");
    } catch (error) {
      if (run.signal.aborted) return;
      this.phase = "error";
      this.removeAttribute("data-ready");
      this.message = error instanceof Told ? error.message : String(error);
      if (!(error instanceof Told)) console.error(error);
      if (this.message === "stopped") look();
    } finally {
      clearTimeout(slow);
      if (!run.signal.aborted) this.removeAttribute("data-busy");
    }
  }

  /** What a demo function of this chapter computes. @param {string} name @param {Record<string, any>} [args]
   * @param {AbortSignal} [signal] @returns {Promise<any>} */
  demo(name, args = {}, signal) { return ask(`demo/${this.chapter}/${name}`, args, signal); }

  /** @returns {State} */
  fromURL() {
    /** @type {State} */
    const found = {};
    const start = this.start;
    for (const [key, text] of new URLSearchParams(location.search)) {
      const name = key.startsWith(`${this.id}.`) ? key.slice(this.id.length + 1) : "";
      if (!name || !(name in start)) continue;
      try {
        const value = typeof start[name] === "string" ? text : JSON.parse(text);
        if (start[name] === null || typeof value === typeof start[name]) found[name] = value;
      } catch { /* not ours */ }
    }
    return found;
  }

  toURL() {
    const parameters = new URLSearchParams(location.search);
    const start = this.start;
    for (const key of [...parameters.keys()]) if (key.startsWith(`${this.id}.`)) parameters.delete(key);
    for (const [key, value] of Object.entries(this.state)) {
      if (!(key in start) || JSON.stringify(value) === JSON.stringify(start[key])) continue;
      parameters.set(`${this.id}.${key}`, typeof value === "string" ? value : JSON.stringify(value));
    }
    const query = parameters.toString();
    history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
  }

  // ------------------------------------------------------------ words and numbers
  /** A text of this widget (or of the frame), with {names} filled in.
   * @param {string} key @param {Record<string, any>} [values] @returns {string} */
  t(key, values = {}) {
    const texts = /** @type {typeof Figure} */ (this.constructor).texts[language];
    const own = key === "title" || key === "look" ? this.options[key] : undefined;
    const text = own ?? texts[key] ?? frame[language][key] ?? key;
    return String(text).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
  }

  /** A number in the page's language. @param {number} value @param {number} [digits] after the point */
  n(value, digits = 2) { return number(value, digits); }
  /** A share as per cent. @param {number} value @param {number} [digits] */
  percent(value, digits = 1) { return `${number(100 * value, digits)}\u00a0%`; }

  /** Say something to a screen reader. @param {string} text */
  announce(text) {
    const place = document.querySelector(".announcer");
    if (place) place.textContent = text;
  }

  // ------------------------------------------------------------ pieces that figures share
  /** The field for the prompt; computes when typing rests. */
  promptField(key = "prompt") {
    return html`<label class="control grow">${this.t("prompt")}
      <input class="prompt" type="text" maxlength="2000" spellcheck="false" autocomplete="off" .value=${this.state[key]}
        @input=${(/** @type {any} */ event) => this.set({ [key]: event.target.value }, { wait: 350 })}></label>`;
  }

  /** A slider with its value. @param {string} key @param {{label: string, min: number, max: number, step: number,
   *   digits?: number, off?: number, offText?: string, accent?: string}} how */
  slider(key, how) {
    const value = this.state[key];
    const shown = value === how.off && how.offText ? how.offText : this.n(value, how.digits ?? 2);
    return html`<label class="slider">${how.label}<span class="value">${shown}</span>
      <input type="range" data-key=${key} min=${how.min} max=${how.max} step=${how.step} .value=${String(value)} aria-valuetext=${shown}
        @input=${(/** @type {any} */ event) => this.set({ [key]: Number(event.target.value) })}></label>`;
  }

  /** A choice of few. @param {string} key @param {{value: any, label: string}[]} choices @param {string} label */
  segments(key, choices, label) {
    return html`<div class="control"><span>${label}</span><div class="segments" role="group" aria-label=${label}>
      ${choices.map(({ value, label: text }) => html`<button type="button" aria-pressed=${String(this.state[key] === value)}
        @click=${() => this.set({ [key]: value })}>${text}</button>`)}</div></div>`;
  }

  /** A choice of many. @param {string} key @param {{value: any, label: string}[]} choices @param {string} label */
  select(key, choices, label) {
    return html`<label class="control">${label}<select data-key=${key}
      @change=${(/** @type {any} */ event) => this.set({ [key]: choices[event.target.selectedIndex].value })}>
      ${choices.map(({ value, label: text }) => html`<option ?selected=${this.state[key] === value}>${text}</option>`)}</select></label>`;
  }

  /** A row of numbers 0..count-1 as a choice (layers, heads). @param {string} key @param {number} count @param {string} label */
  numbers(key, count, label) {
    return this.select(key, Array.from({ length: count }, (_, place) => ({ value: place, label: `${place}` })), label);
  }

  // ------------------------------------------------------------ drawing
  render() {
    return html`<figure class="figure" aria-labelledby="${this.id}-title">
      <p class="figure-title" id="${this.id}-title">${this.t("title")}</p>
      <p class="figure-look"><span class="visually-hidden">${this.t("look_label")}</span>${this.t("look")}</p>
      ${this.inside()}
      <div class="figure-foot"><span>${this.provenance()}</span>
        ${this.changeable ? html`<button type="button" class="button quiet reset" @click=${() => this.reset()}>${this.t("reset")}</button>` : nothing}</div>
    </figure>`;
  }

  inside() {
    if (this.phase === "error") {
      const known = ["no_model", "stopped", "not-exported", "unreachable"].includes(this.message);
      const text = this.message === "stopped" ? `${frame[language].stopped} glaswerk lab; ${frame[language].stopped_end}` : known ? frame[language][this.message] : this.message;
      return html`${this.data ? this.whenWrong() : nothing}<div class="figure-state error" role="alert"><span>${text}</span>
        <button type="button" class="button quiet" @click=${() => this.reload()}>${this.t("again")}</button></div>`;
    }
    if (!this.data) {
      const text = status.state === "loading" ? this.t("loading_model", { name: status.name }) : this.t("computing");
      return html`<div class="figure-state"><span class="waiting" aria-hidden="true"></span><span>${text}</span></div>`;
    }
    return this.body();
  }

  /** What stays usable when the last request failed: at least the field that caused it. @returns {any} */
  whenWrong() { return "prompt" in this.state ? html`<div class="controls">${this.promptField()}</div>` : nothing; }

  /** Below the figure: which model, which prompt. @returns {any} */
  provenance() {
    const name = this.data?.model?.name ?? this.data?.model ?? (/** @type {typeof Figure} */ (this.constructor).needsModel ? status.name : "");
    const prompt = this.data?.prompt ?? this.state.prompt;
    return html`${name ? html`${this.t("model")} <b>${name}</b>` : nothing}${prompt ? html` · <span lang="">${quoted(prompt)}</span>` : nothing}`;
  }

  updated() { if (this.phase === "ready" && this.data) this.drawn(); }
}

/** @param {string} text */
function quoted(text) { return language === "de" ? `„${text}“` : `“${text}”`; }

/** @type {Map<number, Intl.NumberFormat>} */
const formats = new Map();
/** @param {number} value @param {number} digits @returns {string} */
export function number(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === -Infinity) return "−∞";
  let format = formats.get(digits);
  if (!format) formats.set(digits, (format = new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits })));
  return format.format(value).replace(/^-/, "−").replace(/^−([0.,]*)$/, "$1");
}

/** How much larger than usual the page's letters are: on a very wide screen they grow. */
export function letters() { return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; }

/** @param {string} name @param {CustomElementConstructor} widget */
export function define(name, widget) { if (!customElements.get(name)) customElements.define(name, widget); }

export { reachable };
