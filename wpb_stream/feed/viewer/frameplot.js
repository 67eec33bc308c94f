// A detector's frame on a canvas: its pixels, as large as wanted, axes that count them, and what is drawn over them.
import { bottomAxis, colourBar, leftAxis } from "./axes.js";
import { offscreen } from "./mapplot.js";
import { isRectangle, rectangleOf } from "./regionshape.js";

/** @typedef {import("./axes.js").Box} Box */
/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** @typedef {import("./regionshape.js").Region} Region */
/** @typedef {import("./regionshape.js").Shape} Shape */
/** A place on the frame: the centre of the pixel in row 3 and column 5 is at 3, 5. @typedef {{row: number, column: number}} Place */
/**
 * A frame: `values` has `shape`, each value the mean of `block` x `block` pixels of the `full` frame.
 * @typedef {{values: import("./client.js").Column, shape: Shape, full: Shape, block: number}} Frame
 */
/** What is drawn over a frame: regions, those that are edited dashed, and a line. @typedef {{regions: {region: Region, colour: string, label: string, edited: boolean}[], line: [Place, Place] | null}} Overlay */

/** Pixels across that are left of the shorter side at the largest zoom. */
const FEWEST = 2;
/** Width of the colour bar. */
const BAR = 10;

export class FramePlot {
  /** @type {Box} */ #box = { left: 0, top: 0, width: 1, height: 1 };
  #image = offscreen(1, 1);
  #bar = offscreen(1, 256);
  /** @type {import("./norm.js").Norm | null} */ #norm = null;
  #zoom = 1;
  /** The upper left corner of what is shown, in pixels from that of the frame. */ #corner = { row: 0, column: 0 };

  /** @param {Frame} frame */
  constructor(frame) {
    this.frame = frame;
  }

  /** Whether less than the whole frame is shown. */
  get zoomed() {
    return this.#zoom > 1;
  }

  /** Rows and columns that are shown. */
  get #shown() {
    const [height, width] = this.frame.full;
    return { rows: height / this.#zoom, columns: width / this.#zoom };
  }

  /**
   * Compute the pixels anew.
   * @param {import("./norm.js").Norm | null} norm
   * @param {Uint32Array} table of 256 colours
   */
  paint(norm, table) {
    const { values, shape: [height, width] } = this.frame;
    if (this.#image.canvas.width !== width || this.#image.canvas.height !== height) this.#image = offscreen(width, height);
    const { pixels } = this.#image;
    const colour = (/** @type {number} */ value) => (norm && Number.isFinite(value) ? table[norm.level(value)] : 0);
    if (values instanceof Uint8Array || values instanceof Uint16Array) {
      // Of counts there are fewer than pixels.
      const colours = Uint32Array.from({ length: 2 ** (8 * values.BYTES_PER_ELEMENT) }, (_, value) => colour(value));
      for (let i = 0; i < pixels.length; i++) pixels[i] = colours[values[i]];
    } else for (let i = 0; i < pixels.length; i++) pixels[i] = colour(values[i]);
    this.#image.show();
    this.#norm = norm;
    this.#bar.pixels.set([...table].reverse());
    this.#bar.show();
  }

  /**
   * @param {number} width
   * @param {number} height
   * @param {Theme} theme
   */
  layout(width, height, theme) {
    const [left, top, bottom] = [Math.round(theme.size * 4.6), Math.round(theme.size * 1.5), Math.round(theme.size * 2.6 + 8)];
    const right = BAR + 16 + theme.size * 3.3;
    const [across, down] = [Math.max(1, width - left - right), Math.max(1, height - top - bottom)];
    const [rows, columns] = this.frame.full;
    const scale = Math.min(across / columns, down / rows);
    const [w, h] = [Math.max(1, Math.round(scale * columns)), Math.max(1, Math.round(scale * rows))];
    this.#box = { left: left + Math.round((across - w) / 2), top, width: w, height: h };
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {Overlay} overlay
   */
  draw(context, theme, { regions, line }) {
    const box = this.#box;
    const { row, column } = this.#corner;
    const { rows, columns } = this.#shown;
    const { block } = this.frame;
    context.fillStyle = theme.ground;
    context.fillRect(box.left, box.top, box.width, box.height);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#image.canvas, column / block, row / block, columns / block, rows / block, box.left, box.top, box.width, box.height);
    for (const each of regions) this.#outline(context, theme, each);
    if (line) this.#line(context, line);
    context.restore();
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
    bottomAxis(context, box, column - 0.5, column + columns - 0.5, "column", theme);
    leftAxis(context, box, row - 0.5, row + rows - 0.5, "row", Math.max(1, box.left - theme.size * 4.4), theme, true);
    colourBar(context, { left: box.left + box.width + 10, top: box.top, width: BAR, height: box.height }, this.#bar.canvas, this.#norm, theme);
  }

  /**
   * Where a place on the frame is drawn, in CSS pixels from the canvas' upper left corner.
   * @param {Place} place
   * @returns {[number, number]}
   */
  at({ row, column }) {
    const { rows, columns } = this.#shown;
    const { left, top, width, height } = this.#box;
    return [left + ((column + 0.5 - this.#corner.column) / columns) * width, top + ((row + 0.5 - this.#corner.row) / rows) * height];
  }

  /**
   * The place on the frame that is drawn there.
   * @param {number} x
   * @param {number} y
   * @param {boolean} [clipped] whether places beside the plot count as those on its edge
   * @returns {Place | null} null beside the plot
   */
  placeAt(x, y, clipped = false) {
    const { left, top, width, height } = this.#box;
    const { rows, columns } = this.#shown;
    const [across, down] = [(x - left) / width, (y - top) / height];
    if (!clipped && !(across >= 0 && across < 1 && down >= 0 && down < 1)) return null;
    const inside = (/** @type {number} */ share) => Math.min(1 - 1e-9, Math.max(0, share));
    return { row: this.#corner.row + inside(down) * rows - 0.5, column: this.#corner.column + inside(across) * columns - 0.5 };
  }

  /**
   * Show less of the frame, or more.
   * @param {number} factor above 1 for less
   * @param {Place} [around] the place that stays where it is; the middle if absent
   */
  zoom(factor, around = this.#middle) {
    const most = Math.max(1, Math.min(...this.frame.full) / FEWEST);
    const before = this.#shown;
    const share = { row: (around.row + 0.5 - this.#corner.row) / before.rows, column: (around.column + 0.5 - this.#corner.column) / before.columns };
    this.#zoom = Math.min(most, Math.max(1, this.#zoom * factor));
    const { rows, columns } = this.#shown;
    this.#moveTo(around.row + 0.5 - share.row * rows, around.column + 0.5 - share.column * columns);
  }

  /**
   * Show another part of the frame.
   * @param {number} x how far the frame moves on the screen, in CSS pixels
   * @param {number} y
   */
  move(x, y) {
    const { rows, columns } = this.#shown;
    this.#moveTo(this.#corner.row - (y / this.#box.height) * rows, this.#corner.column - (x / this.#box.width) * columns);
  }

  /** Show the whole frame. */
  whole() {
    this.#zoom = 1;
    this.#moveTo(0, 0);
  }

  get #middle() {
    const { rows, columns } = this.#shown;
    return { row: this.#corner.row + rows / 2 - 0.5, column: this.#corner.column + columns / 2 - 0.5 };
  }

  /**
   * @param {number} row
   * @param {number} column
   */
  #moveTo(row, column) {
    const { rows, columns } = this.#shown;
    const [height, width] = this.frame.full;
    this.#corner = { row: Math.min(height - rows, Math.max(0, row)), column: Math.min(width - columns, Math.max(0, column)) };
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {Overlay["regions"][number]} drawn
   */
  #outline(context, theme, { region, colour, label, edited }) {
    const [pixel] = [this.#box.height / this.#shown.rows];
    const { top, bottom, left, right } = rectangleOf(region, this.frame.full);
    const [x, y] = this.at({ row: top - 0.5, column: left - 0.5 });
    const [x2, y2] = this.at({ row: bottom - 0.5, column: right - 0.5 });
    context.beginPath();
    if (region.ellipse) context.ellipse(...this.at(place(region.ellipse.centre)), region.ellipse.radii[1] * pixel, region.ellipse.radii[0] * pixel, 0, 0, 2 * Math.PI);
    else if (region.annulus) {
      const { centre, inner, outer } = region.annulus;
      for (const radius of [inner, outer]) {
        const [across, down] = this.at(place(centre));
        context.moveTo(across + radius * pixel, down);
        context.arc(across, down, radius * pixel, 0, 2 * Math.PI);
      }
    } else if (region.polygon) {
      for (const corner of region.polygon) context.lineTo(...this.at(place(corner)));
      context.closePath();
    } else if (isRectangle(region)) context.rect(x + 1, y + 1, Math.max(0, x2 - x - 2), Math.max(0, y2 - y - 2));
    stroke(context, colour, edited);
    context.font = `${theme.size}px ${theme.family}`;
    context.textAlign = "left";
    context.textBaseline = "top";
    context.lineWidth = 3;
    context.strokeStyle = "rgb(0 0 0 / 0.7)";
    context.strokeText(label, x + 5, y + 5);
    context.fillStyle = colour;
    context.fillText(label, x + 5, y + 5);
  }

  /**
   * @param {Context} context
   * @param {[Place, Place]} line
   */
  #line(context, line) {
    context.beginPath();
    for (const end of line) context.lineTo(...this.at(end));
    stroke(context, "white", false);
    for (const end of line) {
      context.beginPath();
      context.arc(...this.at(end), 3, 0, 2 * Math.PI);
      stroke(context, "white", false);
    }
  }
}

/**
 * @param {Shape} shape
 * @returns {Place}
 */
function place([row, column]) {
  return { row, column };
}

/**
 * Stroke on black, so that it is seen over any colour.
 * @param {Context} context
 * @param {string} colour
 * @param {boolean} dashed
 */
function stroke(context, colour, dashed) {
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = "rgb(0 0 0 / 0.6)";
  context.stroke();
  context.setLineDash(dashed ? [6, 4] : []);
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  context.stroke();
  context.setLineDash([]);
}
