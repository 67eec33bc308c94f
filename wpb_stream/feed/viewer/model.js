// One revision of a run: its rows scattered into maps.

/** @typedef {import("./client.js").Run} Run */
/** @typedef {import("./client.js").Channel} Channel */
/** @typedef {import("./client.js").Block} Block */
/** An array to be shown: one that the person asked for has a title. @typedef {import("./client.js").ArrayBlock & {title?: string}} ArrayBlock */

/** A map larger than this is not drawn: a browser tab could not hold it. */
const MOST_CELLS = 2 ** 24;

/** Values of one channel by cell; NaN where nothing has been measured. */
export class ChannelMap {
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
    /** Cell of each row, in order of arrival; longer than `rows`. */
    this.cells = new Uint32Array(256);
    /** The latest version of each array. @type {Map<string, ArrayBlock>} */
    this.arrays = new Map();
    this.rows = 0;
    /** Points that have been measured; of a spiral several may share a cell, and of a masked grid cells stay without one. */
    this.measured = 0;
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
    for (let row = 0; row < rows; row++) {
      const cell = cells[row];
      if (cell >= this.size) throw new RangeError(`cell ${cell} lies outside the shape ${this.shape.join(" × ")}`);
      this.#count(points[row]);
      this.pointAt[cell] = points[row];
      this.cells[this.rows + row] = cell;
    }
    for (const [name, map] of this.maps) {
      const values = columns.get(name);
      if (values) for (let row = 0; row < rows; row++) map.set(cells[row], values[row]);
    }
    this.rows += rows;
    if (pointsExpected !== null) this.pointsExpected = pointsExpected;
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
  }
}

/**
 * The array, or a copy with room for so many elements.
 * @template {Uint8Array | Uint32Array} T
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
