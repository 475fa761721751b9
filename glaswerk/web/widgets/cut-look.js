// <glaswerk-cut-look>: how much a head looks, and how much the prediction changes when it may not: two different things.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/cut-look.js";

class CutLook extends Figure {
  static texts = texts;
  static reloads = ["prompt", "looks", "at"];

  initial() { return { prompt: "The cat sat on the mat because it was", looks: "because it", at: "cat" }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("cut", { prompt: this.state.prompt, looks: this.state.looks, at: this.state.at }, signal); }

  body() {
    const { heads, count, all, next } = this.data;
    const most = Math.max(...heads.map((/** @type {any} */ each) => each.moved), 1e-9);
    const order = [...heads].sort((a, b) => b.moved - a.moved);
    return html`<div class="controls">${this.promptField()}${this.word("looks")}${this.word("at")}</div>
      <div class="scroll" tabindex="0"><table class="cuts"><caption>${this.t("caption", { from: this.data.from, to: this.data.to, shown: heads.length, count })}</caption>
        <thead><tr><th scope="col">${this.t("which")}</th><th scope="col" colspan="2" class="c-weight">${this.t("weight")}</th><th scope="col" colspan="2" class="c-logit">${this.t("moved")}</th><th scope="col">${this.t("rank")}</th></tr></thead>
        <tbody>${heads.map((/** @type {any} */ each) => html`<tr><th scope="row">${each.layer}.${each.head}</th>
          <td class="bar of-weight"><span .style=${`--size: ${each.weight}`}></span></td><td>${this.n(each.weight, 2)}</td>
          <td class="bar of-logit"><span .style=${`--size: ${each.moved / most}`}></span></td><td>${this.percent(each.moved, 2)}</td><td>${order.indexOf(each) + 1}</td></tr>`)}</tbody></table></div>
      <p>${this.t("all", { count, from: this.data.from, to: this.data.to })} <b class="c-logit" data-name="all">${this.percent(all)}</b></p>
      <div class="scroll" tabindex="0"><table class="matrix of-logit"><caption>${this.t("next")}</caption><thead><tr><td></td>${next.map((/** @type {any} */ each) => html`<th scope="col"><span class="chip">${each.text}</span></th>`)}</tr></thead>
        <tbody>${["before", "after"].map((how) => html`<tr><th scope="row">${this.t(how)}</th>${next.map((/** @type {any} */ each) => html`<td>${this.percent(each[how])}</td>`)}</tr>`)}</tbody></table></div>`;
  }

  /** @param {string} key */
  word(key) {
    return html`<label class="control">${this.t(key)}<input type="text" maxlength="60" spellcheck="false" autocomplete="off" .value=${this.state[key]}
      @input=${(/** @type {any} */ event) => this.set({ [key]: event.target.value }, { wait: 500 })}></label>`;
  }
  whenWrong() { return html`<div class="controls">${this.promptField()}${this.word("looks")}${this.word("at")}</div>`; }
}
define("glaswerk-cut-look", CutLook);
