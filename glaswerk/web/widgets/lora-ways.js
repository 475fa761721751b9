// <glaswerk-lora-ways>: the same beginnings by the model as it is, with examples in the prompt, and with an adapter.

import { define, html } from "../figure.js";
import { Later, inParts } from "../later.js";
import texts from "../texts/lora-ways.js";

const VOICES = ["pirate", "contract", "seadog"], WAYS = ["plain", "prompt", "lora"];

class LoraWays extends Later {
  static texts = texts;
  static reloads = ["voice"];

  initial() { return { voice: "pirate" }; }

  /** @param {AbortSignal} signal */
  async first(signal) { return { ways: { plain: await this.demo("way", { voice: this.state.voice, way: "plain" }, signal) } }; }

  /** @param {any} data @param {AbortSignal} signal */
  async rest(data, signal) {
    const { voice } = this.state;
    for (const way of ["prompt", "lora"]) {
      if (way === "lora") await inParts((part) => this.demo("tuned", { voice, rank: data.ways.plain.rank, part }, signal), signal);
      data.ways = { ...data.ways, [way]: await this.demo("way", { voice, way }, signal) };
      this.requestUpdate();
    }
  }

  body() {
    const { ways } = this.data;
    const most = Math.max(...Object.values(ways).map((/** @type {any} */ way) => way.loss));
    const tongue = this.state.voice === "seadog" ? "de" : "en";
    return html`<div class="controls">${this.segments("voice", VOICES.map((value) => ({ value, label: this.t(value) })), this.t("voice"))}</div>
      ${this.waiting(this.t("going"), Object.keys(ways).length / 3)}
      <div class="loss-bars">${WAYS.map((way) => html`<span>${this.t(way)}</span><span class="bar"><span class="now" .style=${`--size: ${(ways[way]?.loss ?? 0) / most}`}></span></span><b class="c-loss" data-name=${way}>${ways[way] ? this.n(ways[way].loss, 2) : "…"}</b>`)}</div>
      <p class="faint">${this.t("loss")}</p>
      <dl class="written">${WAYS.filter((way) => ways[way]).map((way) => html`<div><dt>${this.t(way)} <small>${this.t("extra", { count: this.n(ways[way].extra, 0) })}</small></dt>
        ${ways[way].texts.map((/** @type {any} */ one) => html`<dd lang=${tongue}><b>${one.begin}</b>${one.text}</dd>`)}</div>`)}</dl>`;
  }
}
define("glaswerk-lora-ways", LoraWays);
