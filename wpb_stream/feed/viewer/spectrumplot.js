// Rows of numbers as lines over their index: the spectra of a point, one a detector element, or the profile along a line.
import { bottomAxis, leftAxis } from "./axes.js";
import { Norm } from "./norm.js";

/** @typedef {import("./axes.js").Box} Box */
/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** Values over each other's index, `columns` of them a row. @typedef {{values: import("./client.js").Column, columns: number, label: string}} Rows */
/** A part of the horizontal axis that is shaded, half-open, in whole values. @typedef {{from: number, to: number, colour: string, label: string}} Band */

/** Values across that are left at the largest zoom. */
const FEWEST = 4;
const ZOOM_STEP = 1.25;
/** Shades of the lines, when there are several: each lighter than the one before. */
const SHADES = ["#58a6ff", "#e8ae4a", "#4cc46a", "#ff7b72", "#b79cff", "#93a1b1"];

export class SpectrumPlot {
  /** @type {Box} */ #box = { left: 0, top: 0, width: 1, height: 1 };
  #zoom = 1;
  #first = 0;
  /** @type {[number, number]} */ #range = [0, 1];

  /** @param {Rows} rows */
  constructor(rows) {
    this.rows = rows;
  }

  /** Values across that are shown. */
  get #across() {
    return this.rows.columns / this.#zoom;
  }

  /**
   * @param {number} width
   * @param {number} height
   * @param {Theme} theme
   */
  layout(width, height, theme) {
    const [left, top, bottom] = [Math.round(theme.size * 4.6), 6, Math.round(theme.size * 2.6 + 8)];
    this.#box = { left, top, width: Math.max(1, width - left - theme.size), height: Math.max(1, height - top - bottom) };
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {boolean} logarithmic
   * @param {Band[]} bands
   */
  draw(context, theme, logarithmic, bands) {
    const box = this.#box;
    const { columns, label } = this.rows;
    const [first, stop] = [Math.floor(this.#first), Math.min(columns, Math.ceil(this.#first + this.#across))];
    const norm = this.#norm(first, stop, logarithmic);
    context.fillStyle = theme.ground;
    context.fillRect(box.left, box.top, box.width, box.height);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    for (const band of bands) this.#band(context, theme, band);
    const rows = this.rows.values.length / columns;
    for (let row = 0; row < rows; row++) this.#row(context, theme, row, first, stop, norm);
    context.restore();
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
    bottomAxis(context, box, this.#first - 0.5, this.#first + this.#across - 0.5, label, theme);
    if (logarithmic) decades(context, box, norm, theme);
    else leftAxis(context, box, ...norm.limits, "", 1, theme);
  }

  /**
   * The value that is drawn there, by its number.
   * @param {number} x
   * @returns {number | null} null beside the plot
   */
  indexAt(x) {
    const share = (x - this.#box.left) / this.#box.width;
    return !(share >= 0 && share < 1) ? null : Math.min(this.rows.columns - 1, Math.floor(this.#first + share * this.#across));
  }

  /**
   * Where a value is drawn, across.
   * @param {number} index
   */
  at(index) {
    return this.#box.left + ((index + 0.5 - this.#first) / this.#across) * this.#box.width;
  }

  /**
   * Show less, or more.
   * @param {number} steps above 0 for less
   * @param {number} [around] the number of the value that stays where it is; the middle if absent
   */
  zoom(steps, around = this.#first + this.#across / 2) {
    const share = (around - this.#first) / this.#across;
    this.#zoom = Math.min(Math.max(1, this.rows.columns / FEWEST), Math.max(1, this.#zoom * ZOOM_STEP ** steps));
    this.#moveTo(around - share * this.#across);
  }

  /**
   * Show another part.
   * @param {number} x how far it moves on the screen, in CSS pixels
   */
  move(x) {
    this.#moveTo(this.#first - (x / this.#box.width) * this.#across);
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
   */
  #norm(first, stop, logarithmic) {
    const { values, columns } = this.rows;
    let [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < values.length; i++) {
      const [column, value] = [i % columns, values[i]];
      if (column < first || column >= stop || !Number.isFinite(value) || (logarithmic && !(value > 0))) continue;
      [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    if (!(low <= high)) [low, high] = [1, 10];
    if (logarithmic) this.#range = [low / 1.3, high * 1.3];
    else {
      const margin = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.05 || 1;
      this.#range = [low - margin, high + margin];
    }
    return new Norm(logarithmic ? "log" : "linear", this.#range);
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {Band} band
   */
  #band(context, theme, { from, to, colour, label }) {
    const [left, right] = [this.at(from - 0.5), this.at(to - 0.5)];
    context.fillStyle = colour;
    context.globalAlpha = 0.22;
    context.fillRect(left, this.#box.top, Math.max(1, right - left), this.#box.height);
    context.globalAlpha = 1;
    context.font = `${theme.size}px ${theme.family}`;
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(label, left + 2, this.#box.top + 2);
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {number} row
   * @param {number} first
   * @param {number} stop
   * @param {Norm} norm
   */
  #row(context, theme, row, first, stop, norm) {
    const { values, columns } = this.rows;
    const { top, height } = this.#box;
    context.strokeStyle = values.length > columns ? SHADES[row % SHADES.length] : theme.accent;
    context.lineWidth = 1.2;
    context.lineJoin = "round";
    context.beginPath();
    let drawing = false;
    for (let column = first; column < stop; column++) {
      const value = values[row * columns + column];
      if (Number.isFinite(value)) {
        const [x, y] = [this.at(column), top + height * (1 - norm.share(value))];
        if (drawing) context.lineTo(x, y);
        else context.moveTo(x, y);
      }
      drawing = Number.isFinite(value);
    }
    context.stroke();
  }
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * A vertical axis of powers of ten.
 * @param {Context} context
 * @param {Box} box
 * @param {Norm} norm
 * @param {Theme} theme
 */
function decades(context, box, norm, theme) {
  const [low, high] = norm.limits.map(Math.log10);
  const step = Math.max(1, Math.ceil(((high - low) * theme.size * 2) / box.height));
  context.font = `${theme.size}px ${theme.family}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = theme.muted;
  for (let power = Math.ceil(low); power <= high; power += step) {
    const y = Math.round(box.top + box.height * (1 - norm.share(10 ** power)));
    context.fillRect(box.left - 5, y, 4, 1);
    const digits = [...String(Math.abs(power))].map((digit) => SUPERSCRIPT[Number(digit)]).join("");
    context.fillText(`10${power < 0 ? "⁻" : ""}${digits}`, box.left - 8, y + 1);
  }
}
