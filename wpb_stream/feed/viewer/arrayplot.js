// An array that grows beside the maps: an image with row 0 at its top, or lines over the number of each value.
import { bottomAxis, colourBar, leftAxis } from "./axes.js";
import { colourMap, mapFor } from "./colour.js";
import { Lines, inksFor, spread } from "./lines.js";
import { offscreen } from "./mapplot.js";
import { Norm } from "./norm.js";
import { range } from "./scales.js";

/** @typedef {import("./axes.js").Box} Box */
/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** @typedef {import("./model.js").ArrayBlock} ArrayBlock */

const BAR = 10;
/** Rows at least this much longer than there are of them are spectra, drawn as lines rather than as an image. */
const LONG = 16;

/**
 * How an array is drawn; null for one that is not: of one value, of more than two dimensions, or with a dimension of none.
 * @param {ArrayBlock} array
 * @returns {"image" | "lines" | null}
 */
export function wayToDraw({ shape, values }) {
  if (values.length < 2 || shape.length > 2) return null;
  return shape.length === 1 || shape[1] >= LONG * shape[0] ? "lines" : "image";
}

export class ArrayPlot {
  /** @type {Box} */ #box = { left: 0, top: 0, width: 0, height: 0 };
  #lines = new Lines();
  #size = { width: 1, height: 1 };
  #log = false;
  #bar = offscreen(1, 256);
  #image = offscreen(1, 1);
  /** @type {Norm | null} */ #norm = null;

  /** @param {ArrayBlock} array one that there is a {@link wayToDraw} for */
  constructor(array) {
    this.array = array;
    this.channel = null;
    this.view = null;
  }

  /** It is drawn no more. */
  close() {
    this.#lines.close();
  }

  get #rows() {
    const { shape } = this.array;
    return shape.length === 1 ? 1 : shape[0];
  }

  get #columns() {
    return this.array.values.length / this.#rows;
  }

  /** What the picture shows, in words. */
  get summary() {
    return `${this.array.shape.join(" × ")}${this.#norm ? `, ${range(this.#norm.limits)}` : ""}`;
  }

  /** @param {import("./look.js").Look} look */
  paint({ chosen }) {
    const { values } = this.array;
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    this.#norm = low <= high ? new Norm("linear", [low, high]) : null;
    this.#log = chosen.scale === "log";
    if (wayToDraw(this.array) === "lines") return;
    if (this.#image.canvas.width !== this.#columns || this.#image.canvas.height !== this.#rows) this.#image = offscreen(this.#columns, this.#rows);
    const table = colourMap(mapFor(chosen.colours, null), chosen.inverted);
    const { pixels } = this.#image;
    for (let i = 0; i < pixels.length; i++) pixels[i] = this.#norm && Number.isFinite(values[i]) ? table[this.#norm.level(values[i])] : 0;
    this.#image.show();
    this.#bar.pixels.set([...table].reverse());
    this.#bar.show();
  }

  /**
   * @param {Context} _context
   * @param {number} width
   * @param {number} height
   * @param {Theme} theme
   */
  layout(_context, width, height, theme) {
    this.#size = { width, height };
    if (wayToDraw(this.array) === "lines") return;
    const left = Math.round(theme.size * 5.4);
    const top = Math.round(theme.size * 1.5);
    const bottom = Math.round(theme.size * 2.6 + 8);
    const across = Math.max(1, width - left - BAR - 16 - theme.size * 3.5);
    const down = Math.max(1, height - top - bottom);
    const scale = Math.min(across / this.#columns, down / this.#rows);
    const plot = { width: scale * this.#columns, height: scale * this.#rows };
    this.#box = {
      left: left + Math.round((across - plot.width) / 2), top: top + Math.round((down - plot.height) / 2),
      width: Math.max(1, Math.round(plot.width)), height: Math.max(1, Math.round(plot.height)),
    };
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   */
  draw(context, theme) {
    if (wayToDraw(this.array) === "lines") return this.#drawLines(context, theme);
    const box = this.#box;
    context.fillStyle = theme.ground;
    context.fillRect(box.left, box.top, box.width, box.height);
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#image.canvas, box.left, box.top, box.width, box.height);
    bottomAxis(context, box, -0.5, this.#columns - 0.5, "column", theme);
    leftAxis(context, box, -0.5, this.#rows - 0.5, "row", 1, theme, true);
    colourBar(context, { left: box.left + box.width + 10, top: box.top, width: BAR, height: box.height }, this.#bar.canvas, this.#norm, theme);
  }

  /**
   * Where a value of an image is drawn.
   * @param {number} index
   */
  rect(index) {
    const [w, h] = [this.#box.width / this.#columns, this.#box.height / this.#rows];
    return { x: this.#box.left + (index % this.#columns) * w, y: this.#box.top + Math.floor(index / this.#columns) * h, w, h };
  }

  /** Nothing here belongs to a cell of the map. */
  cellAt() {
    return null;
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   */
  #drawLines(context, theme) {
    const [low, high] = this.#norm?.limits ?? [0, 1];
    const [rows, columns] = [this.#rows, this.#columns];
    const lines = inksFor(rows, theme).map((ink, row) => ({ values: this.array.values.subarray(row * columns, (row + 1) * columns), marked: false, ...ink }));
    const y = spread(low, high, "", this.#log && low > 0);
    this.#lines.draw(context, this.#size, theme, { low: -0.5, high: columns - 0.5, label: "number" }, y, Array.from({ length: columns }, (_, i) => i), lines);
  }
}
