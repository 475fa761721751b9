// <glaswerk-life>: the way of a prompt through the open model, station by station, every number from the trace. Values are
// fetched when a station comes into view. A chapter may show some stations `only`. Left out: the stations themselves
// (`web/life/`), comparing (`compare.js`).

import { Figure, define, html, nothing } from "../figure.js";
import { ask, askOnce, trace, unpack, values } from "../data.js";
import { css, ramp } from "../colour.js";
import { unfolded } from "../sampling.js";
import { after, before } from "../life/ends.js";
import { attention, mlp } from "../life/stations.js";
import { panes } from "../life/panes.js";
import { plane, short } from "../life/numbers.js";
import texts from "../texts/life.js";

/** @typedef {import("../data.js").Tensor} Tensor */
/** @typedef {import("../life/stations.js").Station} Station */

/** by these a reader moves the page, or means to */
const MOVES = ["wheel", "touchmove", "pointerdown", "keydown"];

export class Life extends Figure {
  static texts = texts;
  static reloads = ["prompt", "ids"];

  constructor() {
    super();
    /** what was fetched of this trace @type {Map<string, Tensor>} */
    this.tensors = new Map();
    /** rows of weights, the stack and the logits, by question @type {Map<string, any>} */
    this.answers = new Map();
    /** @type {Set<string>} */
    this.wanted = new Set();
    /** stations in view or near @type {Set<string>} */
    this.near = new Set(["bytes", "tokens"]);
    /** the cell under the pointer @type {{key: string, row: number, column: number}|null} */
    this.over = null;
    /** @type {Record<string, string>} */
    this.tabs = {};
    /** @type {any} */
    this.drawnToken = null;
    this.drawing = false;
    /** the station gone to, until the reader scrolls by himself */
    this.target = "";
    this.free = () => { this.target = ""; };
    this.letGo = 0;
    /** the lab is back: what failed is asked for again */
    this.retry = () => {
      for (const [key, told] of this.answers) if (told?.error) this.answers.delete(key);
      this.requestUpdate();
    };
    this.fetching = "";
    /** @type {IntersectionObserver|undefined} */
    this.sight = undefined;
    /** @type {IntersectionObserver|undefined} */
    this.reading = undefined;
  }

  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("glaswerk-back", this.retry);
    for (const move of MOVES) addEventListener(move, this.free, { passive: true, capture: true });
  }

  initial() {
    return { prompt: "Paris ist die Hauptstadt von", ids: null, layer: 0, head: 0, place: -1, station: "bytes", cell: "", candidate: -1, temperature: 1, top_k: 0, top_p: 1, seed: 1, only: null };
  }

  /** the prompt as a text, or as ids once a token was appended @returns {string|number[]} */
  get where() { return this.state.ids ?? this.state.prompt; }

  async load() {
    if (this.state.only && !this.data) this.near = new Set(this.state.only);
    const told = await trace(this.where);
    const first = !this.data;
    this.tensors.clear();
    this.answers.clear();
    this.drawnToken = null;
    this.over = null;
    return { ...told, names: new Set(told.steps.map((step) => step.name)), labels: told.tokens.map((token) => token.text), first };
  }

  // ------------------------------------------------------------ what stations ask
  /** @returns {import("../data.js").Trace} */
  get told() { return this.data; }
  get config() { return this.data.model; }
  /** @returns {string[]} */
  get labels() { return this.data.labels; }
  get layer() { return Math.min(Math.max(0, this.state.layer), this.config.layers - 1); }
  get head() { return Math.min(Math.max(0, this.state.head), this.config.heads - 1); }
  get place() { const last = this.labels.length - 1; return this.state.place < 0 || this.state.place > last ? last : this.state.place; }
  get station() { return this.state.station; }
  get inLayer() { return [...attention, ...mlp].some((station) => station.id === this.station); }
  /** @param {string} name */
  has(name) { return this.data.names.has(name); }
  /** @param {number} place */
  label(place) { return this.labels[place]; }
  /** @param {number} value */
  short(value) { return short(value); }
  /** @param {any} packed */
  unpack(packed) { return unpack(packed); }
  /** @param {{error?: string}} [told] what came instead */
  waiting(told) {
    if (told?.error) return html`<p class="figure-state error">${told.error}</p>`;
    return html`<p class="figure-state"><span class="waiting" aria-hidden="true"></span><span>${this.t("computing")}</span></p>`;
  }

  /** The chosen cell of a matrix: under the pointer, else the chosen column in the followed token's row.
   * @param {string} key @param {number} columns @param {number} start */
  cell(key, columns, start) {
    if (this.over?.key === key && this.over.row < this.labels.length) return { row: this.over.row, column: Math.min(this.over.column, columns - 1) };
    const [name, column] = this.state.cell.split(".");
    return { row: this.place, column: Math.min(columns - 1, name === key ? Number(column) || 0 : start) };
  }
  /** @param {string} key @param {{row: number, column: number, locked: boolean}} cell */
  point(key, { row, column, locked }) {
    if (locked) { this.over = null; this.set({ place: row, cell: `${key}.${column}` }); }
    else { this.over = row < 0 ? null : { key, row, column }; this.requestUpdate(); }
  }
  /** @param {string} key @param {number} column */
  choose(key, column) { this.over = null; this.set({ cell: `${key}.${column}` }); }
  /** @param {string} key */
  tab(key) { return this.tabs[key]; }
  /** @param {string} key @param {string} value */
  setTab(key, value) { this.tabs = { ...this.tabs, [key]: value }; this.requestUpdate(); }

  /** An answer of the server, asked for once and drawn when it is there; undefined until then.
   * @param {string} key @param {() => Promise<any>} question @returns {any} */
  answer(key, question) {
    if (this.answers.has(key)) return this.answers.get(key);
    this.answers.set(key, undefined);
    const answers = this.answers, data = this.data;
    question().catch((error) => ({ error: this.told_(error) })).then((told) => {
      if (data !== this.data) return;
      answers.set(key, told);
      this.requestUpdate();
    });
    return undefined;
  }
  /** An error in words. @param {unknown} error */
  told_(error) {
    const message = error instanceof Error ? error.message : String(error);
    return message === "stopped" ? `${this.t("stopped")} glaswerk lab; ${this.t("stopped_end")}` : this.t(message);
  }
  /** @param {string} key */
  known(key) { const found = this.answers.get(key); return found && !found.error ? found : undefined; }
  get asked() { return this.state.ids ? { ids: this.state.ids } : { prompt: this.state.prompt }; }
  /** Weights behind a number. @param {string} step @param {number} place */
  row(step, place) { return this.answer(`row ${step} ${place}`, () => askOnce("row", { step, place })); }
  stack() {
    const key = `stack ${this.place}`;
    const found = this.answer(key, () => askOnce("stack", { ...this.asked, place: this.place }));
    if (found && !found.error) this.answers.set("stack", found);
    return found ?? this.known("stack");
  }
  next() {
    const found = this.answer("next", async () => {
      const told = await askOnce("next", this.asked);
      return { ...told, logits: unfolded(told) };
    });
    return found;
  }

  // ------------------------------------------------------------ going on
  async draw() {
    const { temperature, top_k, top_p, seed } = this.state;
    this.drawing = true;
    try {
      this.drawnToken = await ask("step", { ...this.asked, temperature, top_k, top_p, seed });
      this.set({ seed: seed + 1 });
      this.announce(`${this.t("drawn")} ${this.drawnToken.token}`);
    } catch (error) {
      this.answers.set("draw", { error: this.told_(error) });
    } finally {
      this.drawing = false;
      this.requestUpdate();
    }
  }
  goOn() {
    const { ids, text } = this.drawnToken;
    this.set({ ids, prompt: text, place: -1, candidate: -1 });
    this.goTo("tokens");
  }
  /** @param {number} layer */
  enter(layer) { this.set({ layer }); this.goTo("attention-norm"); }
  /** Go to a station. @param {string} id */
  goTo(id) {
    if (this.state.only) return;
    this.near.add(id);
    this.target = id;
    clearTimeout(this.letGo);
    this.letGo = window.setTimeout(this.free, 4000);
    this.set({ station: id });
    this.requestUpdate();
  }
  /** Hold the station that was gone to at its place while those above it grow; the reader's own moves end that. */
  hold() {
    const section = this.querySelector(`[data-station="${this.target}"]`);
    const off = section ? section.getBoundingClientRect().top - 62 : 0;
    if (Math.abs(off) > 4) scrollBy({ top: off, behavior: "instant" });
  }

  // ------------------------------------------------------------ drawing
  /** @returns {Station[]} */
  get stations() {
    const only = this.state.only;
    return [...before, ...attention, ...mlp, ...after].filter((station) => (only ? only.includes(station.id) : true) && (!station.there || station.there(this)));
  }

  body() {
    this.wanted.clear();
    const stations = this.stations;
    const at = Math.max(0, stations.findIndex((station) => station.id === this.station));
    const controls = html`<div class="controls life-controls">${this.field()}
        ${this.labels.length > 1 ? this.follow() : nothing}
        ${stations.some(({ part }) => part === "attention" || part === "mlp") ? this.numbers("layer", this.config.layers, this.t("layer")) : nothing}
        ${stations.some(({ part }) => part === "attention") ? this.numbers("head", this.config.heads, this.t("head")) : nothing}</div>
      ${this.state.ids ? html`<p class="faint again">${this.t("appended", { count: this.labels.length })}</p>` : nothing}`;
    if (this.state.only) return html`${controls}${stations.map((station) => this.one(station, station))}`;
    this.stack();
    return html`${controls}
      <div class="way">
        <div class="way-stack">${panes(this)}</div>
        <div class="way-stations">
          <div class="way-bar"><button type="button" class="button quiet" ?disabled=${at === 0} @click=${() => this.goTo(stations[at - 1].id)} aria-label=${this.t("back")}>↑</button>
            <label class="way-slider"><span class="way-now"><b>${at + 1}/${stations.length}</b> ${this.name(stations[at])}</span>
            <input type="range" min="0" max=${stations.length - 1} step="1" .value=${String(at)} aria-label=${this.t("station")} aria-valuetext=${this.name(stations[at])}
              @input=${(/** @type {any} */ event) => this.goTo(stations[Number(event.target.value)].id)}></label>
            <button type="button" class="button quiet" ?disabled=${at === stations.length - 1} @click=${() => this.goTo(stations[at + 1].id)} aria-label=${this.t("on")}>↓</button></div>
          ${stations.map((station, place) => this.one(station, stations[place - 1]))}
        </div>
      </div>`;
  }

  /** @param {Station} station @param {Station|undefined} previous */
  one(station, previous) {
    const steps = station.steps(this);
    const there = steps.every((name) => this.tensors.has(name));
    if (!there && this.near.has(station.id)) for (const name of steps) if (!this.tensors.has(name)) this.wanted.add(name);
    const wrong = this.answers.get("values")?.error;
    // the logits are large: they are asked for only where they are looked at
    const shown = there && (!station.logits || this.near.has(station.id) || this.known("next"));
    const last = steps.at(-1);
    const step = last ? this.told.steps.find((one) => one.name === last) : undefined;
    return html`${station.part !== previous?.part ? html`<h2 class="way-part">${this.t(`part_${station.part}`, { layer: this.layer, head: this.head, layers: this.config.layers })}</h2>` : nothing}
      <section class="station" data-station=${station.id} aria-label=${this.name(station)}>
        <h3 class=${station.colour}>${this.name(station)}</h3>
        <p class="station-text">${this.t(this.variant(station.id), { layer: this.layer, head: this.head, layers: this.config.layers, heads: this.config.heads, width: this.config.width, head_width: this.config.head_width, neurons: this.n(this.config.mlp_width, 0), token: this.labels[this.place] })}</p>
        ${shown ? station.body(this, Object.fromEntries(this.tensors)) : wrong ? html`<p class="figure-state error">${wrong}</p>` : this.waiting()}
        ${step ? html`<p class="station-source"><code>${step.name}</code> <span class="num">[${step.shape.join(", ")}]</span> · ${this.t("computed_at")} <code>${step.source}</code></p>` : nothing}
      </section>`;
  }

  /** @param {Station} station */
  name(station) { return this.t(`${station.id}_title`, { layers: this.config.layers }); }

  /** A station's text may differ with the model's shape. @param {string} id */
  variant(id) {
    const shape = { position: this.config.positions, neurons: this.config.activation, "attention-norm": this.config.norm }[id];
    const key = shape ? `${id}_text_${shape}` : `${id}_text`;
    return key in texts.en ? key : `${id}_text`;
  }

  follow() {
    return html`<label class="control">${this.t("follow")}<select data-key="place" @change=${(/** @type {any} */ event) => this.set({ place: event.target.selectedIndex })}>
      ${this.labels.map((label, place) => html`<option ?selected=${place === this.place}>${place}: ${label}</option>`)}</select></label>`;
  }

  field() {
    return html`<label class="control grow">${this.t("prompt")}
      <input class="prompt" type="text" dir="auto" maxlength="2000" spellcheck="false" autocomplete="off" .value=${this.state.prompt}
        @input=${(/** @type {any} */ event) => this.set({ prompt: event.target.value, ids: null, place: -1, candidate: -1 }, { wait: 350 })}></label>`;
  }
  whenWrong() { return html`<div class="controls">${this.field()}</div>`; }

  drawn() {
    this.watch();
    if (this.wanted.size && !this.answers.get("values")?.error) this.fetch([...this.wanted]);
    this.paintGallery();
    if (this.data.first && !this.state.only) {
      this.data.first = false;
      if (this.state.station !== "bytes") this.goTo(this.state.station);
    }
    if (this.target) this.hold();
  }

  /** @param {string[]} names */
  async fetch(names) {
    const key = names.join();
    if (this.fetching === key) return;
    this.fetching = key;
    const data = this.data;
    try {
      const found = await values(this.where, names);
      if (data !== this.data) return;
      for (const [name, tensor] of Object.entries(found)) this.tensors.set(name, tensor);
    } catch (error) {
      if (data === this.data) this.answers.set("values", { error: this.told_(error) });
    } finally {
      if (this.fetching === key) this.fetching = "";
      this.requestUpdate();
    }
  }

  /** Which stations are near the window, and which one is being read. */
  watch() {
    if (!this.sight) {
      this.sight = new IntersectionObserver((entries) => {
        let changed = false;
        for (const entry of entries) {
          const id = /** @type {HTMLElement} */ (entry.target).dataset.station ?? "";
          if (entry.isIntersecting && !this.near.has(id)) { this.near.add(id); changed = true; }
          else if (!entry.isIntersecting && this.near.delete(id)) changed = true;
        }
        if (changed) this.requestUpdate();
      }, { rootMargin: "600px 0px" });
      this.reading = new IntersectionObserver((entries) => {
        if (!this.state.only && !this.target) for (const entry of entries) if (entry.isIntersecting) this.set({ station: /** @type {HTMLElement} */ (entry.target).dataset.station });
      }, { rootMargin: "-25% 0px -70% 0px" });
    }
    for (const section of /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll("[data-station]"))) {
      this.sight.observe(section);
      this.reading?.observe(section);
    }
  }
  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("glaswerk-back", this.retry);
    for (const move of MOVES) removeEventListener(move, this.free, { capture: true });
    this.sight?.disconnect();
    this.reading?.disconnect();
    this.sight = this.reading = undefined;
  }

  /** The heads' small pictures. */
  paintGallery() {
    const weights = this.tensors.get(`blocks.${this.layer}.attention.weights`);
    if (!weights) return;
    const size = this.labels.length;
    const colour = ramp(this, "weight", 1);
    for (const canvas of /** @type {NodeListOf<HTMLCanvasElement>} */ (this.querySelectorAll(".gallery canvas"))) {
      const map = plane(weights, 0, Number(canvas.dataset.head));
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      for (let r = 0; r < size; r++) for (let c = 0; c <= r; c++) {
        context.fillStyle = css(colour(map[r * size + c]));
        context.fillRect(c, r, 1, 1);
      }
    }
  }
}
define("glaswerk-life", Life);
