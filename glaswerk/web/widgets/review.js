// <glaswerk-review>: the quiz cards that are due, one after the other. What was wrong comes again at the end, for
// practice. Left out: when a card is due (glaswerk/course/review.py says it).

import { ask, language, live } from "../data.js";
import { Figure, define, html, nothing } from "../figure.js";
import { send } from "../send.js";
import texts, { inDays } from "../texts/review.js";

/** @typedef {{card: string, chapter: {name: string, title: string}, q: string, options: {place: number, text: string}[],
 *   answer: number, why: string, new: boolean, days: Record<string, number>}} Card */
/** @typedef {{card: Card, counts: boolean}} Turn */

class Review extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["chapter"];

  constructor() {
    super();
    /** @type {Turn[]} */
    this.queue = [];
    /** the place of the option that was chosen; -1: none yet */
    this.chosen = -1;
    this.total = this.asked = this.right = 0;
    this.note = "";
    this.sending = false;
  }

  initial() { return { chapter: "" }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    if (!live) return { static: true };
    const data = await ask("review", { language, chapter: this.state.chapter || undefined }, signal);
    this.queue = data.cards.map((/** @type {Card} */ card) => ({ card, counts: true }));
    this.total = this.queue.length;
    this.asked = this.right = 0;
    this.chosen = -1;
    return data;
  }

  get turn() { return this.queue[0]; }

  // ------------------------------------------------------------ one card
  /** @param {number} place */
  choose(place) {
    if (this.chosen >= 0 || !this.turn) return;
    this.chosen = place;
    const { card, counts } = this.turn;
    const right = place === card.answer;
    if (counts) { this.asked += 1; this.right += Number(right); }
    if (counts && !right) this.rate(1, false);
    this.requestUpdate();
    this.updateComplete.then(() => /** @type {HTMLElement|null} */ (this.querySelector(".rates .main"))?.focus());
  }

  /** Write down how well it was known. @param {number} rating @param {boolean} onwards */
  async rate(rating, onwards) {
    if (this.sending) return;
    this.sending = true;
    this.note = "";
    try {
      const { counted } = await send("review", { card: this.turn.card.card, rating });
      if (!counted) this.note = this.t("elsewhere");
      if (onwards) this.next();
    } catch (error) {
      this.note = error instanceof Error && error.message === "stopped" ? this.t("stopped") + " glaswerk lab; " + this.t("stopped_end") : String(/** @type {Error} */ (error).message);
      if (!onwards) this.chosen = -1;
    } finally {
      this.sending = false;
      this.requestUpdate();
    }
  }

  next() {
    const { card } = this.turn;
    const again = this.chosen !== card.answer;
    this.queue = [...this.queue.slice(1), ...(again ? [{ card, counts: false }] : [])];
    this.chosen = -1;
    this.requestUpdate();
    this.updateComplete.then(() => {
      const first = /** @type {HTMLElement|null} */ (this.querySelector(".card .option, .done"));
      first?.focus();
      if (!this.queue.length) this.finish();
    });
  }

  /** What is due changed by what was answered. */
  async finish() {
    const { asked, right } = this;
    const fresh = await ask("review", { language }).catch(() => null);
    if (fresh) this.data = { ...fresh, cards: [] };
    Object.assign(this, { asked, right });
    this.requestUpdate();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const number = Number(event.key);
    if (!this.turn || !(number >= 1) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.chosen < 0 && this.turn.card.options[number - 1]) this.choose(this.turn.card.options[number - 1].place);
    else if (this.chosen === this.turn.card.answer && this.turn.counts && number <= 4) this.rate(number, true);
    else return;
    event.preventDefault();
  }

  // ------------------------------------------------------------ drawing
  body() {
    if (this.data.static) return html`<p>${this.t("static")}</p>`;
    return html`${this.note ? html`<p class="notice-line" role="alert">${this.note}</p>` : nothing}
      ${this.turn ? this.card() : this.done()}${this.ahead()}${this.more()}`;
  }

  card() {
    const { card, counts } = this.turn;
    const open = this.chosen < 0;
    const right = this.chosen === card.answer;
    const at = this.total - this.queue.filter((turn) => turn.counts).length + Number(counts);
    return html`<div class="card" @keydown=${this.key}>
      <p class="card-from"><span>${this.t("from")} <a href="../chapters/${card.chapter.name}/">${card.chapter.title}</a>${card.new ? html` · ${this.t("new")}` : nothing}</span>
        ${counts ? html`<span class="num">${this.t("place", { at, of: this.total })}</span>` : nothing}</p>
      ${counts ? nothing : html`<p class="faint">${this.t("practice")}</p>`}
      <p class="card-q" id="card-q" .innerHTML=${card.q}></p>
      <div class="options" role="group" aria-labelledby="card-q">${card.options.map(({ place, text }, number) => html`<button type="button" class="option"
        aria-disabled=${String(!open)} data-mark=${open ? nothing : place === card.answer ? "right" : place === this.chosen ? "wrong" : nothing}
        @click=${() => this.choose(place)}><span class="num">${number + 1}</span><span .innerHTML=${text}></span></button>`)}</div>
      ${open ? nothing : html`<p class="why" role="status"><b>${this.t(right ? "right" : "wrong")}</b> <span .innerHTML=${card.why}></span></p>
        <div class="rates">${right && counts ? html`<span>${this.t("how")}</span>${[1, 2, 3, 4].map((rating) => html`<button type="button" ?disabled=${this.sending}
            class="button quiet ${rating === 3 ? "main" : ""}" data-rating=${rating} @click=${() => this.rate(rating, true)}><b>${this.t(`rate_${rating}`)}</b><small>${inDays(language, card.days[rating])}</small></button>`)}`
          : html`<button type="button" class="button main" ?disabled=${this.sending} @click=${() => this.next()}>${this.t("next")}</button>
            ${counts ? html`<span class="faint">${inDays(language, card.days[1])}</span>` : nothing}`}</div>`}</div>`;
  }

  done() {
    const { ahead } = this.data;
    const day = ahead.findIndex((/** @type {number} */ count, /** @type {number} */ place) => place > 0 && count > 0);
    const when = day > 0 ? inDays(language, day) : "";
    return html`<p class="done" tabindex="-1">${this.asked ? this.t("done", { right: this.right, count: this.asked }) : this.t("nothing")}
      ${day > 0 ? this.t(ahead[day] === 1 ? "coming_1" : "coming", { count: ahead[day], when }) : nothing}</p>`;
  }

  /** How many cards come back on which day. */
  ahead() {
    const { ahead, day } = this.data;
    const most = Math.max(...ahead);
    if (!most) return nothing;
    const start = new Date(`${day}T12:00:00`);
    const name = (/** @type {number} */ place) => {
      if (place === 0) return this.t("today");
      const then = new Date(start);
      then.setDate(start.getDate() + place);
      return new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric", month: "numeric" }).format(then);
    };
    return html`<p class="faint">${this.t("ahead", { days: ahead.length })}</p>
      <ol class="forecast" aria-label=${this.t("ahead", { days: ahead.length })}>${ahead.map((/** @type {number} */ count, /** @type {number} */ place) => html`<li title=${name(place)}>
        <span class="num">${count || ""}</span><span class="tower" .style=${`--size: ${count / most}`}></span><span class="day">${name(place)}</span></li>`)}</ol>`;
  }

  more() {
    const { chapters } = this.data;
    const here = chapters.find((/** @type {any} */ chapter) => chapter.name === this.state.chapter);
    const fresh = chapters.filter((/** @type {any} */ chapter) => chapter.new > 0 && chapter !== here);
    return html`<div class="more">
      ${here ? html`<p>${this.t("chapter", { number: here.number })} · <button type="button" class="link" @click=${() => this.set({ chapter: "" })}>${this.t("all")}</button></p>` : nothing}
      ${fresh.length ? html`<details><summary>${this.t("add")}</summary><ul class="plain">${fresh.map((/** @type {any} */ chapter) => html`<li><button type="button" class="link" data-add=${chapter.name}
        @click=${() => this.set({ chapter: chapter.name })}>${this.t("add_one", chapter)}</button> <span class="faint">${this.t("add_count", { count: chapter.new })}</span></li>`)}</ul></details>` : nothing}
      <details><summary>${this.t("keep")}</summary><p><a href="../../api/review/file" download>${this.t("export")}</a></p>
        <label class="control">${this.t("import")}<input type="file" accept="application/json,.json" @change=${this.take}></label></details></div>`;
  }

  /** Add the answers of a file. @param {Event} event */
  async take(event) {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const file = input.files?.[0];
    if (!file) return;
    try {
      const text = await file.text();
      let value = null;
      try { value = JSON.parse(text); } catch { /* the lab says that it is none */ }
      const { added } = await send("review/file", value);
      this.note = this.t(added === 1 ? "added_1" : "added", { count: this.n(added, 0) });
      await this.reload();
    } catch (error) {
      this.note = String(/** @type {Error} */ (error).message);
    }
    input.value = "";
    this.requestUpdate();
  }

  provenance() { return nothing; }
}
define("glaswerk-review", Review);
