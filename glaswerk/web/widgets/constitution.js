// <glaswerk-constitution>: principles that a reader writes, and what becomes of an answer: critique, revision, verdict.

import { language } from "../data.js";
import { define, html, nothing } from "../figure.js";
import { Later } from "../later.js";
import texts from "../texts/constitution.js";

const STEPS = ["answer", "critique", "revision"], LONGEST = 240;

class Constitution extends Later {
  static texts = texts;
  static reloads = ["question", "prompt", "judge", "principles", "principle"];

  // no principles of one's own: those of the constitution that ships
  initial() { return { question: 0, prompt: "", judge: "self", principle: 0, principles: [] }; }

  /** @param {number} part */
  asked(part) {
    const { question, prompt, judge, principle, principles } = this.state;
    return { language, question, ...(prompt ? { prompt } : {}), judge, principle, ...(principles.length ? { principles } : {}), part };
  }

  /** @param {AbortSignal} signal */
  first(signal) { return this.demo("constitution", this.asked(0), signal); }

  /** Some seconds, and not in line behind the trainings of other figures. @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    await new Promise((done) => setTimeout(done)); // the first part is drawn
    this.setAttribute("data-busy", "");
    try {
      for (let part = 1; part < data.parts; part++) {
        Object.assign(data, await this.demo("constitution", this.asked(part), signal));
        this.requestUpdate();
      }
    } finally {
      if (!signal.aborted) this.removeAttribute("data-busy");
    }
  }

  body() {
    const { questions, principles, principle, judges, judge, parts, part } = this.data, written = this.state.principles.length ? this.state.principles : principles;
    return html`<fieldset class="principles"><legend>${this.t("principles")}</legend>${written.map((/** @type {string} */ text, /** @type {number} */ at) => html`<div>
        <input type="radio" name="${this.id}-principle" .checked=${at === principle} aria-label=${this.t("apply", { number: at + 1 })} @change=${() => this.set({ principle: at })}>
        <textarea rows="1" maxlength=${LONGEST} spellcheck="false" aria-label=${this.t("principle", { number: at + 1 })} .value=${text} @input=${(/** @type {any} */ event) => this.write(at, event.target.value.replace(/\s+/g, " "))}></textarea></div>`)}</fieldset>
      <div class="controls"><label class="control grow">${this.t("question")}<select data-key="question" @change=${(/** @type {any} */ event) => this.set({ question: event.target.selectedIndex, prompt: "" })}>
        ${questions.map((/** @type {string} */ text, /** @type {number} */ at) => html`<option ?selected=${at === this.state.question}>${text}</option>`)}</select></label>
        <label class="control grow">${this.t("own")}<input class="prompt" type="text" maxlength="300" autocomplete="off" .value=${this.state.prompt} @input=${(/** @type {any} */ event) => this.set({ prompt: event.target.value }, { wait: 700 })}></label>
        ${judges.length > 1 ? this.segments("judge", judges.map((/** @type {string} */ value) => ({ value, label: this.t(value) })), this.t("judge")) : nothing}</div>
      ${judges.length > 1 || judge !== "self" ? nothing : html`<p class="notice-line">${this.t("no_smollm2")} <code>glaswerk pull smollm2</code></p>`}
      ${this.waiting(this.t("going", { done: part + 1, count: parts }), (part + 1) / parts)}
      <p class="asked-for"><b lang="">${this.data.question}</b></p>
      <ol class="rewriting">${STEPS.map((name) => html`<li data-name=${name} class=${this.data[name] ? "" : "to-come"}><b>${this.t(name)}</b><p lang="">${this.said(name)}</p></li>`)}</ol>
      ${this.verdict()}`;
  }

  /** A step's text; undefined: it is still to come, null: the judge gave none. @param {string} name */
  said(name) {
    const text = this.data[name];
    if (text === undefined) return this.t("to_come");
    return text ?? this.t(Object.keys(this.data.failures).some((why) => why.startsWith("too long")) ? "too_long" : "unusable");
  }

  /** @param {number} at @param {string} text */
  write(at, text) {
    const principles = [...(this.state.principles.length ? this.state.principles : this.data.principles)];
    principles[at] = text;
    this.set({ principles, principle: at }, { wait: 700 });
  }

  verdict() {
    const { verdict, answer, revision } = this.data;
    if (!verdict) return nothing;
    if (answer === revision) return html`<p class="notice-line" data-name="verdict">${this.t("same")}</p>`;
    const [first, second, both] = verdict, told = both === null ? "undecided" : both > 0.5 ? "revision_wins" : "answer_wins";
    // where it is too near to a half, the mean of the log-odds is shown all the same
    const odds = (/** @type {number} */ p) => Math.log(p / (1 - p)), shown = [first, second, both ?? 1 / (1 + Math.exp(-(odds(first) + odds(second)) / 2))];
    return html`<p class="matrix-title">${this.t("verdict")}</p><div class="orders"><span></span><span class="ends"><span class="c-residual">${this.t("answer")}</span><span class="c-value">${this.t("revision")}</span></span><span></span>${["order_first", "order_second", "both_orders"].map((name, at) => html`<span>${at < 2 ? this.t(name) : html`<b>${this.t(name)}</b>`}</span><span class="balance" aria-hidden="true"><span class="to-answer" .style=${`--size: ${1 - shown[at]}`}></span><span class="to-revision" .style=${`--size: ${shown[at]}`}></span></span><b class="num" data-name="order-${at}">${this.percent(shown[at], 0)}</b>`)}</div>
      <p class="faint">${this.t("probability")}</p><p class="verdict-line" data-name="verdict">${this.t(told)}</p>`;
  }
}
define("glaswerk-constitution", Constitution);
