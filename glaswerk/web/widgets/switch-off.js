// <glaswerk-switch-off>: parts of the open model switched off, and the loss that it then really has on a held-out text;
// below, one part off in one layer after the other.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/switch-off.js";

const PARTS = ["attention", "mlp", "norm", "residual"];

class SwitchOff extends Figure {
  static texts = texts;
  static reloads = ["text", "off", "sweep"];

  initial() { return { text: "", off: ["mlp:0"], layer: 0, head: 0, sweep: "" }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const found = await this.demo("without", { text: this.state.text, off: this.state.off }, signal);
    const sweep = this.state.sweep ? await this.demo("sweep", { part: this.state.sweep }, signal) : null;
    return { ...found, sweep };
  }

  body() {
    const { layers, heads, whole, blind, tokens, each, sweep, source } = this.data;
    const broken = this.data.now === null, now = broken ? blind : this.data.now; // null: the numbers left what fp32 can hold
    const layer = Math.min(this.state.layer, layers - 1), head = Math.min(this.state.head, heads - 1);
    const where = layer < 0 ? "all" : `${layer}`, most = Math.max(whole, now, blind) * 1.05;
    const rises = each.now.map((/** @type {number|null} */ value, /** @type {number} */ place) => (value === null ? NaN : value - each.whole[place]));
    const change = Math.max(...rises.filter(Number.isFinite).map(Math.abs), 1e-9);
    const factor = Math.exp(Math.abs(now - whole));
    return html`<div class="controls">
        ${this.select("layer", [{ value: -1, label: this.t("all_layers") }, ...Array.from({ length: layers }, (_, value) => ({ value, label: `${value}` }))], this.t("layer"))}
        <div class="control"><span>${this.t("switch")}</span><div class="segments" role="group" aria-label=${this.t("switch")}>${PARTS.map((part) => this.onOff(`${part}:${where}`, this.t(part)))}</div></div>
        ${this.numbers("head", heads, this.t("head"))}<div class="segments">${this.onOff(`head:${where}.${head}`, this.t("one_head", { head }))}</div>
        <div class="control"><span>${this.t("everywhere")}</span><div class="segments" role="group" aria-label=${this.t("everywhere")}>${["position", "mask"].map((part) => this.onOff(part, this.t(part)))}</div></div></div>
      <p>${this.t("off")} ${this.state.off.length ? this.state.off.map((/** @type {string} */ part) => html`<button type="button" class="chip" @click=${() => this.flip(part)} aria-label=${this.t("back", { part: this.named(part) })}>${this.named(part)} ×</button> `) : this.t("nothing")}</p>
      <div class="loss-bars">${[["whole", whole], ["now", now], ["blind", blind]].map(([name, value]) => html`<span>${this.t(name)}</span><span class="bar"><span class=${name} .style=${`--size: ${value / most}`}></span></span><b class="c-loss" data-name=${name}>${broken && name === "now" ? this.t("broken") : this.n(value, 3)}</b>`)}</div>
      <p class="faint">${this.t(`source_${source}`, { count: tokens.length - 1 })} ${broken ? this.t("overflow") : this.t(now < whole ? "better" : "worse", { times: this.n(factor, factor < 100 ? 2 : 0) })}</p>
      <ul class="chips token-rises" aria-label=${this.t("each")}>${tokens.map((/** @type {string} */ token, /** @type {number} */ place) => {
        const rise = place ? rises[place - 1] : 0;
        return html`<li class="chip" .style=${`--share: ${Math.max(0, rise || 0) / change}`}>${token}<small>${place ? (rise > 0 ? "+" : "") + this.n(rise, 1) : " "}</small></li>`;
      })}</ul>
      <label class="control own-text">${this.t("text")}<textarea rows="2" maxlength="600" spellcheck="false" .value=${this.state.text}
        @input=${(/** @type {any} */ event) => this.set({ text: event.target.value }, { wait: 600 })}></textarea></label>
      <div class="controls">${this.segments("sweep", [{ value: "", label: this.t("sweep_none") }, { value: "mlp", label: this.t("mlp") }, { value: "attention", label: this.t("attention") }], this.t("sweep"))}</div>
      ${sweep ? this.layers(sweep) : nothing}`;
  }

  /** @param {any} sweep */
  layers(sweep) {
    const most = Math.max(...sweep.each, sweep.whole);
    const worst = sweep.each.indexOf(Math.max(...sweep.each));
    return html`<div class="columns by-layer" role="img" aria-label=${this.t("sweep_label", { part: this.t(sweep.part) })}>${sweep.each.map((/** @type {number} */ value, /** @type {number} */ layer) => html`<span .style=${`--size: ${value / most}`} title="${layer}: ${this.n(value, 3)}"></span>`)}</div>
      <p>${this.t("sweep_says", { part: this.t(sweep.part), worst, loss: this.n(sweep.each[worst], 2), whole: this.n(sweep.whole, 2), count: sweep.predicted })}</p>`;
  }

  /** @param {string} part @param {string} label */
  onOff(part, label) { return html`<button type="button" data-part=${part} aria-pressed=${String(this.state.off.includes(part))} @click=${() => this.flip(part)}>${label}</button>`; }

  /** @param {string} part */
  flip(part) {
    const { off } = this.state;
    this.set({ off: off.includes(part) ? off.filter((/** @type {string} */ each) => each !== part) : [...off, part] });
  }

  /** `head:3.2` in words. @param {string} part */
  named(part) {
    const [name, where = ""] = part.split(":"), [layer, head] = where.split(".");
    const which = name === "head" ? this.t("one_head", { head }) : this.t(name);
    return where ? `${which}, ${layer === "all" ? this.t("all_layers") : `${this.t("layer")} ${layer}`}` : which;
  }

  whenWrong() { return html`<p>${this.state.off.map((/** @type {string} */ part) => html`<button type="button" class="chip" @click=${() => this.flip(part)}>${part} ×</button> `)}</p>`; }
}
define("glaswerk-switch-off", SwitchOff);
