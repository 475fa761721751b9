// <glaswerk-neuron>: a real neuron of the open model: the weights it has, the vector it reads, their products, the bend.

import { Figure, define, html, nothing } from "../figure.js";
import { ask, at, trace, unpack, values } from "../data.js";
import texts from "../texts/neuron.js";

const SHOWN = 8;

class Neuron extends Figure {
  static texts = texts;
  static reloads = ["prompt", "layer", "place", "neuron"];

  initial() { return { prompt: "Paris ist die Hauptstadt von Frankreich", layer: 0, place: -1, neuron: -1 }; }

  async load() {
    const told = await trace(this.state.prompt);
    const layer = Math.min(this.state.layer, told.model.layers - 1), block = `blocks.${layer}.`;
    const place = this.state.place >= 0 && this.state.place < told.tokens.length ? this.state.place : told.tokens.length - 1;
    const gated = told.steps.some((step) => step.name === `${block}mlp.up`);
    const names = ["mlp_norm", "mlp.pre", "mlp.post", ...(gated ? ["mlp.up"] : [])].map((name) => block + name);
    const found = await values(this.state.prompt, names);
    const post = at(found[`${block}mlp.post`], 0, place);
    const loudest = Array.from(post.keys()).sort((a, b) => Math.abs(post[b]) - Math.abs(post[a])).slice(0, SHOWN);
    const neuron = this.state.neuron >= 0 && this.state.neuron < post.length ? this.state.neuron : loudest[0];
    const row = await ask("row", { step: `${block}mlp.pre`, place: neuron });
    const weights = Array.isArray(row.weights) ? row.weights : unpack(row.weights);
    return { ...told, layer, place, post, loudest, neuron, weights, bias: row.bias, gated, read: at(found[`${block}mlp_norm`], 0, place),
      pre: at(found[`${block}mlp.pre`], 0, place)[neuron], up: gated ? at(found[`${block}mlp.up`], 0, place)[neuron] : 1,
      along: told.tokens.map((/** @type {any} */ _, /** @type {number} */ each) => at(found[`${block}mlp.post`], 0, each)[neuron]),
      silent: Array.from(post).filter((value) => Math.abs(value) < 0.01 * Math.abs(post[loudest[0]])).length };
  }

  body() {
    const { tokens, model, place, neuron, loudest, post, weights, read, pre, up, bias, gated, along, silent } = this.data;
    const terms = Array.from(weights, (/** @type {number} */ weight, /** @type {number} */ number) => weight * read[number]);
    const sum = terms.reduce((/** @type {number} */ all, /** @type {number} */ value) => all + value, bias ?? 0);
    const most = Math.max(...terms.map(Math.abs), 1e-12), loud = Math.max(...along.map(Math.abs), 1e-12);
    const first = terms.map((/** @type {number} */ value, /** @type {number} */ number) => ({ value, number })).sort((/** @type {any} */ a, /** @type {any} */ b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 3);
    return html`<div class="controls">${this.promptField()}${this.numbers("layer", model.layers, this.t("layer"))}
        ${this.select("neuron", [...new Set([neuron, ...loudest])].map((value) => ({ value, label: `${value}  (${this.n(post[value])})` })), this.t("neuron"))}</div>
      <p class="faint">${this.t("along", { neuron })}</p>
      <ul class="look-strip neuron-strip" aria-label=${this.t("choose")}>${tokens.map((/** @type {any} */ token, /** @type {number} */ each) => html`<li><button type="button" class="chip ${each === place ? "on" : ""}" aria-pressed=${String(each === place)}
        .style=${`--share: ${Math.abs(along[each]) / loud}`} @click=${() => this.set({ place: each, neuron })}>${token.text}<small>${this.n(along[each])}</small></button></li>`)}</ul>
      <div class="reading"><p><b>${this.t("here", { neuron, count: model.mlp_width, token: tokens[place].text })}</b></p>
        <p class="faint">${this.t("terms", { count: terms.length })}</p>
        <div class="products dense" aria-hidden="true">${terms.map((/** @type {number} */ value) => html`<span class=${value < 0 ? "down" : "up"} .style=${`--size: ${Math.abs(value) / most}`}></span>`)}</div>
        <p class="faint">${this.t("first_terms")}</p><p class="sum">${first.map(({ value, number }) => html`<span class="c-mlp">${this.n(weights[number])}</span> · <span class="c-residual">${this.n(read[number])}</span> = ${this.n(value)}<br>`)}</p>
        <dl><dt>${this.t("sum")}</dt><dd data-name="sum">${this.n(sum, 3)}</dd><dt>${this.t("traced")}</dt><dd data-name="pre">${this.n(pre, 3)}</dd>
          <dt>${this.t(gated ? "silu" : "gelu")}</dt><dd>${this.n(gated ? pre / (1 + Math.exp(-pre)) : post[neuron], 3)}</dd>
          ${gated ? html`<dt>${this.t("up")}</dt><dd>${this.n(up, 3)}</dd>` : nothing}<dt>${this.t("post")}</dt><dd class="c-mlp" data-name="post">${this.n(post[neuron], 3)}</dd></dl>
        <p>${this.t("silent", { silent, count: model.mlp_width, token: tokens[place].text })}</p></div>`;
  }
}
define("glaswerk-neuron", Neuron);
