// Numbers of one frame: how bright it is, and what lies along a line.

/** @typedef {import("./client.js").Column} Column */

/** Values that percentiles are made of at most: of a large frame every so many pixels are looked at. */
const SAMPLED = 2 ** 16;

/**
 * Lowest and highest finite value.
 * @param {Column} values
 * @returns {[number, number] | null} null if there is none
 */
export function rangeOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    // NaN is neither less nor more than anything.
    if (value < low && value !== -Infinity) low = value;
    if (value > high && value !== Infinity) high = value;
  }
  return low <= high ? [low, high] : null;
}

/**
 * The values that a share of all lies below.
 * @param {Column} values
 * @param {number[]} shares from 0 to 1
 * @returns {number[] | null} null if no value is finite
 */
export function percentilesOf(values, shares) {
  const step = Math.max(1, Math.ceil(values.length / SAMPLED));
  const sampled = new Float64Array(Math.ceil(values.length / step));
  let count = 0;
  for (let i = 0; i < values.length; i += step) if (Number.isFinite(values[i])) sampled[count++] = values[i];
  if (!count) return null;
  const sorted = sampled.subarray(0, count).sort();
  return shares.map((share) => sorted[Math.round(share * (count - 1))]);
}

/**
 * The values along a line between two pixels: a value for each pixel of its length, of the pixel that is nearest there.
 * @param {Column} values of the whole frame, in C order
 * @param {number[]} shape rows, columns
 * @param {[number, number]} from row, column
 * @param {[number, number]} to
 * @returns {Float64Array}
 */
export function profileOf(values, [height, width], from, to) {
  const steps = Math.max(1, Math.round(Math.hypot(to[0] - from[0], to[1] - from[1])));
  return Float64Array.from({ length: steps + 1 }, (_, i) => {
    const [row, column] = [0, 1].map((side) => Math.round(from[side] + ((to[side] - from[side]) * i) / steps));
    return row >= 0 && row < height && column >= 0 && column < width ? values[row * width + column] : NaN;
  });
}
