// What elements with a canvas share: they know their width, and paint anew when it or the theme changes.

import { LitElement } from "lit";

export class Painted extends LitElement {
  /** @type {import("lit").PropertyDeclarations} */
  static properties = { width: { state: true } };
  /** changes of the width up to so many px are left alone */
  static slack = 0;

  constructor() {
    super();
    this.width = 0;
    const { slack } = /** @type {typeof Painted} */ (this.constructor);
    this.observer = new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - this.width) > slack) this.width = entry.contentRect.width;
    });
    this.repaint = () => this.requestUpdate();
  }

  createRenderRoot() { return this; }
  connectedCallback() {
    super.connectedCallback();
    this.observer.observe(this);
    document.addEventListener("glaswerk-theme", this.repaint);
  }
  disconnectedCallback() {
    super.disconnectedCallback();
    this.observer.disconnect();
    document.removeEventListener("glaswerk-theme", this.repaint);
  }
}
