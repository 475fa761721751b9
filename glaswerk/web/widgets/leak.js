// <glaswerk-leak>: coin tosses cannot be predicted; a leak from the test set makes it look as if they could.

import { Figure, define, html } from "../figure.js";
import texts from "../texts/leak.js";

class Leak extends Figure {
  static texts = texts;
  static needsModel = false;
  static reloads = ["share"];

  initial() { return { share: 0.5 }; }

  /** @param {AbortSignal} signal */
  load(signal) { return this.demo("leak", { share: this.state.share }, signal); }

  body() {
    const { tested, leaked, right, accuracy, accuracy_clean, chance } = this.data;
    const shown = this.percent(this.state.share, 0);
    return html`<div class="controls"><label class="slider">${this.t("share")}<span class="value">${shown}</span><input type="range" data-key="share" min="0" max="1" step="0.05" .value=${String(this.state.share)} aria-valuetext=${shown}
          @input=${(/** @type {any} */ event) => this.set({ share: Number(event.target.value) }, { wait: 40 })}></label></div>
      <div class="gauge" role="img" aria-label="${this.t("accuracy")}: ${this.percent(accuracy)}"><span class="fill" .style=${`--size: ${accuracy}`}></span><span class="band" .style=${`--from: ${chance[0]}; --to: ${chance[1]}`}></span></div>
      <dl class="facts"><div><dd data-name="accuracy">${this.percent(accuracy)}</dd><dt>${this.t("accuracy")}</dt></div><div><dd>${this.n(right, 0)} / ${this.n(tested, 0)}</dd><dt>${this.t("right")}</dt></div>
        <div><dd>${this.n(leaked, 0)}</dd><dt>${this.t("leaked")}</dt></div><div><dd data-name="clean">${accuracy_clean === null ? "–" : this.percent(accuracy_clean)}</dd><dt>${this.t("clean")}</dt></div></dl>`;
  }
}
define("glaswerk-leak", Leak);
