// Colours of the style sheet as numbers, for canvases. A colour follows the theme: ask again after "glaswerk-theme".

/** @typedef {[number, number, number]} RGB */

/** What a custom property is on this element now. @param {Element} element @param {string} name @returns {RGB} */
export function resolved(element, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  probe.hidden = true;
  element.append(probe);
  const found = getComputedStyle(probe).color.match(/[\d.]+/g) ?? ["0", "0", "0"];
  probe.remove();
  return /** @type {RGB} */ (found.slice(0, 3).map(Number));
}

/** @param {RGB} from @param {RGB} to @param {number} share @returns {RGB} */
export function mix(from, to, share) {
  return /** @type {RGB} */ ([0, 1, 2].map((i) => from[i] + (to[i] - from[i]) * share));
}

/** A function from a value to its colour. "weight": 0 is the ground, 1 is `hue` in full. "signed": blue, ground,
 * orange, symmetric about 0 up to `most`.
 * @param {Element} element @param {"weight"|"signed"} kind @param {number} most @param {string} [hue]
 * @returns {(value: number) => RGB} */
export function ramp(element, kind, most, hue = "--weight") {
  const ground = resolved(element, "--paper");
  if (kind === "weight") {
    const full = resolved(element, hue);
    return (value) => mix(ground, full, Math.min(1, Math.max(0, value / (most || 1))) ** 0.8);
  }
  const minus = resolved(element, "--minus"), plus = resolved(element, "--plus");
  return (value) => mix(ground, value < 0 ? minus : plus, Math.min(1, Math.abs(value) / (most || 1)));
}

/** @param {RGB} rgb */
export const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;
