// <glaswerk-sample-tree>: samples of one prompt as a tree: they share a branch as long as they read alike. SVG.

import { Figure, define, html, nothing, svg } from "../figure.js";
import texts from "../texts/sample-tree.js";

const ROW = 26, COLUMN = 168, TOP = 18;
/** @typedef {{token: string, id: number, count: number, probability: number, children: Node[]}} Node */
/** @typedef {{node: Node, depth: number, y: number, from: Placed|null}} Placed */

class SampleTree extends Figure {
  static texts = texts;
  static reloads = ["prompt", "temperature", "seed"];

  initial() { return { prompt: "Once upon a time", temperature: 0.6, seed: 1 }; }

  /** @param {AbortSignal} signal */
  load(signal) {
    const { prompt, temperature, seed } = this.state;
    return this.demo("tree", { prompt, temperature, seed }, signal);
  }

  body() {
    const { root, samples, different, depth } = this.data;
    const { placed, height } = layout(root);
    const width = (depth + 1) * COLUMN + 20;
    const first = root.children[0];
    return html`<div class="controls">${this.promptField()}</div>
      <div class="controls">${this.segments("temperature", [0.3, 0.6, 1, 1.5].map((value) => ({ value, label: this.n(value, 1) })), this.t("temperature"))}
        <button type="button" class="button quiet" @click=${() => this.set({ seed: this.state.seed + 1 })}>${this.t("again_drawn")}</button></div>
      <div class="scroll" tabindex="0" role="group" aria-label=${this.t("tree")}><svg class="sample-tree" viewBox="0 0 ${width} ${height}" width=${width} height=${height} role="img" aria-label=${this.spoken(root)}>
        ${placed.map(({ node, depth: level, y, from }) => svg`${from ? svg`<path class="branch" stroke-width=${1 + (9 * node.count) / samples} d=${curve(from, level, y)}></path>` : nothing}`)}
        ${placed.map(({ node, depth: level, y, from }) => svg`<g class=${node.children.length > 1 ? "fork" : ""}><title>${this.t("node", { count: node.count, share: this.percent(node.probability, 2) })}</title>
          <rect x=${level * COLUMN} y=${y - 10} width=${this.width(from ? this.label(node) : "…")} height="20" rx="3"></rect>
          <text x=${level * COLUMN + 6} y=${y} dominant-baseline="central">${from ? this.label(node) : "…"}<tspan class="count" dx="5">${node.count > 1 && from ? `×${node.count}` : ""}</tspan></text></g>`)}
      </svg></div>
      <p>${this.t("different", { different: this.n(different, 0), samples: this.n(samples, 0), depth: this.n(depth, 0) })} ${first ? html`<span data-name="first">${this.t("first_before")} <span class="chip">${this.label(first)}</span>${this.t("first", { count: this.n(first.count, 0), samples: this.n(samples, 0), share: this.percent(first.probability) })}</span>` : nothing}</p>`;
  }

  /** @param {Node} node */
  label(node) { return node.id < 0 ? this.t("end") : node.token.length > 13 ? `${node.token.slice(0, 12)}…` : node.token; }
  /** @param {string} text */
  width(text) { return 12 + 7.8 * [...text].length; }

  /** @param {Node} root */
  spoken(root) { return root.children.map((node) => `${this.label(node)}: ${node.count}`).join(", "); }
}

/** Leaves one below the other, a parent in the middle of its children. @param {Node} root */
function layout(root) {
  /** @type {Placed[]} */
  const placed = [];
  let row = 0;
  /** @param {Node} node @param {number} depth @param {Placed|null} from @returns {Placed} */
  const put = (node, depth, from) => {
    const here = { node, depth, y: 0, from };
    placed.push(here);
    const below = node.children.map((child) => put(child, depth + 1, here));
    here.y = below.length ? (below[0].y + below[below.length - 1].y) / 2 : TOP + ROW * row++;
    return here;
  };
  put(root, 0, null);
  return { placed, height: TOP + ROW * row };
}

/** @param {Placed} from @param {number} level @param {number} y */
function curve(from, level, y) {
  const x = from.depth * COLUMN + 30, end = level * COLUMN, middle = end - 46;
  return `M${x},${from.y} H${middle} C${middle + 22},${from.y} ${middle + 20},${y} ${end},${y}`;
}
define("glaswerk-sample-tree", SampleTree);
