// <glaswerk-model-parts>: the open model as a diagram of its real parts, beside its twin in the other style. A click on a
// part shows shapes, parameters, FLOPs and the code that runs.

import { Figure, define, html, nothing } from "../figure.js";
import texts from "../texts/model-parts.js";

/** the concept, and so the colour, of each part @type {Record<string, string>} */
const HUES = { embedding: "token", position: "position", attention_norm: "residual", mlp_norm: "residual", norm: "residual", qkv: "query", qk_norm: "query",
  scores: "weight", output: "weight", add_attention: "residual", up: "mlp", activation: "mlp", down: "mlp", add_mlp: "residual", head: "logit" };

class ModelParts extends Figure {
  static texts = texts;
  static reloads = /** @type {string[]} */ ([]);

  initial() { return { side: "open", part: "scores", length: 512 }; }
  load() { return this.demo("parts"); }

  body() {
    const chosen = this.chosen;
    return html`<div class="controls"><label class="slider">${this.t("length")}<span class="value">${this.n(this.state.length, 0)}</span>
        <input type="range" data-key="length" min="0" max="13" step="1" .value=${String(Math.log2(this.state.length))} aria-valuetext=${String(this.state.length)}
          @input=${(/** @type {any} */ event) => this.set({ length: 2 ** Number(event.target.value) })}></label></div>
      <div class="model-parts">${["open", "twin"].map((side) => this.side(side))}
        <div class="reading part-shown" aria-live="polite">${this.details(chosen.part, chosen.side)}</div></div>`;
  }

  get chosen() {
    const side = this.state.side === "twin" ? "twin" : "open";
    const { parts } = this.data[side];
    return { side: this.data[side], part: parts.find((/** @type {any} */ each) => each.id === this.state.part) ?? parts[0] };
  }

  /** @param {string} side */
  side(side) {
    const { parts, total, style, layers } = this.data[side];
    const other = new Map(this.data[side === "open" ? "twin" : "open"].parts.map((/** @type {any} */ each) => [each.id, each.kind]));
    const button = (/** @type {any} */ part) => html`<button type="button" class="model-part ${part.id.startsWith("add_") ? "plus" : ""} ${part.where === "block" && !part.id.startsWith("add_") ? "branch" : ""}"
      .style=${`--hue: var(--${HUES[part.id]})`} aria-pressed=${String(this.state.side === side && this.state.part === part.id)}
      @click=${() => this.set({ side, part: part.id })}><b>${this.t(`name_${part.id}`)}</b>${part.id.startsWith("add_") ? nothing : html` <span>${this.t(`kind_${part.kind}`)}</span>`}${other.get(part.id) === part.kind ? nothing : html`<i title=${this.t("differs")}>≠</i>`}</button>`;
    const where = (/** @type {string} */ place) => parts.filter((/** @type {any} */ each) => each.where === place).map(button);
    return html`<div class="part-column"><p><b>${side === "open" ? this.data.model : this.t("twin")}</b><br><span class="faint">${this.t(style)} · ${this.t("sum", { total: this.n(total, 0) })}</span></p>
      ${where("before")}<div class="part-layer"><p class="faint">${this.t("times", { layers })}</p>${where("block")}</div>${where("after")}</div>`;
  }

  /** @param {any} part @param {any} side */
  details(part, side) {
    const times = part.where === "block" ? side.layers : 1;
    const flops = part.flops + part.per_key * this.state.length;
    const all = side.parts.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + (each.where === "block" ? side.layers : 1) * (each.flops + each.per_key * this.state.length), 0);
    const code = this.data.code[part.code];
    const shape = (/** @type {number[]} */ sizes) => (sizes.length ? sizes.map((size) => this.n(size, 0)).join(" × ") : this.t("id"));
    return html`<p><b class="c-${HUES[part.id]}">${this.t(`name_${part.id}`)}: ${this.t(`kind_${part.kind}`)}</b></p>
      <p>${this.t(`says_${part.id}_${part.kind}`) === `says_${part.id}_${part.kind}` ? this.t(`says_${part.kind}`) : this.t(`says_${part.id}_${part.kind}`)}</p>
      <dl><dt>${this.t("shape")}</dt><dd>${shape(part.before)} → ${shape(part.after)}</dd>
        ${part.weights.map((/** @type {any} */ each) => html`<dt><code>${each.name}</code></dt><dd>${shape(each.shape)}</dd>`)}
        <dt>${this.t("parameters")}</dt><dd data-name="parameters">${this.n(part.parameters, 0)}${times > 1 && part.parameters ? html` × ${times} = ${this.n(times * part.parameters, 0)}` : nothing}</dd>
        <dt>${this.t("share")}</dt><dd>${this.percent((times * part.parameters) / side.total)}</dd>
        <dt>${this.t("flops")}</dt><dd data-name="flops">${this.n(flops, 0)}${times > 1 && flops ? html` × ${times} = ${this.n(times * flops, 0)}` : nothing}</dd>
        <dt>${this.t("flops_share")}</dt><dd>${this.percent((times * flops) / all)}</dd></dl>
      <details><summary>${this.t("code", { place: `${code.file}:${code.line}` })}</summary><div class="code"><pre tabindex="0"><code>${code.text}</code></pre></div></details>`;
  }
}
define("glaswerk-model-parts", ModelParts);
