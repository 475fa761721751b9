// <glaswerk-draws>: how often each token was drawn, beside its share. The thousand draws come at once from demo.py; the
// slider only says how many of them are counted.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/draws.js";

class Draws extends Figure {
  static texts = texts;
  static reloads = ["prompt", "seed"];

  initial() { return { prompt: "The weather today is", seed: 1, power: 1 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("draws", { prompt: this.state.prompt, seed: this.state.seed }, signal); }

  body() {
    const { candidates, drawn, rest } = this.data;
    const count = Math.min(drawn.length, Math.round(10 ** this.state.power));
    const found = new Array(candidates.length + 1).fill(0);
    for (const place of drawn.slice(0, count)) found[place < 0 ? candidates.length : place]++;
    const rows = [...candidates, { token: "", share: rest }];
    const most = Math.max(...rows.map((row, place) => Math.max(row.share, found[place] / count)));
    const off = rows.reduce((sum, row, place) => sum + Math.abs(row.share - found[place] / count), 0) / 2;
    return html`<div class="controls">${this.promptField()}</div>
      <div class="controls"><label class="slider">${this.t("count")}<span class="value">${this.n(count, 0)}</span>
          <input type="range" data-key="power" min="0" max="3" step="0.25" .value=${String(this.state.power)} aria-valuetext=${this.n(count, 0)}
            @input=${(/** @type {any} */ event) => this.set({ power: Number(event.target.value) })}></label>
        <button type="button" class="button quiet" @click=${() => this.set({ seed: this.state.seed + 1 })}>${this.t("other_seed", { seed: this.n(this.state.seed, 0) })}</button></div>
      <div class="bars" role="list" aria-label=${this.t("bars")}>${rows.map((row, place) => html`<span role="listitem" class=${place < candidates.length ? "chip" : "faint"}>${place < candidates.length ? row.token : this.t("rest")}</span>
        <span class="bar drawn"><span .style=${`width: ${(100 * found[place]) / count / most}%`}></span><i .style=${`left: ${(100 * row.share) / most}%`}></i></span>
        <span class="percent">${this.n(found[place], 0)} <span class="faint">/ ${this.n(row.share * count, 1)}</span></span>`)}</div>
      <p class="num faint">${this.t("legend")}</p>
      <p class="num">${this.t("off", { count: this.n(count, 0) })} <b data-name="off">${this.percent(off)}</b></p>`;
  }
}
define("glaswerk-draws", Draws);
