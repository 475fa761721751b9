// The base of figures whose numbers come piece by piece: a button starts it, each answer is drawn when it is there, and
// the button stops it. Left out: what a piece is; each widget says how to ask for one.

import { Told, live } from "./data.js";
import { Figure, html, nothing } from "./figure.js";

export class Pieces extends Figure {
  /** whether nothing is computed before somebody presses the button @type {boolean} */
  static lazy = false;
  /** keys of the state whose change starts it @type {string[]} */
  static starts = [];

  constructor() {
    super();
    /** @type {AbortController|null} */
    this.asking = null;
    this.trouble = "";
    /** the number of the piece that is shown */
    this.piece = 0;
    /** whether to go on by itself after the next load */
    this.eager = false;
    /** the load that runs, or the last one @type {Promise<void>} */
    this.loading = Promise.resolve();
  }

  /** Ask for one piece. @param {number} _number @param {AbortSignal} _signal @returns {Promise<any>} */
  async ask(_number, _signal) { return {}; }
  /** How many pieces there are; 2 as long as nobody knows. @returns {number} */
  count() { return this.data?.count ?? 2; }

  /** @param {import("./figure.js").State} changes @param {{wait?: number}} [how] */
  set(changes, how = {}) {
    const { starts } = /** @type {typeof Pieces} */ (this.constructor);
    if (starts.some((key) => key in changes && changes[key] !== this.state[key])) this.eager = true;
    super.set(changes, how);
  }

  /** The first piece. @param {AbortSignal} signal */
  async load(signal) {
    this.stop();
    this.trouble = "";
    const { lazy } = /** @type {typeof Pieces} */ (this.constructor);
    if (this.eager) this.setAttribute("data-busy", "");
    const first = lazy ? {} : await this.ask(0, signal);
    this.piece = lazy ? -1 : 0;
    return first;
  }

  async reload() {
    const loading = (this.loading = super.reload());
    await loading;
    if (this.loading !== loading || !this.eager) return;
    this.eager = false;
    if (this.phase === "ready") this.begin();
  }

  disconnectedCallback() { super.disconnectedCallback(); this.stop(); }

  reset() { this.eager = false; super.reset(); }

  stop() {
    this.asking?.abort();
    this.asking = null;
    this.removeAttribute("data-busy");
    this.requestUpdate();
  }

  get over() { return this.piece + 1 >= this.count(); }

  async begin() {
    const asking = (this.asking = new AbortController());
    await this.loading;
    if (asking.signal.aborted) return;
    this.trouble = "";
    if (this.over) this.piece = -1; // once more; what was computed is kept, so this is a replay
    this.setAttribute("data-busy", "");
    this.requestUpdate();
    try {
      while (!this.over) {
        const told = await this.ask(this.piece + 1, asking.signal);
        if (asking.signal.aborted) return;
        this.data = told;
        this.piece++;
        this.requestUpdate();
        if (!live) await new Promise((done) => setTimeout(done, 120));
        if (asking.signal.aborted) return;
      }
      this.announce(this.t("done"));
    } catch (error) {
      if (asking.signal.aborted) return;
      this.trouble = error instanceof Told ? this.t(error.message) : String(error);
    }
    this.stop();
  }

  /** The button, how far it is, and what went wrong. @returns {any} */
  runner() {
    return html`<button type="button" class="button" data-name="go" @click=${() => (this.asking ? this.stop() : this.begin())}>${this.t(this.asking ? "stop" : this.over ? "over" : this.piece > 0 ? "on" : "start")}</button>`;
  }

  /** @returns {any} */
  progress() {
    return html`<progress class="pieces" max=${this.count()} value=${this.piece + 1} aria-label=${this.t("progress")}></progress>
      ${this.trouble ? html`<p class="figure-state error" role="alert">${this.trouble}</p>` : nothing}`;
  }
}
