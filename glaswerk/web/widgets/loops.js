// <glaswerk-loops>: a continuation by one of four ways, token by token with its probability; the loop it ends in is
// marked. Found by the chapter's demo.py.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/loops.js";

const WAYS = ["greedy", "penalty", "nucleus", "all"];

class Loops extends Figure {
  static texts = texts;
  static reloads = ["prompt", "way", "seed"];

  initial() { return { prompt: "The best thing about the city is", way: "greedy", seed: 1 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { prompt, way, seed } = this.state;
    return this.demo("written", { prompt, way, seed }, signal);
  }

  body() {
    const { tokens, loop, different, end } = this.data;
    const drawn = ["nucleus", "all"].includes(this.state.way);
    const turn = (/** @type {number} */ place) => (loop && place >= loop.start ? Math.floor((place - loop.start) / loop.period) : -1);
    return html`<div class="controls">${this.promptField()}</div>
      <div class="controls">${this.segments("way", WAYS.map((value) => ({ value, label: this.t(value) })), this.t("way"))}
        <button type="button" class="button quiet" ?disabled=${!drawn} @click=${() => this.set({ seed: this.state.seed + 1 })}>${this.t("again_drawn")}</button></div>
      <ol class="written" aria-label=${this.t("text")}>${tokens.map((/** @type {any} */ token, /** @type {number} */ place) => html`<li class=${turn(place) < 0 ? "" : turn(place) % 2 ? "turn odd" : "turn"}
        title="${token.token} ${this.percent(token.probability)}"><span class="chip">${token.token}</span><span class="stem" aria-hidden="true"><span .style=${`--size: ${token.probability}`}></span></span></li>`)}</ol>
      <p data-name="verdict">${loop ? html`<b>${this.t("loop", { start: this.n(loop.start + 1, 0), period: this.n(loop.period, 0) })}</b> ${this.t("turns", { first: this.percent(this.mean(loop, 0), 0), last: this.percent(this.mean(loop, -1), 0) })}` : end && !tokens.length ? this.t("nothing") : this.t("no_loop")}</p>
      <p class="num faint">${this.t("counts", { count: this.n(tokens.length, 0), different: this.n(different, 0) })} ${end ? this.t("ended") : ""}</p>`;
  }

  /** The mean probability in the loop's first (0) or last (-1) whole turn. @param {{start: number, period: number}} loop @param {number} which */
  mean(loop, which) {
    const inside = this.data.tokens.slice(loop.start);
    const turn = which < 0 ? inside.slice(-loop.period) : inside.slice(0, loop.period);
    return turn.reduce((/** @type {number} */ sum, /** @type {any} */ token) => sum + token.probability, 0) / turn.length;
  }
}
define("glaswerk-loops", Loops);
