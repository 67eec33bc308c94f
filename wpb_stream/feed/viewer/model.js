// One revision of a run: its rows scattered into maps.

/** @typedef {import("./client.js").Run} Run */
/** @typedef {import("./client.js").Channel} Channel */
/** @typedef {import("./client.js").Block} Block */
/** An array to be shown: one that the person asked for has a title. @typedef {import("./client.js").ArrayBlock & {title?: string}} ArrayBlock */

/** A map larger than this is not drawn: a browser tab could not hold it. */
const MOST_CELLS = 2 ** 24;

/** Values of one channel by cell; NaN where nothing has been measured. */
export class ChannelMap {
  /** Whether zero is in the middle of the colours, whatever the person has chosen. */
  signed = false;
  /** All finite values, ascending, for as long as none comes. @type {Float64Array | null} */ #sorted = null;
  #stale = false;
  #low = Infinity;
  #high = -Infinity;

  /** @param {number} size number of cells */
  constructor(size) {
    this.values = new Float64Array(size).fill(NaN);
  }

  /**
   * @param {number} cell
   * @param {number} value
   */
  set(cell, value) {
    const old = this.values[cell];
    // The replaced value may have been the lowest or highest: look at them all again, but only when asked.
    if (old === this.#low || old === this.#high) this.#stale = true;
    this.values[cell] = value;
    this.#sorted = null;
    this.#widen(value);
  }

  /**
   * Lowest and highest finite value.
   * @returns {[number, number] | null} null if there is none
   */
  get limits() {
    if (this.#stale) {
      this.#low = Infinity;
      this.#high = -Infinity;
      this.#stale = false;
      for (const value of this.values) this.#widen(value);
    }
    return this.#low <= this.#high ? [this.#low, this.#high] : null;
  }

  /** All finite values, ascending. */
  get sorted() {
    return (this.#sorted ??= this.values.filter(Number.isFinite).sort());
  }

  /**
   * The values that leave out as many of the lowest as of the highest, as `numpy.percentile` has them with the methods "lower" and "higher".
   * @param {number} share per cent of the values, below 50
   * @returns {[number, number] | null} null if there is none
   */
  percentiles(share) {
    const { sorted } = this;
    const last = sorted.length - 1;
    return last < 0 ? null : [sorted[Math.floor((share / 100) * last)], sorted[Math.ceil((1 - share / 100) * last)]];
  }

  /** The lowest value above zero; null if there is none. */
  get lowestPositive() {
    let lowest = Infinity;
    for (const value of this.values) if (value > 0 && value < lowest) lowest = value;
    return lowest < Infinity ? lowest : null;
  }

  /**
   * How many finite values lie in each of so many equal parts between the lowest and the highest.
   * @param {number} bins
   */
  histogram(bins) {
    const counts = new Uint32Array(bins);
    const [low, high] = this.limits ?? [0, 0];
    for (const value of this.values) if (Number.isFinite(value)) counts[high > low ? Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins)) : 0]++;
    return counts;
  }

  /** @param {number} value */
  #widen(value) {
    if (!Number.isFinite(value)) return;
    if (value < this.#low) this.#low = value;
    if (value > this.#high) this.#high = value;
  }
}

/**
 * Why a run cannot be drawn, in a sentence.
 * @param {Run} run
 * @returns {string | null} null if it can be drawn
 */
export function obstacle(run) {
  const size = (run.shape ?? []).reduce((product, length) => product * length, 1);
  if (!run.shape?.length || !run.channels?.length) return "No recipe fits this run, or no detector of it wrote frames: there is nothing to draw. It is recorded all the same.";
  if (!(size >= 1)) return `Its shape ${run.shape.join(" × ")} has a dimension without points.`;
  if (size > MOST_CELLS) return `Its shape ${run.shape.join(" × ")} is larger than a browser can draw.`;
  return null;
}

export class RunModel {
  /**
   * @param {Run} run one that has no {@link obstacle}
   * @param {string} revision
   */
  constructor(run, revision) {
    this.run = run;
    this.revision = revision;
    this.shape = run.shape ?? [];
    /** @type {Channel[]} */
    this.channels = run.channels ?? [];
    this.size = this.shape.reduce((product, length) => product * length, 1);
    /** @type {Map<string, ChannelMap>} */
    this.maps = new Map(this.channels.map(({ name }) => [name, new ChannelMap(this.size)]));
    /** Point shown in each cell, or -1. */
    this.pointAt = new Int32Array(this.size).fill(-1);
    /** Cell and point of each row, in order of arrival, and its values by channel; longer than `rows`. */
    this.cells = new Uint32Array(256);
    this.points = new Uint32Array(256);
    this.columns = new Map(this.channels.map(({ name }) => [name, new Float64Array(256)]));
    /** The latest version of each array. @type {Map<string, ArrayBlock>} */
    this.arrays = new Map();
    this.rows = 0;
    /** Points that have been measured; of a spiral several may share a cell, and of a masked grid cells stay without one. */
    this.measured = 0;
    /** The highest point that has been measured; -1 for none. */
    this.furthest = -1;
    /** By point, whether it has been measured. */
    this.seen = new Uint8Array(256);
    /** 0 where nobody knows. */
    this.pointsExpected = run.points_expected ?? 0;
  }

  /** The cell that was measured last, or null. */
  get latestCell() {
    return this.rows ? this.cells[this.rows - 1] : null;
  }

  /**
   * Add rows at the end. A later row for a cell replaces an earlier one.
   * @param {Block} block
   * @throws {RangeError} a row lies outside the run's shape
   */
  append({ rows, columns, pointsExpected }) {
    const cells = columns.get("cell");
    const points = columns.get("point");
    if (!cells || !points) throw new TypeError("rows without a cell or a point");
    this.cells = enlarged(this.cells, this.rows + rows);
    this.points = enlarged(this.points, this.rows + rows);
    for (let row = 0; row < rows; row++) {
      const cell = cells[row];
      if (cell >= this.size) throw new RangeError(`cell ${cell} lies outside the shape ${this.shape.join(" × ")}`);
      this.#count(points[row]);
      this.pointAt[cell] = points[row];
      this.cells[this.rows + row] = cell;
      this.points[this.rows + row] = points[row];
    }
    for (const [name, map] of this.maps) {
      const values = columns.get(name);
      const column = enlarged(this.columns.get(name) ?? new Float64Array(), this.rows + rows);
      if (values) for (let row = 0; row < rows; row++) map.set(cells[row], values[row]);
      column.fill(NaN, this.rows, this.rows + rows);
      if (values) column.set(values, this.rows);
      this.columns.set(name, column);
    }
    this.rows += rows;
    if (pointsExpected !== null) this.pointsExpected = pointsExpected;
  }

  /**
   * Rows that are here, as they came.
   * @param {number} first
   * @param {number} last exclusive
   * @returns {Block}
   */
  block(first, last) {
    const of = (/** @type {Float64Array | Uint32Array} */ column) => column.subarray(first, last);
    const values = [...this.columns].map(([name, column]) => /** @type {const} */ ([name, of(column)]));
    return { firstRow: first, rows: last - first, pointsExpected: null, arrived: null, columns: new Map([["point", of(this.points)], ["cell", of(this.cells)], ...values]) };
  }

  /** Points that were passed over: fewer than the one furthest on have been measured. */
  get missing() {
    return this.furthest + 1 - this.measured;
  }

  /**
   * A point that is measured again counts once.
   * @param {number} point
   */
  #count(point) {
    if (point >= MOST_CELLS) throw new RangeError(`point ${point} is none of a map that can be drawn`);
    this.seen = enlarged(this.seen, point + 1);
    if (!this.seen[point]) this.measured++;
    this.seen[point] = 1;
    if (point > this.furthest) this.furthest = point;
  }
}

/**
 * The array, or a copy with room for so many elements.
 * @template {Uint8Array | Uint32Array | Float64Array} T
 * @param {T} array
 * @param {number} length
 * @returns {T}
 */
function enlarged(array, length) {
  if (length <= array.length) return array;
  const grown = new /** @type {new (length: number) => T} */ (array.constructor)(Math.max(length, 2 * array.length));
  grown.set(array);
  return grown;
}
