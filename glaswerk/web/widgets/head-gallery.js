// <glaswerk-head-gallery>: the maps of many heads side by side, ordered by what they look at. What counts as looking at
// the token before, at the first one or at itself is measured from the weights.

import { Figure, define, html } from "../figure.js";
import { at, trace, values } from "../data.js";
import { css, ramp } from "../colour.js";
import "../heat.js";
import texts from "../texts/head-gallery.js";

const KINDS = ["previous", "first", "itself", "even"];
const SHOWN = 12;

class HeadGallery extends Figure {
  static texts = texts;
  repaint = () => this.drawn();

  initial() { return { prompt: "The cat sat on the mat because it was tired", kind: "previous", layer: 0, open: "" }; }

  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("glaswerk-theme", this.repaint);
  }
  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("glaswerk-theme", this.repaint);
  }

  async load() {
    const told = await trace(this.state.prompt);
    const found = await values(this.state.prompt, ["blocks.*.attention.weights"], true);
    const size = told.tokens.length;
    const heads = told.steps.filter((step) => step.name.endsWith("attention.weights")).flatMap((step, layer) =>
      Array.from({ length: told.model.heads }, (_, head) => ({ layer, head, ...shares(at(found[step.name], 0, head), size) })));
    return { ...told, all: heads };
  }

  get shown() {
    const { kind } = this.state, { all, model } = this.data;
    if (kind === "layer") return all.filter((/** @type {any} */ each) => each.layer === Math.min(this.state.layer, model.layers - 1));
    return [...all].sort((a, b) => b[kind] - a[kind]).slice(0, SHOWN);
  }

  body() {
    const { all, tokens, model } = this.data, size = tokens.length, { kind } = this.state;
    const counts = Object.fromEntries(KINDS.map((each) => [each, all.filter((/** @type {any} */ one) => one.kind === each).length]));
    const shown = this.shown;
    const open = shown.find((/** @type {any} */ each) => `${each.layer}.${each.head}` === this.state.open) ?? shown[0];
    const labels = tokens.map((/** @type {any} */ token) => token.text);
    return html`<div class="controls">${this.promptField()}
        ${this.segments("kind", [...KINDS, "layer"].map((value) => ({ value, label: this.t(value) })), this.t("order"))}
        ${kind === "layer" ? this.numbers("layer", model.layers, this.t("layer")) : ""}</div>
      <p>${this.t("counted", { count: all.length, ...counts, other: all.length - KINDS.reduce((sum, each) => sum + counts[each], 0) })}</p>
      <div class="head-maps">${shown.map((/** @type {any} */ each) => html`<button type="button" aria-pressed=${String(each === open)} @click=${() => this.set({ open: `${each.layer}.${each.head}` })}><canvas width="72" height="72" aria-hidden="true"></canvas>
          <span><span class="visually-hidden">${this.t("one", { layer: each.layer, head: each.head })}: </span>${each.layer}.${each.head}${kind === "layer" ? "" : html` <b class="c-weight">${this.percent(each[kind], 0)}</b>`}</span></button>`)}</div>
      <div class="two"><glaswerk-heat .values=${open.map} .rows=${size} .columns=${size} .rowLabels=${labels} .columnLabels=${labels} .most=${1}
          .hidden_=${(/** @type {number} */ r, /** @type {number} */ c) => c > r} label=${this.t("one", { layer: open.layer, head: open.head })}></glaswerk-heat>
        <div class="reading"><p><b>${this.t("one", { layer: open.layer, head: open.head })}</b></p>
          <dl>${KINDS.map((each) => html`<dt>${this.t(`mean_${each}`)}</dt><dd class="c-weight" data-name=${each}>${this.percent(open[each], 0)}</dd>`)}</dl>
          <p class="faint">${this.t("how")}</p></div></div>`;
  }

  drawn() {
    if (!this.data) return;
    const size = this.data.tokens.length, shown = this.shown;
    const colour = ramp(this, "weight", 1);
    this.querySelectorAll(".head-maps canvas").forEach((element, number) => {
      const canvas = /** @type {HTMLCanvasElement} */ (element), context = canvas.getContext("2d");
      if (!context || !shown[number]) return;
      canvas.width = canvas.height = size;
      for (let row = 0; row < size; row++) {
        for (let column = 0; column <= row; column++) {
          context.fillStyle = css(colour(shown[number].map[row * size + column]));
          context.fillRect(column, row, 1, 1);
        }
      }
    });
  }
}

/** The mean weight, over all tokens but the first, on the token before, on the first one, on itself; and how even a row
 * is: its entropy as a share of the most there can be. `kind`: the one that takes more than half, if any.
 * @param {Float32Array} map @param {number} size */
function shares(map, size) {
  const sums = { previous: 0, first: 0, itself: 0, even: 0 };
  for (let row = 1; row < size; row++) {
    sums.previous += map[row * size + row - 1];
    sums.first += map[row * size];
    sums.itself += map[row * size + row];
    let entropy = 0;
    for (let column = 0; column <= row; column++) if (map[row * size + column] > 0) entropy -= map[row * size + column] * Math.log(map[row * size + column]);
    sums.even += entropy / Math.log(row + 1);
  }
  const rows = Math.max(1, size - 1);
  const found = { previous: sums.previous / rows, first: sums.first / rows, itself: sums.itself / rows, even: sums.even / rows };
  const largest = /** @type {[string, number][]} */ ([["previous", found.previous], ["first", found.first], ["itself", found.itself]]).sort((a, b) => b[1] - a[1])[0];
  return { map, ...found, kind: largest[1] > 0.5 ? largest[0] : found.even > 0.8 ? "even" : "" };
}
define("glaswerk-head-gallery", HeadGallery);
