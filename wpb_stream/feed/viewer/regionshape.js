// Regions of the detector as the run object tells them, on frames whose rows and columns are known: which pixels are theirs.
// The rules are those of docs/reference/recipes.md, so that a sum here is the sum on the map.

/** @typedef {import("./client.js").Column} Column */
/** Rows and columns. @typedef {[number, number]} Shape */
/** Half-open, in whole pixels. @typedef {{top: number, bottom: number, left: number, right: number}} Rectangle */
/**
 * What a run object says of a region: one shape, or rows and columns.
 * @typedef {{rows?: unknown[], columns?: unknown[], ellipse?: {centre: Shape, radii: Shape}, annulus?: {centre: Shape, inner: number, outer: number},
 *   polygon?: Shape[], mask_file?: string, outside?: boolean}} Region
 */

/**
 * First, and one after the last, of a side: pixels, or parts of it such as "1/3", or null for its end.
 * @param {unknown[] | undefined} told
 * @param {number} length
 * @returns {[number, number]}
 */
function sideOf(told, length) {
  const bound = (/** @type {unknown} */ value, /** @type {number} */ absent) => {
    const [part, parts] = typeof value === "string" ? value.split("/").map(Number) : [Number(value ?? absent), 0];
    return Math.min(length, Math.max(0, parts ? Math.floor((length * part) / parts) : part));
  };
  const first = bound(told?.[0], 0);
  return [first, Math.max(first, bound(told?.[1], length))];
}

/**
 * The rectangle of a region; of another shape one around it.
 * @param {Region} region
 * @param {Shape} shape of the frame
 * @returns {Rectangle}
 */
export function rectangleOf({ rows, columns }, [height, width]) {
  const [[top, bottom], [left, right]] = [sideOf(rows, height), sideOf(columns, width)];
  return { top, bottom, left, right };
}

/** @param {Region} region */
export function isRectangle(region) {
  return !("ellipse" in region || "annulus" in region || "polygon" in region || "mask_file" in region);
}

/** @param {number} value */
function square(value) {
  return value * value;
}

/**
 * Which pixels of a row lie in the shape, whatever `outside` says.
 * @param {Region} region
 * @param {Shape} shape
 * @returns {((row: number, inside: Uint8Array) => void) | null} null where nobody here knows: its mask is in a file
 */
function rowsOf(region, shape) {
  const { ellipse, annulus, polygon } = region;
  if (ellipse) {
    const { centre, radii: [height, width] } = ellipse;
    const round = height === width;
    return (row, inside) => {
      const down = square(row - centre[0]);
      for (let column = 0; column < inside.length; column++) {
        const across = square(column - centre[1]);
        inside[column] = Number(round ? down + across <= height * height : down * (width * width) + across * (height * height) <= square(height * width));
      }
    };
  }
  if (annulus) {
    const { centre, inner, outer } = annulus;
    return (row, inside) => {
      const down = square(row - centre[0]);
      for (let column = 0; column < inside.length; column++) {
        const distance = down + square(column - centre[1]);
        inside[column] = Number(distance <= outer * outer && (!inner || distance > inner * inner));
      }
    };
  }
  if (polygon) return (row, inside) => crossings(polygon, row, inside);
  if (region.mask_file) return null;
  const { top, bottom, left, right } = rectangleOf(region, shape);
  return (row, inside) => {
    inside.fill(0);
    if (row >= top && row < bottom) inside.fill(1, left, right);
  };
}

/**
 * A centre is inside if a ray from it to the left crosses the edges an odd number of times.
 * @param {Shape[]} polygon
 * @param {number} row
 * @param {Uint8Array} inside
 */
function crossings(polygon, row, inside) {
  inside.fill(0);
  polygon.forEach((one, i) => {
    const other = polygon[(i + 1) % polygon.length];
    // Always from the upper end down, so that two polygons round their common edge alike.
    const ordered = one[0] < other[0] || (one[0] === other[0] && one[1] <= other[1]);
    const [[first, start], [last, stop]] = ordered ? [one, other] : [other, one];
    if (row < Math.ceil(first) || row >= Math.ceil(last)) return;
    const place = Math.max(0, Math.ceil(start + ((row - first) * (stop - start)) / (last - first)));
    if (place < inside.length) inside[place] ^= 1;
  });
  for (let column = 1; column < inside.length; column++) inside[column] ^= inside[column - 1];
}

/** @typedef {{pixels: number, sum: number, mean: number, min: number, max: number}} Statistics */

/**
 * What the pixels of a region come to. Sums of whole numbers are exact up to 2^53.
 * @param {Column} values of the whole frame, in C order
 * @param {Shape} shape
 * @param {Region} region
 * @returns {Statistics | null} null where nobody here knows which pixels are in it
 */
export function statisticsOf(values, shape, region) {
  const mark = rowsOf(region, shape);
  if (!mark) return null;
  const [height, width] = shape;
  // Of what lies outside the whole frame is looked at.
  const { top, bottom, left, right } = region.outside ? { top: 0, bottom: height, left: 0, right: width } : rectangleOf(region, shape);
  const inside = new Uint8Array(width);
  const wanted = region.outside ? 0 : 1;
  let [pixels, sum, min, max] = [0, 0, Infinity, -Infinity];
  for (let row = top; row < bottom; row++) {
    mark(row, inside);
    for (let column = left; column < right; column++) {
      if (inside[column] !== wanted) continue;
      const value = values[row * width + column];
      pixels++;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return { pixels, sum, mean: sum / pixels, min: min <= max ? min : NaN, max: min <= max ? max : NaN };
}

/**
 * A region as the `wpb` entry of a start document has it.
 * @param {Region} region
 * @param {Shape} shape
 * @returns {Record<string, unknown>}
 */
export function asAsked(region, shape) {
  const { rows: _, columns: __, ...rest } = region;
  if (!isRectangle(region)) return rest;
  const { top, bottom, left, right } = rectangleOf(region, shape);
  return { ...rest, rows: [top, bottom], columns: [left, right] };
}
