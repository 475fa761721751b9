// Line charts and coloured planes that several figures share. A chart is SVG with its axes and their numbers; a plane is
// a canvas below an SVG of the same size. Left out: what is drawn; the figure says it.

import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { html, nothing, number, svg } from "./figure.js";

/** a phone: charts are drawn narrower there, so that their words stay large enough */
export const narrow = matchMedia("(max-width: 46rem)");
narrow.addEventListener("change", () => document.dispatchEvent(new Event("glaswerk-theme")));

/** @typedef {{name: string, points: [number, number][], className?: string, dash?: string, label?: boolean}} Series */
/** @typedef {{label: string, series: Series[], x?: [number, number], y?: [number, number], logX?: boolean, logY?: boolean,
 *   xLabel?: string, yLabel?: string, at?: number, width?: number, height?: number, right?: number, more?: any}} Chart */

/** How many digits tell two ticks apart. @param {number} value @param {number} [step] between ticks that lie evenly */
function shown(value, step = 0) {
  const size = Math.abs(value), digits = step > 0 && step < 1 ? Math.ceil(-Math.log10(step) - 1e-9) : 0;
  if (size && digits && digits < 4) return number(value, digits);
  if (size === 0 || (size >= 1 && size < 1e5)) return number(value, Number.isInteger(value) ? 0 : 1);
  const power = Math.floor(Math.log10(size) + 1e-9);
  if (power >= -2 && power < 5) return number(value, -power);
  const sign = power < 0 ? "−" : "";
  const mantissa = value / 10 ** power;
  return `${Math.abs(mantissa - 1) < 1e-9 ? "" : `${number(mantissa, 0)}·`}10${sign ? "⁻" : ""}${String(Math.abs(power)).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)])}`;
}

/** Ticks of an axis: on a logarithmic one powers of ten, every second or fifth where there are many.
 * @param {any} scale @param {boolean} log @param {number} count @returns {number[]} */
function ticks(scale, log, count) {
  if (!log) return scale.ticks(count);
  const [low, high] = scale.domain().map((/** @type {number} */ value) => Math.log10(value));
  const every = Math.max(1, Math.ceil((high - low) / count));
  const found = [];
  for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power++) if (power % every === 0) found.push(10 ** power);
  return found.length > 1 ? found : scale.ticks(count);
}

/** @param {Chart} how @returns {any} */
export function chart({ label, series, x, y, logX = false, logY = false, xLabel = "", yLabel = "", at, width: wide = 480, height = 260, right = 12, more }) {
  const width = narrow.matches ? Math.min(wide, 400) : wide;
  const usable = (/** @type {[number, number]} */ [px, py]) => Number.isFinite(px) && Number.isFinite(py) && (!logX || px > 0) && (!logY || py > 0);
  const all = series.flatMap((each) => each.points.filter(usable));
  const span = (/** @type {number[]} */ values) => /** @type {[number, number]} */ ([Math.min(...values), Math.max(...values)]);
  const left = 52, top = yLabel ? 22 : 10, bottom = xLabel ? 38 : 24;
  const across = (logX ? scaleLog() : scaleLinear()).domain(x ?? span(all.map((point) => point[0]))).range([left, width - right]).clamp(true);
  const upward = (logY ? scaleLog() : scaleLinear()).domain(y ?? span(all.map((point) => point[1]))).range([height - bottom, top]).clamp(true);
  if (!y && !logY) upward.nice(5);
  const draw = line((/** @type {[number, number]} */ point) => across(point[0]), (point) => upward(point[1])).defined(usable);
  // labels at the ends of the curves, pushed apart
  const ends = series.filter((each) => each.label && each.points.some(usable)).map((each) => ({ each, y: upward(each.points.filter(usable).at(-1)?.[1] ?? 1) })).sort((a, b) => a.y - b.y);
  ends.forEach((end, place) => { if (place) end.y = Math.max(end.y, ends[place - 1].y + 13); });
  const over = ends.length ? ends[ends.length - 1].y - (height - bottom) : 0;
  if (over > 0) for (let place = ends.length - 1, floor = height - bottom; place >= 0; place--) { ends[place].y = Math.min(ends[place].y, floor); floor = ends[place].y - 13; }
  const evenly = (/** @type {number[]} */ found, /** @type {boolean} */ log) => (log || found.length < 2 ? 0 : Math.abs(found[1] - found[0]));
  const rows = ticks(upward, logY, 6), columns = ticks(across, logX, 7);
  return html`<svg class="plot" viewBox="0 0 ${width} ${height}" role="img" aria-label=${label}>
    ${rows.map((tick) => svg`<line class="grid" x1=${left} x2=${width - right} y1=${upward(tick)} y2=${upward(tick)}></line><text x=${left - 7} y=${upward(tick)} text-anchor="end" dominant-baseline="central">${shown(tick, evenly(rows, logY))}</text>`)}
    ${columns.map((tick) => svg`<text x=${across(tick)} y=${height - bottom + 15} text-anchor="middle">${shown(tick, evenly(columns, logX))}</text>`)}
    ${xLabel ? svg`<text x=${width - right} y=${height - 4} text-anchor="end">${xLabel}</text>` : nothing}
    ${yLabel ? svg`<text x="2" y="11">${yLabel}</text>` : nothing}
    ${at === undefined ? nothing : svg`<line class="now" x1=${across(at)} x2=${across(at)} y1=${top} y2=${height - bottom}></line>`}
    ${series.map((each) => svg`<path class="curve ${each.className ?? ""}" stroke-dasharray=${each.dash ?? "none"} d=${draw(each.points) ?? ""}></path>`)}
    ${ends.map(({ each, y: place }) => svg`<text class="end ${each.className ?? ""}" x=${width - right + 5} y=${place} dominant-baseline="central">${each.name}</text>`)}
    ${more ? more(across, upward) : nothing}</svg>`;
}

/** what a canvas shows @type {WeakMap<HTMLCanvasElement, {values: ArrayLike<number>, look: string}>} */
const onCanvas = new WeakMap();

/** Paint a square of values (row by row, the first row at the bottom) onto a canvas, straight lines between them. What is
 * on it already is not painted again: a plane has 176,000 points, and a slider moves only what lies above it.
 * @param {HTMLCanvasElement|null} canvas @param {ArrayLike<number>} values @param {number} side values per row
 * @param {number[][]} hues the colours that `colour` mixes, which differ by day and night
 * @param {(value: number) => [number, number, number]} colour @param {number} [size] pixels per side */
export function paint(canvas, values, side, hues, colour, size = 420) {
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return;
  const look = hues.join(), before = onCanvas.get(canvas);
  if (before?.values === values && before.look === look) return;
  onCanvas.set(canvas, { values, look });
  canvas.width = canvas.height = size;
  const image = context.createImageData(size, size);
  for (let y = 0; y < size; y++) {
    const up = ((size - 1 - y) / (size - 1)) * (side - 1), row = Math.min(side - 2, Math.floor(up)), above = up - row;
    for (let x = 0; x < size; x++) {
      const along = (x / (size - 1)) * (side - 1), column = Math.min(side - 2, Math.floor(along)), right = along - column;
      const corner = row * side + column;
      const low = values[corner] * (1 - right) + values[corner + 1] * right;
      const high = values[corner + side] * (1 - right) + values[corner + side + 1] * right;
      const [red, green, blue] = colour(low * (1 - above) + high * above);
      const place = 4 * (y * size + x);
      image.data[place] = red;
      image.data[place + 1] = green;
      image.data[place + 2] = blue;
      image.data[place + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}
