// The stations of a prompt's way, in order. A station says what it needs from the trace and draws itself; `life` is the
// figure (what is chosen, the trace, words). Left out: the beginning and the end of the way (`ends.js`), the frame.

import { html, nothing, svg } from "lit";
import "./matrix.js";
import { dot, neuron, norm, rowProduct, share, sum, turn } from "./made.js";
import { pick, plane, traced } from "./numbers.js";

/** @typedef {import("../data.js").Tensor} Tensor */
/** @typedef {import("../widgets/life.js").Life} Life */
/** @typedef {{id: string, part: "before"|"attention"|"mlp"|"after", colour: string,
 *   logits?: boolean, there?: (life: Life) => boolean, steps: (life: Life) => string[], body: (life: Life, t: Record<string, Tensor>) => any}} Station */

/** @param {Life} life */
const block = (life) => `blocks.${life.layer}.`;
/** @param {Life} life */
export const group = (life) => Math.floor((life.head * life.config.kv_heads) / life.config.heads);
/** The residual stream as it enters this block. @param {Life} life */
export const entering = (life) => (life.layer ? `blocks.${life.layer - 1}.residual` : life.has("residual") ? "residual" : "embeddings");
/** The last form that queries and keys take: what is multiplied. @param {Life} life @param {"q"|"k"} letter */
export const final = (life, letter) =>
  [`attention.${letter}_rotated`, `attention.${letter}_normed`, `attention.${letter}`].map((name) => block(life) + name).find((name) => life.has(name)) ?? "";

/** A matrix with one row per token, and below it what the chosen number is made of.
 * @param {Life} life @param {string} key names the matrix on the page @param {Tensor} of
 * @param {{before: number[], colour?: string, kind?: "signed"|"weight", hue?: string, most?: number, future?: string,
 *   names?: string[], title?: any, made?: (row: number, column: number, result: any) => any, start?: number}} how */
export function matrix(life, key, of, how) {
  const rows = of.shape[how.before.length], columns = of.shape[how.before.length + 1];
  const { row, column } = life.cell(key, columns, how.start ?? 0);
  const at = how.future ? Math.min(column, row) : column;
  const result = traced(of, [...how.before, row, at], how.colour);
  return html`<div class="matrix-block">
    ${how.title ? html`<p class="matrix-title ${how.colour ?? ""}">${how.title} <span class="faint">${life.n(rows, 0)} × ${life.n(columns, 0)}</span></p>` : nothing}
    <glaswerk-matrix .values=${plane(of, ...how.before)} .rows=${rows} .columns=${columns} .labels=${life.labels} .columnLabels=${how.names ?? null}
      .step=${of.name} .leading=${how.before.join(",")} .kind=${how.kind ?? "signed"} .hue=${how.hue ?? "--weight"} .most=${how.most ?? 0}
      .row=${row} .column=${at} .future=${how.future ?? ""} .name=${life.t("matrix_name", { step: of.name })}
      @cell=${(/** @type {CustomEvent} */ event) => life.point(key, event.detail)}></glaswerk-matrix>
    ${how.made ? html`<div class="made-of"><p class="made-title">${life.t(how.names ? "made_looks" : "made_title", { column: how.names ? how.names[at] : at, token: life.labels[row] })} ${result}</p>${how.made(row, at, result)}</div>` : nothing}
  </div>`;
}

/** Several matrices, one shown at a time. @param {Life} life @param {string} key @param {{value: string, label: any, colour: string}[]} choices
 * @param {(value: string) => any} draw */
function tabs(life, key, choices, draw) {
  const chosen = choices.find(({ value }) => value === life.tab(key))?.value ?? choices[0].value;
  return html`<div class="tabs segments" role="group">${choices.map(({ value, label, colour }) => html`<button type="button" class=${colour} aria-pressed=${String(value === chosen)}
    @click=${() => life.setTab(key, value)}>${label}</button>`)}</div>${draw(chosen)}`;
}

/** The parts that every block repeats. @type {Station[]} */
export const attention = [
  {
    id: "attention-norm", part: "attention", colour: "c-residual",
    steps: (life) => [entering(life), `${block(life)}attention_norm`],
    body: (life, t) => {
      const name = `${block(life)}attention_norm`;
      return matrix(life, "an", t[name], { before: [0], colour: "c-residual", made: (row, column, result) => norm(life, t[entering(life)], [0, row], name, column, result) });
    },
  },
  {
    id: "qkv", part: "attention", colour: "c-query",
    steps: (life) => ["attention_norm", "attention.q", "attention.k", "attention.v"].map((name) => block(life) + name),
    body: (life, t) => tabs(life, "qkv", [
      { value: "q", label: "Query", colour: "c-query" }, { value: "k", label: "Key", colour: "c-key" }, { value: "v", label: "Value", colour: "c-value" },
    ], (letter) => {
      const name = `${block(life)}attention.${letter}`;
      const head = letter === "q" ? life.head : group(life);
      const colour = { q: "c-query", k: "c-key", v: "c-value" }[letter] ?? "";
      return matrix(life, letter, t[name], {
        before: [0, head], colour,
        made: (row, column, result) => rowProduct(life, t[`${block(life)}attention_norm`], [0, row], name, head * life.config.head_width + column, result, colour),
      });
    }),
  },
  {
    id: "turn", part: "attention", colour: "c-position",
    there: (life) => life.has("position.cosine"),
    steps: (life) => ["position.cosine", "position.sine", ...["q", "k"].flatMap((letter) => [`attention.${letter}`, `attention.${letter}_normed`, `attention.${letter}_rotated`]
      .map((name) => block(life) + name).filter((name) => life.has(name)))],
    body: (life, t) => tabs(life, "turn", [{ value: "q", label: "Query", colour: "c-query" }, { value: "k", label: "Key", colour: "c-key" }], (letter) => {
      const after = `${block(life)}attention.${letter}_rotated`;
      const normed = `${block(life)}attention.${letter}_normed`;
      const before = t[normed] ?? t[`${block(life)}attention.${letter}`];
      const head = letter === "q" ? life.head : group(life);
      const colour = letter === "q" ? "c-query" : "c-key";
      return html`${dials(life, t)}${t[normed] ? html`<p class="faint">${life.t("qk_norm")}</p>` : nothing}${matrix(life, `${letter}r`, t[after], {
        before: [0, head], colour,
        made: (row, column, result) => turn(life, before, t["position.cosine"], t["position.sine"], head, row, column, colour, result),
      })}`;
    }),
  },
  {
    id: "scores", part: "attention", colour: "c-query",
    steps: (life) => [final(life, "q"), final(life, "k"), `${block(life)}attention.scores`],
    body: (life, t) => {
      const q = t[final(life, "q")], k = t[final(life, "k")];
      const D = life.config.head_width;
      return matrix(life, "s", t[`${block(life)}attention.scores`], {
        before: [0, life.head], names: life.labels, start: life.place,
        made: (row, column, result) => html`<p class="faint">${life.t("score_of", { from: life.labels[row], to: life.labels[column] })}</p>${dot(life, {
          count: D, left: (i) => pick(q, 0, life.head, row, i), right: (i) => pick(k, 0, group(life), column, i), divide: Math.sqrt(D), result,
          show: (i) => ({ left: traced(q, [0, life.head, row, i], "c-query"), right: traced(k, [0, group(life), column, i], "c-key") }),
        })}`,
      });
    },
  },
  {
    id: "mask", part: "attention", colour: "c-weight",
    steps: (life) => [`${block(life)}attention.scores`],
    body: (life, t) => (life.labels.length === 1 ? html`<p>${life.t("one_token")}</p>`
      : matrix(life, "m", t[`${block(life)}attention.scores`], { before: [0, life.head], names: life.labels, start: life.place, future: "minus" })),
  },
  {
    id: "weights", part: "attention", colour: "c-weight",
    steps: (life) => [`${block(life)}attention.scores`, `${block(life)}attention.weights`],
    body: (life, t) => {
      const weights = t[`${block(life)}attention.weights`];
      return html`${gallery(life, weights)}${matrix(life, "w", weights, {
        before: [0, life.head], names: life.labels, kind: "weight", most: 1, start: 0, colour: "c-weight", future: "gone",
        made: (row, column) => share(life, t[`${block(life)}attention.scores`], weights, life.head, row, column),
      })}`;
    },
  },
  {
    id: "mix", part: "attention", colour: "c-value",
    steps: (life) => ["attention.weights", "attention.v", "attention.heads"].map((name) => block(life) + name),
    body: (life, t) => {
      const weights = t[`${block(life)}attention.weights`], v = t[`${block(life)}attention.v`];
      return matrix(life, "mix", t[`${block(life)}attention.heads`], {
        before: [0, life.head], colour: "c-value",
        made: (row, column, result) => dot(life, {
          count: row + 1, left: (s) => pick(weights, 0, life.head, row, s), right: (s) => pick(v, 0, group(life), s, column), result, all: true,
          show: (s) => ({ label: html`<bdi>${life.labels[s]}</bdi>`, left: traced(weights, [0, life.head, row, s], "c-weight"), right: traced(v, [0, group(life), s, column], "c-value") }),
        }),
      });
    },
  },
  {
    id: "join", part: "attention", colour: "c-value",
    steps: (life) => ["attention.heads", "attention.output"].map((name) => block(life) + name),
    body: (life, t) => {
      const heads = t[`${block(life)}attention.heads`], name = `${block(life)}attention.output`;
      return matrix(life, "o", t[name], { before: [0], colour: "c-value", made: (row, column, result) => joined(life, heads, name, row, column, result) });
    },
  },
  {
    id: "residual-mid", part: "attention", colour: "c-residual",
    steps: (life) => [entering(life), `${block(life)}attention.output`, `${block(life)}residual_mid`],
    body: (life, t) => matrix(life, "rm", t[`${block(life)}residual_mid`], {
      before: [0], colour: "c-residual",
      made: (row, column, result) => sum(life, [
        { tensor: t[entering(life)], index: [0, row, column], colour: "c-residual", words: life.t("was") },
        { tensor: t[`${block(life)}attention.output`], index: [0, row, column], colour: "c-value", words: life.t("attention_adds") },
      ], result),
    }),
  },
];

/** @type {Station[]} */
export const mlp = [
  {
    id: "mlp-norm", part: "mlp", colour: "c-residual",
    steps: (life) => [`${block(life)}residual_mid`, `${block(life)}mlp_norm`],
    body: (life, t) => {
      const name = `${block(life)}mlp_norm`;
      return matrix(life, "mn", t[name], { before: [0], colour: "c-residual", made: (row, column, result) => norm(life, t[`${block(life)}residual_mid`], [0, row], name, column, result) });
    },
  },
  {
    id: "neurons", part: "mlp", colour: "c-mlp",
    steps: (life) => ["mlp_norm", "mlp.pre", "mlp.up", "mlp.post"].map((name) => block(life) + name).filter((name) => life.has(name)),
    body: (life, t) => {
      const pre = t[`${block(life)}mlp.pre`], up = t[`${block(life)}mlp.up`] ?? null, post = t[`${block(life)}mlp.post`];
      const choices = [{ value: "pre", label: life.t("neuron_in"), colour: "c-mlp" }, ...(up ? [{ value: "up", label: life.t("neuron_second"), colour: "c-mlp" }] : []), { value: "post", label: life.t("neuron_out"), colour: "c-mlp" }];
      const strongest = strongestOf(post, life.place);
      return html`<p class="strongest">${life.t("strongest", { token: life.labels[life.place] })} ${strongest.map((neuron_) => html`<button type="button" class="link" @click=${() => life.choose("neurons", neuron_)}>${life.n(neuron_, 0)}</button> ${traced(post, [0, life.place, neuron_], "c-mlp")} `)}</p>
        ${tabs(life, "neurons", choices, (which) => {
          const of = which === "pre" ? pre : which === "up" && up ? up : post;
          return matrix(life, "neurons", of, {
            before: [0], colour: "c-mlp", start: strongest[0],
            made: (row, column, result) => (of === post ? neuron(life, pre, up, row, column, result)
              : rowProduct(life, t[`${block(life)}mlp_norm`], [0, row], of.name, column, result, "c-mlp")),
          });
        })}`;
    },
  },
  {
    id: "mlp-output", part: "mlp", colour: "c-mlp",
    steps: (life) => ["mlp.post", "mlp.output"].map((name) => block(life) + name),
    body: (life, t) => {
      const name = `${block(life)}mlp.output`;
      return matrix(life, "mo", t[name], { before: [0], colour: "c-mlp", made: (row, column, result) => rowProduct(life, t[`${block(life)}mlp.post`], [0, row], name, column, result, "c-mlp") });
    },
  },
  {
    id: "residual", part: "mlp", colour: "c-residual",
    steps: (life) => ["residual_mid", "mlp.output", "residual"].map((name) => block(life) + name),
    body: (life, t) => matrix(life, "r", t[`${block(life)}residual`], {
      before: [0], colour: "c-residual",
      made: (row, column, result) => sum(life, [
        { tensor: t[`${block(life)}residual_mid`], index: [0, row, column], colour: "c-residual", words: life.t("was") },
        { tensor: t[`${block(life)}mlp.output`], index: [0, row, column], colour: "c-mlp", words: life.t("mlp_adds") },
      ], result),
    }),
  },
];

/** The neurons that hand on most at a place. @param {Tensor} post @param {number} place */
function strongestOf(post, place) {
  const row = plane(post, 0, place);
  return Array.from(row.keys()).sort((a, b) => Math.abs(row[b]) - Math.abs(row[a])).slice(0, 5);
}

/** The output matrix over all heads, summed up head by head. @param {Life} life @param {Tensor} heads @param {string} step
 * @param {number} row @param {number} column @param {any} result */
function joined(life, heads, step, row, column, result) {
  const found = life.row(step, column);
  if (!found) return life.waiting();
  if (found.error) return html`<p class="faint">${found.error}</p>`;
  const weights = (found.unpacked ??= life.unpack(found.weights));
  const D = life.config.head_width;
  const parts = Array.from({ length: life.config.heads }, (_, h) => {
    let part = 0;
    for (let d = 0; d < D; d++) part += pick(heads, 0, h, row, d) * weights[h * D + d];
    return part;
  });
  const most = Math.max(...parts.map(Math.abs), 1e-30);
  return html`<p class="faint">${life.t("by_head", { row: life.n(found.row, 0), matrix: found.matrix })}</p>
    <ul class="by-head">${parts.map((part, h) => html`<li><button type="button" class="link" aria-pressed=${String(h === life.head)} @click=${() => life.set({ head: h })}>${life.t("head")} ${h}</button>
      <span class="signed-bar"><span class=${part < 0 ? "down" : "up"} .style=${`--size: ${Math.abs(part) / most}`}></span></span>
      <span class="n" data-step=${step.replace("output", "head_outputs")} data-index="0,${h},${row},${column}">${life.short(part)}</span></li>`)}
      ${found.bias ? html`<li><span>${life.t("bias")}</span><span></span><span class="n">${life.short(found.bias)}</span></li>` : nothing}
      <li class="result"><span>${life.t("together")}</span><span></span>${result}</li></ul>`;
}

/** All heads of the layer, small; a click chooses one. @param {Life} life @param {Tensor} weights */
function gallery(life, weights) {
  const size = life.labels.length;
  return html`<div class="gallery" role="group" aria-label=${life.t("heads_of", { layer: life.layer })}>${Array.from({ length: life.config.heads }, (_, h) => html`<button type="button"
    aria-pressed=${String(h === life.head)} aria-label="${life.t("head")} ${h}" @click=${() => life.set({ head: h })}><canvas data-head=${h} width=${size} height=${size}></canvas><span>${h}</span></button>`)}</div>`;
}

/** Clock hands: by what angles the pairs at the followed place are turned. @param {Life} life @param {Record<string, Tensor>} t */
function dials(life, t) {
  const half = life.config.head_width / 2;
  const pairs = [...new Set([0, 1, 2, 4, 8, 12, 16, 24, half - 1].filter((pair) => pair < half))];
  return html`<div class="dials">${pairs.map((pair) => {
    const cos = pick(t["position.cosine"], life.place, pair), sin = pick(t["position.sine"], life.place, pair + half);
    return html`<figure><svg viewBox="-14 -14 28 28" width="44" height="44" aria-hidden="true">${svg`<circle r="12.5"></circle><line x1="0" y1="0" x2="12" y2="0" class="zero"></line><line x1="0" y1="0" x2=${12 * cos} y2=${-12 * sin} class="hand"></line>`}</svg>
      <figcaption>${life.t("pair_short", { pair })}</figcaption></figure>`;
  })}</div>`;
}
