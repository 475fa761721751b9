// Where the label of a point goes so that it covers no earlier one: right, left, above or below, else right after all.
// Left out: moving points; a crowded place stays crowded.

const CHARACTER = 6.4, LINE = 13; // of a label of 12 px

/** A function that is called for one point after the other and gives the label's offset from each.
 * @param {number} width of the drawing @returns {(x: number, y: number, radius: number, text: string) => [number, number]} */
export function labels(width) {
  /** @type {[number, number, number, number][]} */
  const taken = [];
  return (x, y, radius, text) => {
    const long = text.length * CHARACTER, gap = radius + 3;
    /** @type {[number, number][]} */
    const places = [[gap, 4], [-gap - long, 4], [-long / 2, -gap - 2], [-long / 2, gap + LINE - 2], [gap, -gap - 2], [gap, gap + LINE - 2]];
    const free = places.find(([dx, dy]) => {
      const left = x + dx, top = y + dy - LINE + 3;
      return left >= 0 && left + long <= width && !taken.some(([l, t, r, b]) => left < r && left + long > l && top < b && top + LINE > t);
    }) ?? places[0];
    taken.push([x + free[0], y + free[1] - LINE + 3, x + free[0] + long, y + free[1] + 3]);
    taken.push([x - radius, y - radius, x + radius, y + radius]);
    return free;
  };
}
