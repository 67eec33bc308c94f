// What of a run is on screen, and which way up: the last two dimensions of the slab that is being measured.
import { scaleOf } from "./scales.js";

/** @typedef {import("./model.js").RunModel} RunModel */

const EXTREME_RATIO = 4;

/**
 * Cells of the model, as places on the screen counted from the lower left corner. Positions ascend to the right and upwards,
 * whichever way the motors went: for an axis with `start < stop` the first point is at the left or at the bottom.
 */
export class View {
  /** @param {RunModel} model */
  constructor(model) {
    this.model = model;
    const { shape } = model;
    const axes = model.run.axes ?? [];
    /** Positions along every dimension, slow axis first. */
    this.scales = shape.map((count, dimension) => scaleOf(axes[dimension], count));
    this.x = this.scales[shape.length - 1];
    /** Null for a run of one dimension. */
    this.y = shape.length > 1 ? this.scales[shape.length - 2] : null;
    this.columns = this.x.count;
    this.rows = this.y?.count ?? 1;
    /** Cells on screen. */
    this.size = this.columns * this.rows;
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
    const column = inside % this.columns;
    const row = (inside - column) / this.columns;
    return { across: this.x.flipped ? this.columns - 1 - column : column, up: this.y?.flipped ? this.rows - 1 - row : row };
  }

  /**
   * The cell at a place; places outside are moved to the edge.
   * @param {number} across
   * @param {number} up
   */
  cellAt(across, up) {
    const right = Math.min(this.columns - 1, Math.max(0, Math.floor(across)));
    const above = Math.min(this.rows - 1, Math.max(0, Math.floor(up)));
    const column = this.x.flipped ? this.columns - 1 - right : right;
    const row = this.y?.flipped ? this.rows - 1 - above : above;
    return this.offset + row * this.columns + column;
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
