// What a figure computes after it is there: trainings that take seconds, one after the other on the whole page, each in
// parts, so that a reader sees how far it is and other figures get their turn. Left out: what is drawn.

import { Told } from "./data.js";
import { Figure, html, nothing } from "./figure.js";

/** @type {Promise<unknown>} */
let line = Promise.resolve();

/** A training's parts, asked for until the last one says what came out.
 * @param {(part: number) => Promise<any>} ask @param {AbortSignal} signal @param {(part: any) => void} [tell] hears each part
 * @returns {Promise<any>} */
export function inParts(ask, signal, tell) {
  const mine = line.then(async () => {
    for (let part = 0; ; part++) {
      signal.throwIfAborted();
      const told = await ask(part);
      tell?.(told);
      if (told.losses) return told;
    }
  });
  line = mine.catch(() => {});
  return mine;
}

/** A figure with a second half of loading: first() is waited for, rest() goes on behind it and may change data. */
export class Later extends Figure {
  /** @param {AbortSignal} _signal @returns {Promise<any>} */
  async first(_signal) { return {}; }
  /** @param {any} _data @param {AbortSignal} _signal @returns {Promise<void>} */
  async rest(_data, _signal) {}

  /** @param {AbortSignal} signal */
  async load(signal) {
    const data = { ...(await this.first(signal)), going: true, trouble: "" };
    this.rest(data, signal).catch((error) => {
      if (!signal.aborted) data.trouble = error instanceof Told ? (error.message === "not-exported" || error.message === "stopped" ? this.t(error.message) : error.message) : String(error);
    }).finally(() => {
      data.going = false;
      if (!signal.aborted) this.requestUpdate();
    });
    return data;
  }

  /** How far the rest is, or what went wrong. @param {string} text @param {number} share */
  waiting(text, share) {
    if (this.data.trouble) return html`<p class="figure-state error" role="alert">${this.data.trouble}</p>`;
    return this.data.going ? html`<p class="faint later"><progress max="1" value=${share} aria-label=${text}></progress> ${text}</p>` : nothing;
  }
}
