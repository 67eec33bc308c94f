// What of a run is on screen, and which way up: the last two dimensions of the slab that is being measured.
import { scaleOf } from "./scales.js";

/** @typedef {import("./model.js").RunModel} RunModel */

const EXTREME_RATIO = 4;

/**
 * Which way up maps are drawn, whichever way the motors went.
 * @typedef {object} Orientation
 * @property {boolean} swapped the fast axis upwards, rather than to the right
 * @property {boolean} leftwards positions ascend to the left, rather than to the right
 * @property {boolean} downwards positions ascend downwards, rather than upwards
 */

/**
 * Cells of the model, as places on the screen counted from the lower left corner. Unless the orientation says otherwise, positions ascend
 * to the right and upwards: for an axis with `start < stop` the first point is at the left or at the bottom.
 */
export class View {
  #fast;
  #slow;

  /**
   * @param {RunModel} model what is drawn; another one of the same shape may take its place
   * @param {Orientation} orientation asked at each drawing; a run of one dimension has none
   */
  constructor(model, orientation) {
    this.model = model;
    this.orientation = orientation;
    const { shape } = model;
    const axes = model.run.axes ?? [];
    /** Positions along every dimension, slow axis first. */
    this.scales = shape.map((count, dimension) => scaleOf(axes[dimension], count));
    this.#fast = this.scales[shape.length - 1];
    this.#slow = shape.length > 1 ? this.scales[shape.length - 2] : null;
    /** Cells on screen. */
    this.size = this.#fast.count * (this.#slow?.count ?? 1);
  }

  get swapped() {
    return this.orientation.swapped && this.#slow !== null;
  }

  get x() {
    return this.swapped && this.#slow ? this.#slow : this.#fast;
  }

  /** Null for a run of one dimension. */
  get y() {
    return this.swapped ? this.#fast : this.#slow;
  }

  get columns() {
    return this.x.count;
  }

  get rows() {
    return this.y?.count ?? 1;
  }

  /** Whether positions descend to the right. */
  get leftwards() {
    return this.orientation.leftwards && this.y !== null;
  }

  /** Whether positions descend upwards. */
  get downwards() {
    return this.orientation.downwards && this.y !== null;
  }

  /** Whether the first point of the horizontal axis is at the right. */
  get fromRight() {
    return this.x.flipped !== this.leftwards;
  }

  /** Whether the first point of the vertical axis is at the top. */
  get fromTop() {
    return this.y !== null && this.y.flipped !== this.downwards;
  }

  /** The first cell of the slab on screen. */
  get offset() {
    const cell = this.model.latestCell ?? 0;
    return cell - (cell % this.size);
  }

  /** Height over width that shows lengths as they are, where both axes have the same units; else cells are square. */
  get aspect() {
    if (!this.y) return 1;
    const comparable = this.x.known && this.y.known && this.x.units === this.y.units;
    const ratio = comparable ? (this.y.high - this.y.low) / (this.x.high - this.x.low) : this.rows / this.columns;
    return Math.min(EXTREME_RATIO, Math.max(1 / EXTREME_RATIO, ratio));
  }

  /**
   * Where a cell is on the screen.
   * @param {number} cell
   * @returns {{across: number, up: number} | null} null if it is in another slab
   */
  place(cell) {
    const inside = cell - this.offset;
    if (inside < 0 || inside >= this.size) return null;
    const fast = inside % this.#fast.count;
    const slow = (inside - fast) / this.#fast.count;
    const [column, row] = this.swapped ? [slow, fast] : [fast, slow];
    return { across: this.fromRight ? this.columns - 1 - column : column, up: this.fromTop ? this.rows - 1 - row : row };
  }

  /**
   * The cell at a place; places outside are moved to the edge.
   * @param {number} across
   * @param {number} up
   */
  cellAt(across, up) {
    const right = Math.min(this.columns - 1, Math.max(0, Math.floor(across)));
    const above = Math.min(this.rows - 1, Math.max(0, Math.floor(up)));
    const column = this.fromRight ? this.columns - 1 - right : right;
    const row = this.fromTop ? this.rows - 1 - above : above;
    const [fast, slow] = this.swapped ? [row, column] : [column, row];
    return this.offset + slow * this.#fast.count + fast;
  }

  /**
   * Index of a cell along every dimension, slow axis first.
   * @param {number} cell
   */
  indices(cell) {
    const indices = [];
    for (const { count } of [...this.scales].reverse()) {
      indices.unshift(cell % count);
      cell = Math.floor(cell / count);
    }
    return indices;
  }
}
