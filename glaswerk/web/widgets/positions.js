// <glaswerk-positions>: three ways to tell a model where a token stands: sinusoidal, learned, rotary.

import { Figure, define, html, nothing, svg } from "../figure.js";
import { unpack } from "../data.js";
import "../heat.js";
import texts from "../texts/positions.js";

class Positions extends Figure {
  static texts = texts;
  static reloads = /** @type {string[]} */ ([]);

  initial() { return { way: "sinusoidal", pair: 0, query: 12, key: 9 }; }
  load() { return this.demo("positions"); }

  body() {
    const { way } = this.state;
    return html`<div class="controls">${this.segments("way", ["sinusoidal", "learned", "rotary"].map((value) => ({ value, label: this.t(value) })), this.t("way"))}</div>
      <p>${this.t(`says_${way}`)} <b>${this.t(`open_${this.data.open}`, { name: this.data.model })}</b></p>
      ${way === "rotary" ? this.rotary() : this.data[way] ? this.table(this.data[way]) : html`<p class="faint">${this.t("no_table")}</p>`}`;
  }

  /** @param {any} found */
  table(found) {
    const flat = (/** @type {any} */ values) => (Array.isArray(values) ? values.flat() : unpack(values));
    const rows = flat(found.rows), alike = flat(found.alike);
    const count = Math.sqrt(alike.length), columns = rows.length / count;
    return html`<div class="two even"><div><p><b>${this.t("rows")}</b></p><glaswerk-heat .values=${rows} .rows=${count} .columns=${columns} kind="signed" .largest=${7} label=${this.t("rows")}></glaswerk-heat></div>
      <div><p><b>${this.t("alike")}</b></p><glaswerk-heat .values=${alike} .rows=${count} .columns=${count} kind="signed" .most=${1} .largest=${7} label=${this.t("alike")}></glaswerk-heat></div></div>`;
  }

  rotary() {
    const { rotary } = this.data, { frequencies, curves } = rotary;
    const pair = Math.min(this.state.pair, frequencies.length - 1), speed = frequencies[pair];
    const { query, key } = this.state, angle = (query - key) * speed;
    const arrow = (/** @type {number} */ place, /** @type {string} */ name) => svg`<line class=${name} x1="75" y1="75" x2=${75 + 58 * Math.cos(place * speed)} y2=${75 - 58 * Math.sin(place * speed)}></line>`;
    const most = Math.max(...curves.flatMap((/** @type {any} */ each) => each.scores)), least = Math.min(...curves.flatMap((/** @type {any} */ each) => each.scores), 0);
    const line = (/** @type {number[]} */ scores) => scores.map((value, far) => `${30 + far * 4.6},${(120 - (105 * (value - least)) / (most - least)).toFixed(1)}`).join(" ");
    return html`<div class="controls">${this.slider("query", { label: this.t("query_at"), min: 0, max: 60, step: 1, digits: 0 })}${this.slider("key", { label: this.t("key_at"), min: 0, max: 60, step: 1, digits: 0 })}
        ${this.slider("pair", { label: this.t("pair", { last: frequencies.length - 1 }), min: 0, max: frequencies.length - 1, step: 1, digits: 0 })}</div>
      <div class="two even"><div class="reading"><p><b>${this.t("dial")}</b></p>
        <svg class="dial" viewBox="0 0 150 150" width="150" height="150" role="img" aria-label=${this.t("dial_label", { query, key })}>${svg`<circle cx="75" cy="75" r="60"></circle>`}${arrow(query, "query")}${arrow(key, "key")}</svg>
        <dl><dt>${this.t("speed")}</dt><dd>${this.n(speed, 5)}</dd><dt><span class="c-query">${this.t("angle_query")}</span></dt><dd>${this.n(query * speed, 3)}</dd><dt><span class="c-key">${this.t("angle_key")}</span></dt><dd>${this.n(key * speed, 3)}</dd>
          <dt>${this.t("between")}</dt><dd data-name="between">${this.n(angle, 3)}</dd><dt>${this.t("cosine")}</dt><dd class="c-weight" data-name="cosine">${this.n(Math.cos(angle), 3)}</dd></dl></div>
      <div class="reading"><p><b>${this.t("curve")}</b></p>
        <svg class="plot" viewBox="0 0 330 145" role="img" aria-label=${this.t("curve")}>${svg`<line class="grid" x1="30" x2="325" y1="120" y2="120"></line><text x="30" y="136">0</text><text x="325" y="136" text-anchor="end">${curves[0].scores.length - 1}</text><text x="177" y="136" text-anchor="middle">${this.t("apart")}</text>
          <text x="26" y="19" text-anchor="end">${this.n(most, 1)}</text><text x="26" y="124" text-anchor="end">${this.n(least, 1)}</text>`}
          ${curves.map((/** @type {any} */ each, /** @type {number} */ number) => svg`<polyline class="curve ${number ? "second" : "first"}" points=${line(each.scores)}></polyline>`)}</svg>
        <p class="faint">${this.t("same", { anchors: curves.map((/** @type {any} */ each) => each.anchor).join(` ${this.t("and")} `), most: this.gap(curves) })}${rotary.own ? nothing : html` ${this.t("not_own")}`}</p></div></div>`;
  }

  /** The most by which the curves differ, as a power of ten. @param {any[]} curves */
  gap(curves) {
    const [a, b] = curves.map((each) => each.scores);
    const most = Math.max(...a.slice(0, b.length).map((/** @type {number} */ value, /** @type {number} */ far) => Math.abs(value - b[far])));
    const [digit, power] = most.toExponential(0).split("e-");
    return power ? `${digit} · 10⁻${[...power].map((each) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(each)]).join("")}` : this.n(most);
  }
}
define("glaswerk-positions", Positions);
