// The stations before the first layer and after the last: bytes, tokens, embeddings, positions; the whole stack, the
// last norm, logits, the draw. Left out: what happens inside a layer (`stations.js`).

import { html, nothing } from "lit";
import { distribution } from "../sampling.js";
import { matrix } from "./stations.js";
import { norm, rowProduct, sum } from "./made.js";
import { short } from "./numbers.js";

/** @typedef {import("./stations.js").Station} Station */
/** @typedef {import("../widgets/life.js").Life} Life */

const CHARACTERS = 48; // shown one by one
const CANDIDATES = 12;
const MARKS = /** @type {Record<string, string>} */ ({ " ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥" });

/** @type {Station[]} */
export const before = [
  {
    id: "bytes", part: "before", colour: "c-token", steps: () => [],
    body: (life) => {
      const characters = [...life.told.prompt];
      const encoder = new TextEncoder();
      return html`<ul class="bytes" dir="ltr">${characters.slice(0, CHARACTERS).map((character) => html`<li><bdi class="character">${shown(character)}</bdi>${[...encoder.encode(character)].map((byte) => html`<span class="byte">${byte}</span>`)}</li>`)}</ul>
        <p class="num">${life.t("bytes_count", { characters: life.n(characters.length, 0), bytes: life.n(encoder.encode(life.told.prompt).length, 0) })}
        ${characters.length > CHARACTERS ? life.t("bytes_more", { count: life.n(characters.length - CHARACTERS, 0) }) : nothing}</p>`;
    },
  },
  {
    id: "tokens", part: "before", colour: "c-token", steps: () => ["tokens"],
    body: (life, t) => html`<ul class="chips tokens">${life.told.tokens.map((token, place) => html`<li><button type="button" class="chip" aria-pressed=${String(place === life.place)}
        @click=${() => life.set({ place })}><bdi>${token.text}</bdi><small data-step="tokens" data-index="0,${place}">${t.tokens.data[place]}</small><small class="faint">${token.bytes.match(/../g)?.map((byte) => parseInt(byte, 16)).join(" ")}</small></button></li>`)}</ul>
      <p class="num">${life.t(life.told.tokens.length === 1 ? "tokens_count_1" : "tokens_count", { tokens: life.n(life.told.tokens.length, 0), vocabulary: life.n(life.config.vocabulary, 0), context: life.n(life.config.context, 0) })}</p>`,
  },
  {
    id: "embedding", part: "before", colour: "c-residual", steps: () => ["embeddings"],
    body: (life, t) => matrix(life, "e", t.embeddings, {
      before: [0], colour: "c-residual",
      made: (row, column, result) => html`<p>${life.t("lookup", { id: life.n(life.told.tokens[row].id, 0), column: life.n(column, 0), rows: life.n(life.config.vocabulary, 0), width: life.n(life.config.width, 0) })} ${result}</p>`,
    }),
  },
  {
    id: "position", part: "before", colour: "c-position",
    steps: (life) => (life.has("position") ? ["embeddings", "position", "residual"] : []),
    body: (life, t) => (life.has("position") ? matrix(life, "p", t.residual, {
      before: [0], colour: "c-residual",
      made: (row, column, result) => sum(life, [
        { tensor: t.embeddings, index: [0, row, column], colour: "c-residual", words: life.t("token_is", { token: life.labels[row] }) },
        { tensor: t.position, index: [row, column], colour: "c-position", words: life.t("place_is", { place: row }) },
      ], result),
    }) : html`<p>${life.t("position_later")}</p>`),
  },
];

/** @type {Station[]} */
export const after = [
  {
    id: "layers", part: "after", colour: "c-residual", steps: () => [],
    body: (life) => {
      const stack = life.stack();
      if (!stack || stack.error) return life.waiting(stack);
      const most = Math.max(...stack.layers.map((/** @type {any} */ layer) => layer.residual[life.place]));
      const adds = Math.max(...stack.layers.flatMap((/** @type {any} */ layer) => [layer.attention[life.place], layer.mlp[life.place]]));
      return html`<div class="scroll"><table class="layers"><thead><tr><th>${life.t("layer")}</th><th>${life.t("attention_added")}</th><th>${life.t("mlp_added")}</th><th>${life.t("stream_length")}</th><th colspan="2">${life.t("would_say")}</th></tr></thead>
        <tbody>${stack.layers.map((/** @type {any} */ layer, /** @type {number} */ l) => html`<tr class=${l === life.layer ? "on" : ""}>
          <th scope="row"><button type="button" class="link" aria-pressed=${String(l === life.layer)} @click=${() => life.enter(l)}>${l}</button></th>
          <td>${bar(layer.attention[life.place], adds, "--value")}</td><td>${bar(layer.mlp[life.place], adds, "--mlp")}</td><td>${bar(layer.residual[life.place], most, "--residual")}</td>
          <td><bdi class="chip">${layer.top.token}</bdi></td><td class="n c-logit">${life.percent(layer.top.probability)}</td></tr>`)}</tbody></table></div>`;
    },
  },
  {
    id: "norm", part: "after", colour: "c-residual", steps: (life) => [`blocks.${life.config.layers - 1}.residual`, "norm"],
    body: (life, t) => matrix(life, "n", t.norm, {
      before: [0], colour: "c-residual", made: (row, column, result) => norm(life, t[`blocks.${life.config.layers - 1}.residual`], [0, row], "norm", column, result),
    }),
  },
  {
    id: "logits", part: "after", colour: "c-logit", logits: true, steps: () => ["norm"],
    body: (life, t) => {
      const next = life.next();
      if (!next || next.error) return life.waiting(next);
      const last = life.labels.length - 1;
      const top = next.top.slice(0, CANDIDATES);
      const chosen = next.top.find((/** @type {any} */ one) => one.id === life.state.candidate) ?? top[0];
      const high = top[0].logit, low = top[top.length - 1].logit;
      const value = html`<span class="n c-logit" data-step="logits" data-index="0,${last},${chosen.id}">${short(chosen.logit)}</span>`;
      return html`<table class="candidates"><tbody>${top.map((/** @type {any} */ one) => html`<tr class=${one.id === chosen.id ? "on" : ""}><th scope="row"><button type="button" class="chip" aria-pressed=${String(one.id === chosen.id)}
          @click=${() => life.set({ candidate: one.id })}><bdi>${one.token}</bdi></button></th>
          <td class="n c-logit" data-step="logits" data-index="0,${last},${one.id}">${short(one.logit)}</td>
          <td class="wide-bar"><span class="rail"><span .style=${`width: ${8 + (92 * (one.logit - low)) / (high - low || 1)}%; background: var(--logit)`}></span></span></td></tr>`)}</tbody></table>
        <p class="num faint">${life.t("of_vocabulary", { shown: top.length, vocabulary: life.n(next.logits.length, 0) })}</p>
        <div class="made-of"><p class="made-title">${life.t("logit_of", { token: chosen.token })} ${value}</p>${rowProduct(life, t.norm, [0, last], "logits", chosen.id, value, "c-logit")}</div>`;
    },
  },
  {
    id: "draw", part: "after", colour: "c-logit", logits: true, steps: () => [],
    body: (life) => {
      const next = life.next();
      if (!next || next.error) return life.waiting(next);
      const { temperature, top_k, top_p } = life.state;
      const shares = distribution(next.logits, /** @type {any} */ ({ temperature, top_k, top_p, min_p: 0 }));
      const top = next.top.slice(0, CANDIDATES);
      const most = Math.max(shares[0], 1e-9);
      let kept = shares.findIndex((one) => one === 0);
      if (kept < 0) kept = shares.length;
      const drawn = life.drawnToken;
      return html`<div class="controls">
          ${life.slider("temperature", { label: life.t("temperature"), min: 0.1, max: 2, step: 0.05 })}
          ${life.slider("top_k", { label: life.t("top_k"), min: 0, max: 100, step: 1, digits: 0, off: 0, offText: life.t("off") })}
          ${life.slider("top_p", { label: life.t("top_p"), min: 0.05, max: 1, step: 0.01, off: 1, offText: life.t("off") })}</div>
        <table class="candidates draw"><thead><tr><th>${life.t("candidate")}</th><th>${life.t("model_says")}</th><th colspan="2">${life.t("in_the_draw")}</th></tr></thead>
        <tbody>${top.map((/** @type {any} */ one, /** @type {number} */ place) => html`<tr class=${shares[place] ? "" : "gone"}><th scope="row"><span class="chip"><bdi>${one.token}</bdi></span></th>
          <td class="n" data-top=${place} data-id=${one.id}>${life.percent(one.probability)}</td>
          <td class="wide-bar"><span class="rail"><span .style=${`width: ${(100 * shares[place]) / most}%; background: var(--logit)`}></span></span></td>
          <td class="n c-logit" data-share=${place}>${shares[place] ? life.percent(shares[place]) : "–"}</td></tr>`)}</tbody></table>
        <p class="num faint">${life.t("kept", { kept: life.n(kept, 0), vocabulary: life.n(shares.length, 0) })}</p>
        <div class="actions"><button type="button" class="button draw" ?disabled=${life.drawing} @click=${() => life.draw()}>${life.t("draw")}</button>
        ${life.answers.get("draw")?.error ? html`<span role="alert">${life.answers.get("draw").error}</span>` : nothing}
        ${drawn ? html`<span class="drawn">${life.t("drawn")} <span class="chip"><bdi>${drawn.token}</bdi></span> ${life.t("model_gave", { probability: life.percent(drawn.probability) })}</span>
          <button type="button" class="button append" @click=${() => life.goOn()}>${life.t("append")}</button>${drawn.end ? html`<span class="faint">${life.t("is_end")}</span>` : nothing}` : nothing}</div>`;
    },
  },
];

/** A character on its own: marks for what is not seen. @param {string} character */
function shown(character) {
  if (MARKS[character]) return MARKS[character];
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(character) ? `<${character.codePointAt(0)?.toString(16)}>` : character;
}

/** A length with its bar. @param {number} value @param {number} most @param {string} hue */
function bar(value, most, hue) {
  return html`<span class="length"><span class="n">${short(value)}</span><span class="rail"><span .style=${`width: ${(100 * value) / (most || 1)}%; background: var(${hue})`}></span></span></span>`;
}

