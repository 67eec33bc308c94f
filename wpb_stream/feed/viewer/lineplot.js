// Channels of a run of one dimension, as lines over the motor's position.
import { axisLabel } from "./axes.js";
import { Lines, inksOf, spread } from "./lines.js";

/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** @typedef {import("./view.js").View} View */

/** Fewer points than this are marked one by one. */
const MARKED = 120;
/** What values are called that have no units in common: each line goes from its lowest to its highest. */
const SHARES = "share of each range";
/** The least part of the axis that is looked at. */
const CLOSEST = 1e-4;

export class LinePlot {
  #lines = new Lines();
  /** @type {import("./lines.js").Along} */ #y = { low: 0, high: 1, label: "" };
  /** What is drawn of each channel, in the order of the cells. @type {Map<string, ArrayLike<number>>} */ #drawn = new Map();
  #size = { width: 1, height: 1 };
  /** The part of the axis that is looked at, as shares of it. @type {[number, number]} */ #part = [0, 1];
  /** What the person drags over, in CSS pixels. @type {[number, number] | null} */ dragged = null;

  /**
   * @param {View} view
   * @param {import("./client.js").Channel | null} channel null for all of them together
   */
  constructor(view, channel) {
    this.view = view;
    this.channel = channel;
  }

  /** It is drawn no more. */
  close() {
    this.#lines.close();
  }

  get #channels() {
    return this.channel ? [this.channel] : this.view.model.channels;
  }

  /**
   * Find the vertical axis: the data or how they are drawn have changed.
   * @param {import("./look.js").Look} look
   */
  paint(look) {
    const channels = this.#channels;
    const common = channels.every(({ units }) => units === channels[0].units);
    const norms = [];
    this.#drawn.clear();
    for (const { name } of channels) {
      const map = this.view.model.maps.get(name);
      const norm = map && look.norm(name, map);
      if (!norm) continue;
      norms.push(norm);
      this.#drawn.set(name, common ? map.values : map.values.map((value) => (Number.isFinite(value) ? norm.share(value) : NaN)));
    }
    if (!common) this.#y = spread(0, 1, SHARES, false);
    else if (!norms.length) this.#y = spread(0, 1, channels[0].units, false);
    else {
      const [low, high] = [Math.min(...norms.map(({ limits }) => limits[0])), Math.max(...norms.map(({ limits }) => limits[1]))];
      this.#y = spread(low, high, channels[0].units, norms[0].scale === "log");
    }
  }

  /**
   * @param {Context} _context
   * @param {number} width
   * @param {number} height
   */
  layout(_context, width, height) {
    this.#size = { width, height };
  }

  /** The part of the axis that is looked at. @returns {import("./lines.js").Along} */
  get #x() {
    const { x } = this.view;
    const [from, to] = this.#part.map((share) => x.low + share * (x.high - x.low));
    return { low: from, high: to, label: axisLabel(x) };
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {import("./mapplot.js").Overlay} overlay
   */
  draw(context, theme, overlay) {
    const { model, columns, x } = this.view;
    const inks = inksOf(model.channels, theme);
    const step = (x.high - x.low) / columns;
    const places = Float64Array.from({ length: columns }, (_, across) => x.low + (across + 0.5) * step);
    const cells = Array.from({ length: columns }, (_, across) => this.view.cellAt(across, 0));
    const lines = this.#channels.map(({ name }) => {
      const values = this.#drawn.get(name) ?? [];
      const ink = /** @type {import("./lines.js").Ink} */ (inks.get(name));
      return { values: Float64Array.from(cells, (cell) => values[cell] ?? NaN), marked: columns <= MARKED, ...ink };
    });
    this.#lines.draw(context, this.#size, theme, this.#x, this.#y, places, lines);
    const { left, top, width, height } = this.#lines.box;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.fillStyle = lines.length === 1 ? lines[0].colour : theme.text;
    if (overlay.growing && model.latestCell !== null) this.#dot(context, model.latestCell);
    if (overlay.marked !== null) this.#dot(context, overlay.marked);
    if (overlay.cursor !== null) {
      context.fillStyle = theme.muted;
      context.fillRect(Math.round(this.#at(overlay.cursor, this.#y.low)[0]), top, 1, height);
      context.fillStyle = theme.text;
      this.#dot(context, overlay.cursor);
    }
    if (this.dragged) {
      context.fillStyle = theme.muted;
      context.globalAlpha = 0.25;
      context.fillRect(Math.min(...this.dragged), top, Math.abs(this.dragged[1] - this.dragged[0]), height);
    }
    context.restore();
  }

  /**
   * Mark a point on each line.
   * @param {Context} context
   * @param {number} cell
   */
  #dot(context, cell) {
    for (const values of this.#drawn.values()) {
      if (!Number.isFinite(values[cell])) continue;
      context.beginPath();
      context.arc(...this.#at(cell, values[cell]), 4.5, 0, 2 * Math.PI);
      context.fill();
    }
  }

  /**
   * Look closer at a part, or at all again.
   * @param {[number, number] | null} part its ends, in CSS pixels; null for all
   */
  zoom(part) {
    const { left, width } = this.#lines.box;
    const [from, to] = this.#part;
    const shares = part?.map((x) => from + (Math.min(1, Math.max(0, (x - left) / width))) * (to - from));
    if (!shares) this.#part = [0, 1];
    else if (shares[1] - shares[0] >= CLOSEST) this.#part = [shares[0], shares[1]];
  }

  /**
   * Where a point is drawn, on the first line.
   * @param {number} cell
   * @returns {{x: number, y: number, w: number, h: number} | null} in CSS pixels; null if it has not been measured
   */
  rect(cell) {
    const value = this.#drawn.get(this.#channels[0].name)?.[cell] ?? NaN;
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
    const { left, top, width, height } = this.#lines.box;
    if (x < left || y < top || x >= left + width || y >= top + height) return null;
    const [from, to] = this.#part;
    return this.view.cellAt((from + ((x - left) / width) * (to - from)) * this.view.columns, 0);
  }

  /**
   * @param {number} cell
   * @param {number} value
   */
  #at(cell, value) {
    const { x, columns } = this.view;
    const across = (this.view.place(cell)?.across ?? 0) + 0.5;
    return this.#lines.at(x.low + (across / columns) * (x.high - x.low), value);
  }
}
