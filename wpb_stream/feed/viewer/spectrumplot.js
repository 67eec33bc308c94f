// Rows of numbers as lines over their index: the spectra of a point, one a detector element, or the profile along a line.
import { Lines, inksFor, spread } from "./lines.js";

/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** Values over each other's index, `columns` of them a row. @typedef {{values: import("./client.js").Column, columns: number, label: string}} Rows */
/** A part of the horizontal axis that is shaded, half-open, in whole values. @typedef {{from: number, to: number, colour: string, label: string}} Band */

/** Values across that are left at the largest zoom. */
const FEWEST = 4;

export class SpectrumPlot {
  #lines = new Lines();
  #size = { width: 1, height: 1 };
  #zoom = 1;
  #first = 0;

  /** @param {Rows} rows */
  constructor(rows) {
    this.rows = rows;
  }

  /** It is drawn no more. */
  close() {
    this.#lines.close();
  }

  /** Values across that are shown. */
  get #across() {
    return this.rows.columns / this.#zoom;
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  layout(width, height) {
    this.#size = { width, height };
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {boolean} logarithmic
   * @param {Band[]} bands
   */
  draw(context, theme, logarithmic, bands) {
    const { values, columns, label } = this.rows;
    const [first, stop] = [Math.floor(this.#first), Math.min(columns, Math.ceil(this.#first + this.#across))];
    const count = values.length / columns;
    const lines = inksFor(count, theme).map((ink, row) => ({ values: values.subarray(row * columns + first, row * columns + stop), marked: false, ...ink }));
    const x = { low: this.#first - 0.5, high: this.#first + this.#across - 0.5, label };
    this.#lines.draw(context, this.#size, theme, x, this.#range(first, stop, logarithmic), Array.from({ length: stop - first }, (_, i) => first + i), lines);
    for (const band of bands) this.#band(context, theme, band);
  }

  /**
   * The value that is drawn there, by its number.
   * @param {number} x
   * @returns {number | null} null beside the plot
   */
  indexAt(x) {
    const { left, width } = this.#lines.box;
    const share = (x - left) / width;
    return !(share >= 0 && share < 1) ? null : Math.min(this.rows.columns - 1, Math.floor(this.#first + share * this.#across));
  }

  /**
   * Where a value is drawn, across.
   * @param {number} index
   */
  at(index) {
    const { left, width } = this.#lines.box;
    return left + ((index + 0.5 - this.#first) / this.#across) * width;
  }

  /**
   * Show less, or more.
   * @param {number} factor above 1 for less
   * @param {number} [around] the number of the value that stays where it is; the middle if absent
   */
  zoom(factor, around = this.#first + this.#across / 2) {
    const share = (around - this.#first) / this.#across;
    this.#zoom = Math.min(Math.max(1, this.rows.columns / FEWEST), Math.max(1, this.#zoom * factor));
    this.#moveTo(around - share * this.#across);
  }

  /**
   * Show another part.
   * @param {number} x how far it moves on the screen, in CSS pixels
   */
  move(x) {
    this.#moveTo(this.#first - (x / this.#lines.box.width) * this.#across);
  }

  /** Show all. */
  whole() {
    this.#zoom = 1;
    this.#first = 0;
  }

  /** @param {number} first */
  #moveTo(first) {
    this.#first = Math.min(this.rows.columns - this.#across, Math.max(0, first));
  }

  /**
   * The vertical axis: of what is shown across.
   * @param {number} first
   * @param {number} stop
   * @param {boolean} logarithmic
   * @returns {import("./lines.js").Along}
   */
  #range(first, stop, logarithmic) {
    const { values, columns } = this.rows;
    let [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < values.length; i++) {
      const [column, value] = [i % columns, values[i]];
      if (column < first || column >= stop || !Number.isFinite(value) || (logarithmic && !(value > 0))) continue;
      [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    if (!(low <= high)) [low, high] = [1, 10];
    return spread(low, high, "", logarithmic);
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {Band} band
   */
  #band(context, theme, { from, to, colour, label }) {
    const box = this.#lines.box;
    const [left, right] = [this.at(from - 0.5), this.at(to - 0.5)];
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    context.fillStyle = colour;
    context.globalAlpha = 0.22;
    context.fillRect(left, box.top, Math.max(1, right - left), box.height);
    context.globalAlpha = 1;
    context.font = `${theme.size}px ${theme.family}`;
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(label, left + 2, box.top + 2);
    context.restore();
  }
}
