// The whole model as panes of glass, seen from the side: every layer a pane, every token a ray of light that passes
// through all of them, as strong as its residual stream is long. In the open layer the followed token's ray draws light
// from others, as much as the chosen head gives. Left out: numbers; the stations have them.

import { html, nothing, svg } from "lit";

/** @typedef {import("../widgets/life.js").Life} Life */

const WIDTH = 250, LEFT = 8, RIGHT = 126, TILT = 16, RISE = 9;

/** @param {Life} life */
export function panes(life) {
  const { layers } = life.config;
  const tokens = life.labels.length;
  const stack = life.known("stack");
  const room = Math.max(9, Math.min(30, 480 / layers));
  /** @type {{y: number, id: string, layer?: number, label: string, kind: string}[]} */
  const levels = [];
  let y = 22;
  const add = (/** @type {string} */ id, /** @type {string} */ kind, /** @type {string} */ label, /** @type {number} */ step, /** @type {number|undefined} */ layer = undefined) => {
    levels.push({ y, id, kind, label, layer });
    y += step;
  };
  add("bytes", "token", life.t("short_bytes"), 24);
  add("tokens", "token", life.t("short_tokens"), 24);
  add("embedding", "residual", life.t("short_embedding"), 30);
  for (let layer = 0; layer < layers; layer++) {
    const open = layer === life.layer;
    if (open) y += 10;
    const read = stack?.layers[layer].top;
    add("attention-norm", open ? "open" : "layer", `${layer}`, open ? 44 : room, layer);
    if (read) levels[levels.length - 1].label = `${layer}`;
  }
  y += 12;
  add("norm", "residual", life.t("short_norm"), 26);
  add("logits", "logit", life.t("short_logits"), 26);
  add("draw", "logit", life.t("short_draw"), 26);
  const height = y + 4;
  const x = (/** @type {number} */ token) => LEFT + TILT / 2 + ((token + 0.5) / tokens) * (RIGHT - LEFT - TILT / 2 - 4);
  const strength = (/** @type {number} */ token, /** @type {number} */ layer) => {
    if (!stack) return 0.45;
    const length = layer < 0 ? stack.start[token] : stack.layers[layer].residual[token];
    const most = Math.log1p(Math.max(...stack.layers.map((/** @type {any} */ one) => one.residual[token])));
    return 0.18 + 0.82 * (Math.log1p(length) / (most || 1));
  };
  const widest = Math.min(7, (RIGHT - LEFT) / tokens * 0.6);
  const every = Math.max(1, Math.ceil(tokens / 24));
  const openY = levels.find((level) => level.kind === "open")?.y ?? 0;
  const weights = life.tensors.get(`blocks.${life.layer}.attention.weights`);
  return html`<svg class="panes" viewBox="0 0 ${WIDTH} ${height}" width=${WIDTH} height=${height} aria-hidden="true">
    ${levels.map((level, place) => {
      const next = levels[place + 1];
      const layer = level.layer ?? (place < 3 ? -1 : layers - 1);
      const here = level.id === life.station || (level.layer === life.layer && life.inLayer);
      return svg`<g class="level ${level.kind} ${here ? "here" : ""}" @click=${() => (level.layer === undefined ? life.goTo(level.id) : life.enter(level.layer))}>
        <rect class="catch" x="0" y=${level.y - (level.kind === "open" ? 14 : 8)} width=${WIDTH} height=${(next ? next.y : height) - level.y}></rect>
        <polygon points="${LEFT},${level.y + RISE / 2} ${LEFT + TILT},${level.y - RISE / 2} ${RIGHT + TILT},${level.y - RISE / 2} ${RIGHT},${level.y + RISE / 2}"></polygon>
        ${next ? Array.from({ length: tokens }, (_, token) => token).filter((token) => token % every === 0 || token === life.place).map((token) => svg`<line class="ray ${token === life.place ? "followed" : ""}"
          x1=${x(token)} x2=${x(token)} y1=${level.y} y2=${next.y} stroke-width=${Math.max(0.8, widest * strength(token, layer))} opacity=${0.25 + 0.6 * strength(token, layer)}></line>`) : nothing}
        ${level.kind === "open" && weights ? Array.from({ length: life.place + 1 }, (_, s) => s).map((s) => {
          const share = weights.data[(life.head * tokens + life.place) * tokens + s];
          return share > 0.02 ? svg`<path class="bend" d="M${x(s)} ${openY} C${x(s)} ${openY + 18}, ${x(life.place)} ${openY + 14}, ${x(life.place)} ${openY + 34}" stroke-width=${1 + 5 * share} opacity=${0.25 + 0.75 * share}></path>` : nothing;
        }) : nothing}
        <text x=${RIGHT + TILT + 6} y=${level.y + 3.5} class=${level.kind === "layer" && room < 11 && level.layer !== 0 && (level.layer ?? 0) % 2 ? "thin" : ""}>${level.kind === "open" ? life.t("layer_n", { layer: level.layer }) : level.label}</text>
        ${level.layer !== undefined && stack && (room >= 11 || level.layer % 2 === 0 || level.kind === "open") ? svg`<text class="reading" x=${RIGHT + TILT + (level.kind === "open" ? 58 : 24)} y=${level.y + 3.5}>${cut(stack.layers[level.layer].top.token)}</text>` : nothing}
      </g>`;
    })}</svg>`;
}

/** @param {string} text */
const cut = (text) => (text.length > 8 ? `${text.slice(0, 7)}…` : text);
