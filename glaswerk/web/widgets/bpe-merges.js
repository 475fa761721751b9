// <glaswerk-bpe-merges>: byte-pair encoding learned from the reader's text, one merge at a time.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/bpe-merges.js";

/** @typedef {{pair: [number, number], count: number, rivals: {pair: [number, number], count: number}[], made: number, ids: number[][]}} Step */

class Merges extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["text"];

  initial() { return { text: "the cat sat on the mat and the other cat sat on the hat that the cat had", merges: 0 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("merges", { text: this.state.text }, signal); }

  body() {
    const { steps, start } = this.data;
    const done = Math.min(this.state.merges, steps.length);
    const ids = /** @type {number[][]} */ (done ? steps[done - 1].ids : start);
    const made = done ? steps[done - 1].made : -1;
    const bytes = start.flat().length, now = ids.flat().length;
    return html`${this.field()}
      <div class="controls">
        <label class="slider">${this.t("merges")}<span class="value">${this.t("of_steps", { done, all: steps.length })}</span>
          <input type="range" data-key="merges" min="0" max=${steps.length} step="1" .value=${String(done)} aria-valuetext=${this.t("of_steps", { done, all: steps.length })}
            @input=${(/** @type {any} */ event) => this.go(Number(event.target.value))}></label>
        <button type="button" class="button quiet" ?disabled=${done === 0} @click=${() => this.go(done - 1)}>${this.t("less")}</button>
        <button type="button" class="button quiet" ?disabled=${done === steps.length} @click=${() => this.go(done + 1)}>${this.t("more")}</button></div>
      <p class="said">${done ? this.said(steps[done - 1]) : this.t("begin", { bytes: this.n(bytes, 0) })}</p>
      <ul class="chips pieces">${ids.map((piece) => html`<li>${piece.map((id) => html`<span class="chip ${id === made ? "on" : ""}" title="id ${id}">${this.name(id)}</span>`)}</li>`)}</ul>
      <p class="num">${this.t("length", { bytes: this.n(bytes, 0), tokens: this.n(now, 0), vocabulary: this.n(256 + done, 0) })}</p>
      <div class="two">
        <div><p class="faint">${done < steps.length ? this.t("next") : this.t("end")}</p>${done < steps.length ? this.counts(steps[done]) : nothing}</div>
        <div><p class="faint">${this.t("learned")}</p>${done ? html`<ol class="learned">${steps.slice(0, done).map((/** @type {Step} */ step) => html`<li value=${step.made}>${this.pair(step.pair)} → <span class="chip">${this.name(step.made)}</span></li>`)}</ol>` : html`<p class="faint">${this.t("none")}</p>`}</div>
      </div>`;
  }

  /** @param {number} id */
  name(id) { return this.data.chips[id]; }
  /** @param {[number, number]} pair */
  pair([left, right]) { return html`<span class="chip">${this.name(left)}</span> + <span class="chip">${this.name(right)}</span>`; }
  /** @param {Step} step */
  said(step) { return html`${this.pair(step.pair)} → <span class="chip on">${this.name(step.made)}</span> ${this.t("because", { count: this.n(step.count, 0), id: step.made })}`; }

  /** @param {Step} step */
  counts(step) {
    return html`<div class="bars token-bars" role="list" aria-label=${this.t("next")}>${[step, ...step.rivals].map(({ pair, count }) => html`
      <span role="listitem">${this.pair(pair)}</span><span class="bar"><span .style=${`width: ${(100 * count) / step.count}%`}></span></span><span class="percent">${this.n(count, 0)}</span>`)}</div>`;
  }

  /** @param {number} merges */
  go(merges) {
    this.set({ merges });
    const step = this.data.steps[merges - 1];
    if (step) this.announce(`${this.name(step.pair[0])} + ${this.name(step.pair[1])}: ${this.name(step.made)}`);
  }

  field() {
    return html`<div class="controls"><label class="control grow">${this.t("text")}
      <input class="prompt" type="text" maxlength="400" spellcheck="false" autocomplete="off" .value=${this.state.text}
        @input=${(/** @type {any} */ event) => this.set({ text: event.target.value }, { wait: 250 })}></label></div>`;
  }
  whenWrong() { return this.field(); }
}
define("glaswerk-bpe-merges", Merges);
