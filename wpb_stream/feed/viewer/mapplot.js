// A map on a canvas: cells, axes in motor units, colour bar, the current point and the cursor.
import { axisLabel, bottomAxis, colourBar, fitting, leftAxis, widest } from "./axes.js";
import { colourMap, mapFor, paintChannel, paintComposite } from "./colour.js";
import { twoTone } from "./ink.js";
import { ticks } from "./scales.js";
import { drawSelection } from "./selection.js";

/** @typedef {import("./axes.js").Box} Box */
/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** @typedef {import("./view.js").View} View */

/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./norm.js").Norm} Norm */

/**
 * What is drawn over the data.
 * @typedef {object} Overlay
 * @property {number | null} cursor the cell pointed at
 * @property {number | null} marked the cell whose frame is shown
 * @property {boolean} growing whether the latest cell is marked
 * @property {Uint32Array | null} path the cells that were measured, in their order
 * @property {number[] | null} plan the cells to come
 * @property {import("./selection.js").Selection | null} selection
 */

const BAR = 10;
/** Cells of at least so many pixels are seen beside a path over them; over smaller ones it is thin. */
const CLEAR = 5;
/** Width left for the numbers of a colour bar, in digits: fixed, so that the map does not jump as its limits grow. */
const BAR_DIGITS = 5.5;

/**
 * @param {number} width
 * @param {number} height
 */
export function offscreen(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  return { canvas, pixels: new Uint32Array(image.data.buffer), show: () => context.putImageData(image, 0, 0) };
}

export class MapPlot {
  #bar = offscreen(1, 256);
  /** @type {Box} */ #box = { left: 0, top: 0, width: 0, height: 0 };
  #barLeft = 0;
  #labelAt = 0;

  /**
   * @param {View} view
   * @param {import("./client.js").Channel | null} channel null for the composite
   */
  constructor(view, channel) {
    this.view = view;
    this.channel = channel;
    const [slow, fast] = view.model.shape.slice(-2);
    this.#image = offscreen(fast, slow);
  }

  #image;
  /** Of a channel that can be drawn. @type {Norm | null} */ #norm = null;

  /** It is drawn no more: there is nothing to give back. */
  close() {}

  /** Whether there is a colour bar, rather than the composite's legend. */
  get #hasBar() {
    return this.channel !== null;
  }

  /**
   * Compute the pixels anew: the data or the colours have changed.
   * @param {Look} look
   */
  paint(look) {
    const { model, offset } = this.view;
    if (this.channel) {
      const { name, colour } = this.channel;
      const map = model.maps.get(name);
      const table = map?.signed ? colourMap("difference") : colourMap(mapFor(look.chosen.colours, colour), look.chosen.inverted);
      this.#norm = (map && look.norm(name, map)) ?? null;
      if (map && this.#norm) paintChannel(this.#image.pixels, map, offset, table, this.#norm);
      else this.#image.pixels.fill(0);
      this.#bar.pixels.set([...table].reverse());
      this.#bar.show();
    } else {
      const parts = ["red", "green", "blue"].map((colour) => {
        const channel = model.channels.find((each) => each.colour === colour);
        const map = channel && model.maps.get(channel.name);
        const norm = map && look.norm(channel.name, map);
        return norm ? { map, norm } : null;
      });
      paintComposite(this.#image.pixels, parts, offset);
    }
    this.#image.show();
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   * @param {Theme} theme
   */
  layout(context, width, height, theme) {
    const { y, aspect } = this.view;
    if (!y) return;
    const top = theme.size * (this.#hasBar ? 1.5 : 0.8);
    const bottom = theme.size * 2.6 + 8;
    const room = Math.max(1, height - top - bottom);
    const digits = widest(context, theme, ticks(y.low, y.high, fitting(room, theme.size * 3)).labels);
    const left = theme.size * 1.4 + digits + 10;
    const right = this.#hasBar ? BAR + 16 + theme.size * BAR_DIGITS * 0.6 : theme.size * 0.8;
    const across = Math.max(1, width - left - right);
    const plotWidth = Math.round(Math.min(across, room / aspect));
    const plotHeight = Math.round(Math.min(room, across * aspect));
    const spare = Math.round((across - plotWidth) / 2);
    this.#box = {
      left: Math.round(left) + spare,
      top: Math.round(top + (room - plotHeight) / 2),
      width: Math.max(1, plotWidth),
      height: Math.max(1, plotHeight),
    };
    this.#labelAt = spare + 1;
    this.#barLeft = this.#box.left + this.#box.width + 10;
  }

  /**
   * @param {Context} context
   * @param {Theme} theme
   * @param {Overlay} overlay
   */
  draw(context, theme, overlay) {
    const { view } = this;
    const { x, y, model } = view;
    const box = this.#box;
    if (!y) return;
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.fillStyle = theme.hatch;
    context.fillRect(box.left, box.top, box.width, box.height);
    hatch(context, box, theme);
    context.save();
    context.imageSmoothingEnabled = false;
    const [across, up] = [box.width / view.columns, box.height / view.rows];
    context.translate(box.left + (view.fromRight ? box.width : 0), box.top + (view.fromTop ? 0 : box.height));
    context.scale(view.fromRight ? -across : across, view.fromTop ? up : -up);
    // Pixels are in the order of the cells: along the fast axis first.
    if (view.swapped) context.transform(0, 1, 1, 0, 0, 0);
    context.drawImage(this.#image.canvas, 0, 0);
    context.restore();
    context.strokeStyle = theme.line;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
    bottomAxis(context, box, x.low, x.high, axisLabel(x), theme, view.leftwards);
    leftAxis(context, box, y.low, y.high, axisLabel(y), this.#labelAt, theme, view.downwards);
    if (this.channel) {
      const bar = { left: this.#barLeft, top: box.top, width: BAR, height: box.height };
      colourBar(context, bar, this.#bar.canvas, this.#norm, theme);
    }
    if (overlay.plan) this.#path(context, overlay.plan, true);
    if (overlay.path) this.#path(context, overlay.path, false);
    if (overlay.growing && model.latestCell !== null) outline(context, this.rect(model.latestCell), 3);
    if (overlay.marked !== null) outline(context, this.rect(overlay.marked), 3);
    if (overlay.selection) drawSelection(context, this, overlay.selection);
    if (overlay.cursor !== null) crosshair(context, box, this.rect(overlay.cursor));
  }

  /**
   * Where a cell is drawn.
   * @param {number} cell
   * @returns {{x: number, y: number, w: number, h: number} | null} in CSS pixels from the canvas' upper left corner; null if in another slab
   */
  rect(cell) {
    const place = this.view.place(cell);
    if (!place) return null;
    const w = this.#box.width / this.view.columns;
    const h = this.#box.height / this.view.rows;
    return { x: this.#box.left + place.across * w, y: this.#box.top + (this.view.rows - 1 - place.up) * h, w, h };
  }

  /**
   * The cell under a place on the canvas.
   * @param {number} x
   * @param {number} y
   * @returns {number | null} null beside the map
   */
  cellAt(x, y) {
    const { left, top, width, height } = this.#box;
    if (x < left || y < top || x >= left + width || y >= top + height) return null;
    return this.cellNear(x, y);
  }

  /**
   * The cell nearest to a place on the canvas, which may be beside the map.
   * @param {number} x
   * @param {number} y
   */
  cellNear(x, y) {
    const { left, top, width, height } = this.#box;
    return this.view.cellAt(((x - left) / width) * this.view.columns, (1 - (y - top) / height) * this.view.rows);
  }

  /**
   * @param {Context} context
   * @param {Iterable<number>} cells
   * @param {boolean} ahead whether they are still to come
   */
  #path(context, cells, ahead) {
    context.save();
    if (ahead) context.setLineDash([3, 4]);
    context.beginPath();
    for (const cell of cells) {
      const rect = this.rect(cell);
      if (rect) context.lineTo(rect.x + rect.w / 2, rect.y + rect.h / 2);
    }
    const [across, up] = [this.#box.width / this.view.columns, this.#box.height / this.view.rows];
    if (Math.min(across, up) >= CLEAR) twoTone(context, 1);
    else {
      context.lineWidth = 0.5;
      context.strokeStyle = "rgb(255 255 255 / 0.6)";
      context.stroke();
    }
    context.restore();
  }
}

/**
 * Cells not measured: hatched, so that they are told from dark ones.
 * @param {Context} context
 * @param {Box} box
 * @param {Theme} theme
 */
function hatch(context, { left, top, width, height }, theme) {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.beginPath();
  for (let x = -height; x < width; x += 7) {
    context.moveTo(left + x, top + height);
    context.lineTo(left + x + height, top);
  }
  context.strokeStyle = theme.line;
  context.globalAlpha = 0.5;
  context.stroke();
  context.restore();
}

/**
 * @param {Context} context
 * @param {{x: number, y: number, w: number, h: number} | null} rect
 * @param {number} margin
 */
function outline(context, rect, margin) {
  if (!rect) return;
  const grow = Math.max(margin - 2, (8 - Math.min(rect.w, rect.h)) / 2);
  context.beginPath();
  context.rect(rect.x - grow, rect.y - grow, rect.w + 2 * grow, rect.h + 2 * grow);
  twoTone(context, 1.5);
}

/**
 * @param {Context} context
 * @param {Box} box
 * @param {{x: number, y: number, w: number, h: number} | null} rect
 */
function crosshair(context, box, rect) {
  if (!rect) return;
  // On half pixels, where a line of one pixel is sharp.
  const x = Math.floor(rect.x + rect.w / 2) + 0.5;
  const y = Math.floor(rect.y + rect.h / 2) + 0.5;
  context.beginPath();
  for (const [x1, y1, x2, y2] of [
    [box.left, y, rect.x, y], [rect.x + rect.w, y, box.left + box.width, y],
    [x, box.top, x, rect.y], [x, rect.y + rect.h, x, box.top + box.height],
  ]) {
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
  }
  context.rect(rect.x, rect.y, rect.w, rect.h);
  twoTone(context, 1);
}
