// <glaswerk-meaning-map>: words on a flat map by their two principal components.

import { scaleLinear } from "d3-scale";
import { Figure, define, html, nothing, svg } from "../figure.js";
import { askOrigin, field, originField, why, withOrigins } from "../origins.js";
import { labels } from "../labels.js";
import texts from "../texts/meaning-map.js";

const W = 760, H = 440;

class MeaningMap extends Figure {
  static texts = withOrigins(texts);
  static needsModel = false;
  static reloads = ["origin", "words"];

  initial() {
    return { origin: "glove", words: "cat dog horse cow wolf lion paris london berlin rome france germany italy king queen prince red green blue music painting poetry physics chemistry river mountain sea" };
  }

  /** @param {AbortSignal} signal */
  load(signal) { return askOrigin(this, "plane", { words: this.state.words }, signal); }

  body() {
    return html`<div class="controls">${originField(this)}${field(this, "words", this.t("words"), { most: 600, grow: true, wait: 500 })}</div>
      ${this.data.missing ? why(this, this.data.missing) : this.map()}`;
  }

  map() {
    const { words, places, shares, lost, width } = this.data;
    const extent = (/** @type {number} */ axis) => { const all = places.map((/** @type {number[]} */ place) => place[axis]); return [Math.min(...all), Math.max(...all)]; };
    const x = scaleLinear(extent(0), [30, W - 90]), y = scaleLinear(extent(1), [H - 24, 24]);
    const room = labels(W);
    return html`<div class="scroll"><svg class="plot wordplane map" viewBox="0 0 ${W} ${H}" role="img" aria-label=${this.t("title")}>
        ${words.map((/** @type {string} */ word, /** @type {number} */ place) => {
          const [left, top] = [x(places[place][0]), y(places[place][1])], [dx, dy] = room(left, top, 3, word);
          return svg`<g class="spot" transform="translate(${left} ${top})"><circle r="3"></circle><text x=${dx} y=${dy}>${word}</text></g>`;
        })}
      </svg></div>
      <p class="num faint">${this.t("kept", { first: this.percent(shares[0]), second: this.percent(shares[1]), lost: this.percent(1 - shares[0] - shares[1]), width })}</p>
      ${lost.length ? html`<p class="faint">${this.t("lost", { words: lost.join(", ") })}</p>` : nothing}`;
  }
  whenWrong() { return html`<div class="controls">${originField(this)}${field(this, "words", this.t("words"), { most: 600, grow: true, wait: 500 })}</div>`; }
}
define("glaswerk-meaning-map", MeaningMap);
