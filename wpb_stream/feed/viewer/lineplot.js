// One channel of a run of one dimension, as a line over the motor's position.
import { axisLabel, bottomAxis, leftAxis } from "./axes.js";

/** @typedef {import("./axes.js").Box} Box */
/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** @typedef {import("./view.js").View} View */

/** Fewer points than this are marked one by one. */
const MARKED = 120;

export class LinePlot {
  /** @type {Box} */ #box = { left: 0, top: 0, width: 0, height: 0 };

  /**
   * @param {View} view
   * @param {import("./client.js").Channel} channel
   */
  constructor(view, channel) {
    this.view = view;
    this.channel = channel;
  }

  /** Nothing to prepare: lines are drawn from the values themselves. */
  paint() {}

  /**
   * @param {Context} _context
   * @param {number} width
   * @param {number} height
   * @param {Theme} theme
   */
  layout(_context, width, height, theme) {
    // A fixed margin: the plot must not jump as the numbers on its vertical axis grow.
    const left = Math.round(theme.size * 5.4);
    const top = Math.round(theme.size);
    const bottom = Math.round(theme.size * 2.6 + 8);
    this.#box = { left, top, width: Math.max(1, Math.round(width - left - theme.size)), height: Math.max(1, height - top - bottom) };
  }

  /** @returns {[number, number]} the vertical axis */
  get #range() {
    const [low, high] = this.view.model.maps.get(this.channel.name)?.limits ?? [0, 1];
    const margin = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.05 || 1;
    return [low - margin, high + margin];
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {import("./mapplot.js").Overlay} overlay
   */
  draw(context, theme, overlay) {
    const { x, model } = this.view;
    const box = this.#box;
    const values = model.maps.get(this.channel.name)?.values ?? new Float64Array();
    context.fillStyle = theme.ground;
    context.fillRect(box.left, box.top, box.width, box.height);
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
    bottomAxis(context, box, x.low, x.high, axisLabel(x), theme);
    leftAxis(context, box, ...this.#range, this.channel.units, 1, theme);
    const { colour } = this.channel;
    context.strokeStyle = context.fillStyle = colour === "red" || colour === "green" || colour === "blue" ? theme[colour] : theme.accent;
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.beginPath();
    let drawing = false;
    values.forEach((value, cell) => {
      if (Number.isFinite(value)) {
        const [px, py] = this.#at(cell, value);
        if (drawing) context.lineTo(px, py);
        else context.moveTo(px, py);
      }
      drawing = Number.isFinite(value);
    });
    context.stroke();
    const dot = (/** @type {number} */ cell, /** @type {number} */ radius) => {
      if (!Number.isFinite(values[cell])) return;
      context.beginPath();
      context.arc(...this.#at(cell, values[cell]), radius, 0, 2 * Math.PI);
      context.fill();
    };
    if (values.length <= MARKED) values.forEach((_, cell) => dot(cell, 2.2));
    if (overlay.growing && model.latestCell !== null) dot(model.latestCell, 4.5);
    if (overlay.marked !== null) dot(overlay.marked, 4.5);
    if (overlay.cursor === null) return;
    const across = Math.round(this.#at(overlay.cursor, 0)[0]);
    context.fillStyle = theme.muted;
    context.fillRect(across, box.top, 1, box.height);
    context.fillStyle = theme.text;
    dot(overlay.cursor, 4);
  }

  /**
   * Where a point is drawn.
   * @param {number} cell
   * @returns {{x: number, y: number, w: number, h: number} | null} in CSS pixels; null if it has not been measured
   */
  rect(cell) {
    const value = this.view.model.maps.get(this.channel.name)?.values[cell] ?? NaN;
    if (!Number.isFinite(value)) return null;
    const [x, y] = this.#at(cell, value);
    return { x: x - 2, y: y - 2, w: 4, h: 4 };
  }

  /**
   * The point nearest to a place on the canvas.
   * @param {number} x
   * @param {number} y
   * @returns {number | null} null beside the plot
   */
  cellAt(x, y) {
    const { left, top, width, height } = this.#box;
    if (x < left || y < top || x >= left + width || y >= top + height) return null;
    return this.view.cellAt(((x - left) / width) * this.view.columns, 0);
  }

  /**
   * @param {number} cell
   * @param {number} value
   * @returns {[number, number]}
   */
  #at(cell, value) {
    const { left, top, width, height } = this.#box;
    const [low, high] = this.#range;
    const across = (this.view.place(cell)?.across ?? 0) + 0.5;
    return [left + (across / this.view.columns) * width, top + height * (1 - (value - low) / (high - low))];
  }
}
