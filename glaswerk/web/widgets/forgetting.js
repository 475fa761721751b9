// <glaswerk-forgetting>: bits per byte on the corpus's held-out texts, stage by stage, as the run wrote them down.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/forgetting.js";

class Forgetting extends Figure {
  static texts = texts;

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("costs", {}, signal); }

  body() {
    const { stages, run, missing } = this.data;
    if (!stages.length) return html`<p class="notice-line" data-name="missing">${this.t("no_run")} <code>glaswerk run --align dpo</code></p>`;
    const most = Math.max(...stages.map((/** @type {any} */ stage) => stage.bits)), [first] = stages;
    return html`<div class="loss-bars">${stages.map((/** @type {any} */ stage) => html`<span>${stage.name}</span><span class="bar"><span .style=${`--size: ${stage.bits / most}`}></span></span><b class="c-loss" data-name=${stage.name}>${this.n(stage.bits, 3)}${stage === first ? nothing : html` <small>(${stage.bits < first.bits ? "−" : "+"}${this.percent(Math.abs(stage.bits / first.bits - 1), 1)})</small>`}</b>`)}</div>
      <p class="faint">${this.t("bits", { run })}</p>
      ${missing.length ? html`<p class="faint" data-name="missing">${this.t("missing", { stages: missing.join(", ") })}</p>` : nothing}`;
  }
}
define("glaswerk-forgetting", Forgetting);
