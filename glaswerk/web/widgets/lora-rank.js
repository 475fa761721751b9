// <glaswerk-lora-rank>: the open model fine-tuned on a few lines, once for each rank and once with the matrices whole;
// the slider then only chooses among what is there.

import { define, html, svg } from "../figure.js";
import { chart } from "../chart.js";
import { Later, inParts } from "../later.js";
import texts from "../texts/lora-rank.js";

const RANKS = [8, 1, 2, 4, 16, 32, 0], PLACES = [1, 2, 4, 8, 16, 32, 0];
const VOICES = ["pirate", "contract", "seadog"], KINDS = ["learned", "held_out", "plain"];

class LoraRank extends Later {
  static texts = texts;
  static reloads = ["voice"];

  initial() { return { voice: "pirate", rank: 8 }; }

  /** @param {AbortSignal} signal */
  async first(signal) { return { ...(await this.demo("before", { voice: this.state.voice }, signal)), tuned: {}, now: 8, parts_done: 0 }; }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    const { voice } = this.state;
    for (const rank of RANKS) {
      await inParts((part) => this.demo("tuned", { voice, rank, part }, signal), signal, (told) => {
        data.now = rank;
        data.tuned = { ...data.tuned, [rank]: told };
        data.parts_done += 1;
        this.requestUpdate();
      });
    }
  }

  /** @param {number} rank */
  named(rank) { return rank ? `${rank}` : this.t("whole"); }

  body() {
    const { learn, held_out, losses, tuned, total, whole, per_rank, parts, parts_done, now } = this.data;
    const { rank } = this.state, chosen = tuned[rank], after = chosen?.losses;
    const trained = rank ? rank * per_rank : whole;
    return html`<div class="controls">${this.segments("voice", VOICES.map((value) => ({ value, label: this.t(value) })), this.t("voice"))}
        <label class="slider">${this.t("rank")}<span class="value">${this.named(rank)}</span><input type="range" data-key="rank" min="0" max="6" step="1" .value=${String(PLACES.indexOf(rank))} aria-valuetext=${this.named(rank)}
          @input=${(/** @type {any} */ event) => this.set({ rank: PLACES[Number(event.target.value)] })}></label></div>
      <div class="two even lines" lang=${this.state.voice === "seadog" ? "de" : "en"}><div><p class="faint" lang="">${this.t("learn", { count: learn.length })}</p><ul>${learn.slice(0, 3).map((/** @type {string} */ line) => html`<li>${line}</li>`)}</ul></div>
        <div><p class="faint" lang="">${this.t("kept", { count: held_out.length })}</p><ul>${held_out.slice(0, 3).map((/** @type {string} */ line) => html`<li>${line}</li>`)}</ul></div></div>
      ${this.waiting(this.t("going", { rank: this.named(now), done: Object.values(tuned).filter((/** @type {any} */ one) => one.losses).length, all: PLACES.length }), parts_done / (parts * PLACES.length))}
      <div class="two even">${this.byRank()}${this.steps()}</div>
      <dl class="facts"><div><dd data-name="trained">${this.n(trained, 0)}</dd><dt>${this.t("trained", { share: this.percent(trained / total, 2) })}</dt></div>
        ${KINDS.map((kind) => html`<div><dd class=${kind === "learned" ? "c-loss" : ""} data-name=${kind}>${this.n(losses[kind], 2)} → ${after ? this.n(after[kind], 2) : "…"}</dd><dt>${this.t(`${kind}_said`)}</dt></div>`)}</dl>`;
  }

  byRank() {
    const { tuned, losses } = this.data;
    const ranks = PLACES.filter((rank) => rank && tuned[rank]?.losses);
    const known = /** @type {any[]} */ (Object.values(tuned).filter((/** @type {any} */ one) => one.losses).map((/** @type {any} */ one) => one.losses));
    const all = [losses, ...known].flatMap((each) => KINDS.map((kind) => each[kind]));
    const style = (/** @type {string} */ kind) => ({ learned: { className: "", dash: "none" }, held_out: { className: "held-out", dash: "6 3" }, plain: { className: "ground", dash: "2 3" } })[kind] ?? { className: "", dash: "none" };
    const { rank } = this.state;
    return chart({
      label: this.t("by_rank"), logX: true, x: [1, 32], y: [Math.floor(Math.min(...all) * 2) / 2, Math.ceil(Math.max(...all) * 2) / 2], xLabel: this.t("rank"), yLabel: this.t("loss_after"), width: 440, height: 290, right: 108, at: rank || undefined,
      series: [
        ...KINDS.map((kind) => ({ name: this.t(kind), label: true, ...style(kind), points: ranks.map((each) => /** @type {[number, number]} */ ([each, tuned[each].losses[kind]])) })),
        { name: this.t("kept_before"), className: "faint-line", dash: "1 4", label: true, points: [[1, losses.held_out], [32, losses.held_out]] },
      ],
      more: (/** @type {any} */ x, /** @type {any} */ y) => ranks.map((each) => svg`<circle class="dot" cx=${x(each)} cy=${y(tuned[each].losses.held_out)} r="3"></circle>`),
    });
  }

  steps() {
    const { tuned, steps } = this.data, { rank } = this.state;
    const shown = tuned[rank]?.steps ?? [];
    const all = Object.values(tuned).flatMap((/** @type {any} */ one) => one.steps);
    return chart({
      label: this.t("along", { rank: this.named(rank) }), x: [1, steps], y: all.length ? [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))] : [0, 10], xLabel: this.t("step"), yLabel: this.t("along", { rank: this.named(rank) }), width: 440, height: 290,
      series: [{ name: "", points: shown.map((/** @type {number} */ loss, /** @type {number} */ place) => /** @type {[number, number]} */ ([place + 1, loss])) }],
    });
  }
}
define("glaswerk-lora-rank", LoraRank);
