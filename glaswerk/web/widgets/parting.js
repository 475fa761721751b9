// <glaswerk-parting>: one prompt through the stages of the open model's run: what each writes, where their favourites
// part along the last one's answer, and where each looks from there. Left out: training them.

import { language, unpack } from "../data.js";
import { Figure, define, html, nothing } from "../figure.js";
import "../heat.js";
import texts from "../texts/parting.js";

class Parting extends Figure {
  static texts = texts;
  static reloads = ["number", "prompt", "form"];

  initial() { return { number: 0, prompt: "", form: "chat", place: -1, layer: -1, head: -1 }; }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { number, prompt, form } = this.state;
    const told = await this.demo("stages", { language, number, prompt, form }, signal);
    return { ...told, prompt: told.question, weights: unpack(told.looks) };
  }

  body() {
    const { questions, chat, stages } = this.data;
    return html`<div class="controls"><label class="control grow">${this.t("question")}<select data-key="number" @change=${(/** @type {any} */ event) => this.set({ number: event.target.selectedIndex, prompt: "", place: -1 })}>
        ${questions.map((/** @type {string} */ text, /** @type {number} */ place) => html`<option ?selected=${place === this.state.number}>${text}</option>`)}</select></label>
        <label class="control grow">${this.t("own")}<input class="prompt" type="text" maxlength="300" spellcheck="false" autocomplete="off" .value=${this.state.prompt}
          @input=${(/** @type {any} */ event) => this.set({ prompt: event.target.value, place: -1 }, { wait: 350 })}></label>
        ${chat ? this.segments("form", ["chat", "text"].map((value) => ({ value, label: this.t(value) })), this.t("form")) : nothing}</div>
      ${this.notice()}
      <dl class="written stage-texts">${stages.map((/** @type {any} */ stage) => html`<div data-stage=${stage.name}><dt>${stage.name} <small>${this.t("about", { count: stage.tokens.length })}</small></dt><dd lang="">${stage.text || this.t("nothing")}</dd></div>`)}</dl>
      ${this.strip()}`;
  }

  notice() {
    const { run, missing, chat } = this.data;
    if (!chat) return html`<p class="notice-line">${this.t("no_chat")}</p>`;
    if (!run) return html`<p class="notice-line" data-name="missing">${this.t("no_run")} <code>glaswerk run --align dpo</code></p>`;
    if (!missing.length) return nothing;
    const verb = missing.includes("base") ? `glaswerk run --out ${run}` : missing.includes("sft") ? `glaswerk sft ${run}` : `glaswerk align ${run} --method dpo`;
    return html`<p class="notice-line" data-name="missing">${this.t("missing", { stages: missing.join(", ") })} <code>${verb}</code></p>`;
  }

  strip() {
    const { path, places, stages } = this.data;
    // where each stage parts from the one before it
    const partings = stages.slice(1).map((/** @type {any} */ stage, /** @type {number} */ before) => ({
      first: stages[before].name, second: stage.name,
      at: places.findIndex((/** @type {any} */ place) => place.favourites[before].id !== place.favourites[before + 1].id),
    }));
    const shown = partings.findLast((/** @type {any} */ one) => one.at >= 0)?.at ?? 0;
    const at = this.state.place >= 0 && this.state.place < places.length ? this.state.place : shown;
    const last = stages[stages.length - 1].name;
    const apart = (/** @type {any} */ place) => new Set(place.favourites.map((/** @type {any} */ one) => one.id)).size > 1;
    const told = stages.length < 2 ? this.t("one_stage") : partings.map((/** @type {any} */ one) => this.t(one.at < 0 ? "never_part" : "first_part", { ...one, number: one.at + 1 })).join(" ");
    return html`<p class="matrix-title">${this.t("path", { stage: last })}</p>
      <ul class="look-strip" aria-label=${this.t("choose")}>${path.map((/** @type {any} */ token, /** @type {number} */ place) => html`<li><button type="button" class="chip ${apart(places[place]) ? "parted" : ""} ${place === at ? "on" : ""}" aria-pressed=${String(place === at)}
        .style=${"--share: 0"} @click=${() => this.set({ place })}><bdi>${token.text}</bdi><small>${apart(places[place]) ? "≠" : "="}</small></button></li>`)}</ul>
      <p data-name="first">${told}</p>
      ${this.table(places[at], path[at])}
      ${this.looks(at)}`;
  }

  /** @param {any} place @param {any} taken */
  table(place, taken) {
    const { stages } = this.data;
    /** @type {{id: number, text: string, at: number}[]} */
    const columns = [];
    place.favourites.forEach((/** @type {any} */ token, /** @type {number} */ at) => { if (!columns.some((each) => each.id === token.id)) columns.push({ ...token, at }); });
    const other = !columns.some((each) => each.id === taken.id);
    return html`<p class="faint">${this.t("table")}</p><div class="scroll" tabindex="0"><table class="crossed parting-table" aria-label=${this.t("table")}><thead><tr><td></td>${columns.map((token) => html`<th scope="col"><bdi class="chip">${token.text}</bdi></th>`)}${other ? html`<th scope="col"><bdi class="chip other">${taken.text}</bdi></th>` : nothing}</tr></thead>
      <tbody>${stages.map((/** @type {any} */ stage, /** @type {number} */ row) => html`<tr><th scope="row">${stage.name}</th>${columns.map((token) => html`<td class=${place.favourites[row].id === token.id ? "c-logit" : ""} data-name="p-${row}-${token.at}">${place.favourites[row].id === token.id ? html`<b>${this.share(place.table[row][token.at])}</b>` : this.share(place.table[row][token.at])}</td>`)}${other ? html`<td>${this.share(place.taken[row])}</td>` : nothing}</tr>`)}</tbody></table></div>`;
  }

  /** A probability with two digits that say something. @param {number} p */
  share(p) { return p < 1e-6 ? `< ${this.percent(1e-6, 4)}` : this.percent(p, p > 0.1 ? 0 : Math.min(8, Math.max(1, Math.ceil(-Math.log10(100 * p + 1e-12)) + 1))); }

  /** @param {number} at */
  looks(at) {
    const { stages, prompt_tokens, path, weights, looks } = this.data;
    const [count, layers, heads, places, time] = looks.shape;
    const columns = prompt_tokens.length + at, labels = [...prompt_tokens, ...path].slice(0, columns).map((/** @type {any} */ token) => token.text);
    const layer = this.state.layer >= 0 && this.state.layer < layers ? this.state.layer : layers - 1;
    const chosen = this.state.head >= 0 && this.state.head < heads ? [this.state.head] : Array.from({ length: heads }, (_, head) => head);
    const values = new Float32Array(count * columns);
    for (let stage = 0; stage < count; stage++) for (const head of chosen) for (let column = 0; column < columns; column++)
      values[stage * columns + column] += weights[(((stage * layers + layer) * heads + head) * places + at) * time + column] / 255 / chosen.length;
    return html`<p class="matrix-title">${this.t("looks")}</p>
      <div class="controls">${this.select("layer", [{ value: -1, label: this.t("last") }, ...Array.from({ length: layers }, (_, each) => ({ value: each, label: `${each}` }))], this.t("layer"))}
        ${this.select("head", [{ value: -1, label: this.t("all") }, ...Array.from({ length: heads }, (_, each) => ({ value: each, label: `${each}` }))], this.t("head"))}</div>
      <glaswerk-heat .values=${values} .rows=${count} .columns=${columns} .rowLabels=${stages.map((/** @type {any} */ stage) => stage.name)} .columnLabels=${labels} .largest=${26} label=${this.t("looks")}></glaswerk-heat>`;
  }
}
define("glaswerk-parting", Parting);
