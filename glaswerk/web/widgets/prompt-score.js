// <glaswerk-prompt-score>: a prompt template that can be edited, and how the open model does a small task with it: every
// item as a mark, the score with its interval, one prompt in full with the likeliest next tokens, and what was tried.

import { askOnce, live } from "../data.js";
import { Figure, define, html, nothing, svg } from "../figure.js";
import texts from "../texts/prompt-score.js";

const TASKS = ["opposites", "capitals", "sums"], SHAPES = ["zero", "words", "few", "wrong"], REMEMBERED = 8;

class PromptScore extends Figure {
  static texts = texts;
  static reloads = ["task", "shape", "template", "item"];

  constructor() {
    super();
    /** what was tried on each task, the newest first @type {Record<string, {template: string, right: number, count: number, interval: number[]}[]>} */
    this.tried = {};
    /** the task that was last looked at */
    this.loaded = "";
  }

  initial() { return { task: "opposites", shape: "zero", template: "", item: 0 }; }

  /** @param {AbortSignal} _signal */
  async load(_signal) {
    const { task, shape, template, item } = this.state;
    // on an exported site the next tokens of some questions are not there; the score is
    const next = askOnce(`demo/${this.chapter}/candidates`, { task, shape, template, item }).catch((error) => { if (live) throw error; return null; });
    const scored = await askOnce(`demo/${this.chapter}/template`, { task, shape, template });
    const others = (this.tried[task] ?? []).filter((each) => each.template !== scored.template);
    this.tried[task] = [{ template: scored.template, right: scored.right, count: scored.items.length, interval: scored.interval }, ...others].slice(0, REMEMBERED);
    if (this.loaded && this.loaded !== task) for (const other of SHAPES) this.ahead(task, other);
    this.loaded = task;
    return { ...scored, next: await next };
  }

  /** Ask for a ready template before somebody chooses it. @param {string} task @param {string} shape */
  ahead(task, shape) {
    askOnce(`demo/${this.chapter}/template`, { task, shape, template: "" }).catch(() => {});
    askOnce(`demo/${this.chapter}/candidates`, { task, shape, template: "", item: 0 }).catch(() => {});
  }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) { return super.t(key, key === "look" ? { question: "{question}" } : values); }

  controls() {
    const { task, shape, template, item } = this.state, count = this.data.items.length;
    const ready = this.data.task === task ? this.data.ready[shape] : "";
    return html`<div class="controls">${this.segments("task", TASKS.map((value) => ({ value, label: this.t(value) })), this.t("task"))}
        <div class="control"><span>${this.t("shape")}</span><div class="segments" role="group" aria-label=${this.t("shape")}>${SHAPES.map((value) => html`<button type="button" data-name=${`shape-${value}`} aria-pressed=${String(!template && shape === value)} @click=${() => this.set({ shape: value, template: "" })}>${this.t(value)}</button>`)}</div></div></div>
      <div class="controls"><label class="control grow own-text">${this.t("template")}<textarea class="template" rows="4" maxlength="600" spellcheck="false" lang="" data-key="template" .value=${template || ready}
        @input=${(/** @type {any} */ event) => this.set({ template: event.target.value === ready ? "" : event.target.value }, { wait: 600 })}></textarea></label>
        <label class="slider">${this.t("item")}<span class="value">${this.n(item + 1, 0)} / ${this.n(count, 0)}</span><input type="range" data-key="item" min="0" max=${count - 1} step="1" .value=${String(item)} aria-valuetext=${this.data.items[item][0]} @input=${(/** @type {any} */ event) => this.set({ item: Number(event.target.value) }, { wait: 150 })}></label></div>`;
  }

  whenWrong() { return this.controls(); }

  body() {
    const { right, items, interval, mean, next, model: name } = this.data, [low, high] = interval, count = items.length;
    const [question, answer, chance, is] = items[Math.min(this.state.item, count - 1)];
    return html`${this.controls()}
      <dl class="facts"><div><dd class="c-value" data-name="right">${right} / ${count}</dd><dt>${this.t("right")}</dt></div>
        <div><dd data-name="interval">${this.n(100 * low, 0)}–${this.percent(high, 0)}</dd><dt>${this.t("interval")}</dt></div>
        <div><dd class="c-logit" data-name="mean">${this.percent(mean)}</dd><dt>${this.t("mean")}</dt></div></dl>
      ${right === 0 && mean < 0.001 && name !== "smollm2" ? html`<p class="notice-line">${this.t("too_small", { model: name })} <code>glaswerk lab smollm2</code></p>` : nothing}
      ${this.marks()}
      <div class="two even"><div><p class="matrix-title">${this.t("prompt")}</p><pre class="whole-prompt" lang="" tabindex="0">${this.data.template.replaceAll("{question}", question).trimEnd()}</pre>
          <p class=${`verdict-line ${is ? "right" : "wrong"}`} data-name="verdict">${this.t(is ? "is_right" : "is_wrong", { question, answer, chance: this.percent(chance, chance < 0.1 ? 1 : 0) })}</p></div>
        <div><p class="matrix-title">${this.t("next")}</p>${next ? this.bars(next.top) : html`<p class="faint">${this.t("not-exported")}</p>`}</div></div>
      ${this.history()}`;
  }

  /** Every item as a mark: the probability of its right answer from left to right. */
  marks() {
    const { items } = this.data, width = 640, high = 70, x = (/** @type {number} */ chance) => 8 + chance * (width - 34);
    return html`<div class="scroll" tabindex="0" role="group" aria-label=${this.t("marks")}><svg class="plot replies" viewBox="0 0 ${width} ${high}" role="img" aria-label=${this.t("marks")}>
      <line class="grid" x1="8" x2=${width - 26} y1="28" y2="28"></line>
      ${[0, 0.25, 0.5, 0.75, 1].map((tick) => svg`<text x=${x(tick)} y=${high - 6} text-anchor=${tick === 1 ? "end" : tick ? "middle" : "start"}>${this.percent(tick, 0)}</text>`)}
      ${items.map((/** @type {any[]} */ [, , chance, is], /** @type {number} */ place) => {
        const at = x(chance), y = 28 + ((place * 7) % 5 - 2) * 7;
        return is ? svg`<circle class="mark right" cx=${at} cy=${y} r="4.5"></circle>` : svg`<path class="mark wrong" d="M${at - 4} ${y - 4}l8 8m0 -8l-8 8"></path>`;
      })}
      ${this.chosen(x)}</svg></div>
      <p class="faint">${this.t("axis")}. <span class="c-value">●</span>\u00a0${this.t("right_mark")}, <span class="c-loss">✕</span>\u00a0${this.t("wrong_mark")}.</p>`;
  }

  /** A ring around the item that is looked at. @param {(chance: number) => number} x */
  chosen(x) {
    const place = Math.min(this.state.item, this.data.items.length - 1);
    return svg`<circle class="chosen-ring" cx=${x(this.data.items[place][2])} cy=${28 + ((place * 7) % 5 - 2) * 7} r="9"></circle>`;
  }

  /** @param {[string, number, boolean][]} top */
  bars(top) {
    const most = top[0][1];
    return html`<div class="bars" role="list" aria-label=${this.t("next")}>${top.map(([token, share, fits]) => html`<span role="listitem" class="chip" lang="">${token}</span>
      <span class="bar"><span .style=${`width: ${(100 * share) / most}%`}></span></span>
      <span class="percent">${this.percent(share)} ${fits ? html`<span class="c-value" role="img" aria-label=${this.t("fits")}>✓</span>` : nothing}</span>`)}</div>`;
  }

  history() {
    const rows = this.tried[this.state.task] ?? [];
    if (rows.length < 2) return nothing;
    return html`<p class="matrix-title">${this.t("tried")}</p><div class="scored-lines">${rows.map((row) => html`<code lang="">${row.template.replace(/\n/g, "⏎")}</code>${track(row.interval, row.right / row.count)}<span class="num">${row.right} / ${row.count}</span>`)}</div>`;
  }

  provenance() {
    const name = this.data?.model ?? "";
    return name ? html`${this.t("model")} <b>${name}</b> · ${this.t("how")}` : nothing;
  }
}

/** A share with its interval on a line from 0 to 1. @param {number[]} interval @param {number} share */
export function track(interval, share) {
  return html`<span class="track" aria-hidden="true"><span class="span" .style=${`--from: ${100 * interval[0]}%; --to: ${100 * interval[1]}%`}></span><span class="dot" .style=${`--at: ${100 * share}%`}></span></span>`;
}
define("glaswerk-prompt-score", PromptScore);
