// The picture in the frame's window: an image with the regions on it, or spectra, and what pointer and keys do to it.
import { wayToDraw } from "./arrayplot.js";
import { colourMap } from "./colour.js";
import { Contrast } from "./contrast.js";
import { FramePlot } from "./frameplot.js";
import { profileOf } from "./framestats.js";
import { element, text } from "./page.js";
import { RegionEditor } from "./regionedit.js";
import { number } from "./scales.js";
import { SpectrumPlot } from "./spectrumplot.js";
import { readTheme } from "./stage.js";
import { Surface, ZOOM_STEP } from "./surface.js";

/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./frameplot.js").Frame} Frame */
/** @typedef {import("./frameplot.js").Place} Place */

/** Rows and columns that a frame is shown with until somebody looks closer. */
export const FIRST_SIZE = 512;
/** Pixels of a frame up to which the regions of the maps are measured on each: all of them have to be fetched for that. */
const MEASURED = 2 ** 22;
/** Of outlines on a frame, which is as dark where the page is light. @type {Record<string, string>} */
const INK = { red: "#ff7b72", green: "#4cc46a", blue: "#6cb0ff" };
/** How far an arrow key moves the frame, in CSS pixels. */
const STEP_PX = 40;

export class FramePicture {
  /** @type {Frame | null} */ #frame = null;
  /** @type {FramePlot | SpectrumPlot | null} */ #plot = null;
  /** Where the pointer is on the canvas; NaN while it is elsewhere. @type {[number, number]} */ #pointer = [NaN, NaN];
  #contrast = new Contrast(() => this.#repaint());
  editor = new RegionEditor(() => this.#edited());
  #surface = new Surface(/** @type {HTMLCanvasElement} */ (element("frame-canvas")), {
    draw: (context, width, height) => this.#draw(context, width, height),
    point: (x, y) => {
      this.#pointer = [x, y];
      this.#read();
    },
    drag: (from, to) => this.#drag(from, to),
    zoom: (x, y, factor) => this.#zoom(factor, x, y),
    move: (x, y) => {
      this.#plot?.move(x, y);
      this.#redraw();
    },
    key: (key) => this.#key(key),
  });
  #profilePlot = new SpectrumPlot({ values: new Float64Array(), columns: 1, label: "pixels along the line" });
  #profile = new Surface(/** @type {HTMLCanvasElement} */ (element("frame-profile")), { draw: (context, width, height) => this.#drawProfile(context, width, height) });

  /** @param {() => void} changed regions have changed, or more of the pixels are needed */
  constructor(changed) {
    this.changed = changed;
  }

  /** The frame, if all of its pixels are here. */
  get whole() {
    return this.#frame?.block === 1 ? this.#frame : null;
  }

  /** Whether the pixels themselves are looked at, and not means of some. */
  get closely() {
    const [height, width] = this.#frame?.full ?? [0, 0];
    if (this.editor.drawn || (this.editor.measuring && height * width <= MEASURED)) return true;
    return this.#plot instanceof FramePlot ? this.#plot.zoomed : this.lines;
  }

  /**
   * Where the middle of a pixel is drawn, in CSS pixels from the upper left corner of the canvas.
   * @param {number} row
   * @param {number} column
   */
  at(row, column) {
    return this.#plot instanceof FramePlot ? this.#plot.at({ row, column }) : null;
  }

  get lines() {
    return this.#plot instanceof SpectrumPlot;
  }

  /** @param {import("./client.js").ArrayBlock | null} array null for none */
  see(array) {
    if (array) this.#see(array);
    else {
      this.#frame = null;
      this.#take(null);
    }
    this.#read();
    this.#repaint();
  }

  /** @param {import("./client.js").ArrayBlock} array */
  #see({ shape, values, fullShape = shape }) {
    const [height, width] = fullShape;
    // As the server makes them: the smallest blocks that make it fit.
    const block = fullShape === shape ? 1 : Math.max(...fullShape.map((length) => Math.ceil(length / FIRST_SIZE)));
    const alike = this.#frame?.full.join() === fullShape.join();
    this.#frame = { values, shape: [shape[0], shape[1]], full: [height, width], block };
    if (wayToDraw({ name: "", shape: fullShape, values }) === "lines") {
      const rows = { values, columns: shape[1], label: "channel" };
      if (this.#plot instanceof SpectrumPlot && this.#plot.rows.columns === rows.columns) this.#plot.rows = rows;
      else this.#take(new SpectrumPlot(rows));
    } else {
      if (alike && this.#plot instanceof FramePlot) this.#plot.frame = this.#frame;
      else this.#take(new FramePlot(this.#frame));
      this.#contrast.look(values);
    }
    this.editor.over(this.#frame.full);
  }

  /** @param {FramePlot | SpectrumPlot | null} plot in place of the one there is */
  #take(plot) {
    if (this.#plot instanceof SpectrumPlot) this.#plot.close();
    this.#plot = plot;
  }

  /** Other pixels, or other colours for them. */
  #repaint() {
    if (this.#plot instanceof FramePlot) this.#plot.paint(this.#contrast.norm, colourMap(this.#contrast.colours));
    this.#redraw();
  }

  #redraw() {
    element("frame-profile-box").hidden = !this.editor.line;
    element("frame-canvas").setAttribute("aria-label", this.#frame ? `${this.#frame.full.join(" × ")} pixels` : "No frame");
    this.#surface.redraw();
    this.#profile.redraw();
  }

  /** Something was drawn on the frame, or it is looked at more closely. */
  #edited() {
    this.changed();
    this.#redraw();
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  #draw(context, width, height) {
    const theme = readTheme(this.#surface.canvas);
    const { regions, line } = this.editor;
    this.#plot?.layout(width, height, theme);
    const coloured = regions.map((each) => ({ ...each, colour: INK[each.colour] ?? each.colour }));
    if (this.#plot instanceof FramePlot) this.#plot.draw(context, theme, { regions: coloured, line });
    else if (this.#plot) {
      const bands = coloured.filter(({ region }) => Number(region.columns?.[1])).map(({ region, colour, label }) => {
        const [from, to] = (region.columns ?? []).map(Number);
        return { from, to, colour, label };
      });
      this.#plot.draw(context, theme, this.#contrast.scale === "log", bands);
    }
  }

  /**
   * @param {Context} context
   * @param {number} width
   * @param {number} height
   */
  #drawProfile(context, width, height) {
    const { line } = this.editor;
    const { whole } = this;
    if (!line || !whole) return;
    const [from, to] = line.map(({ row, column }) => /** @type {[number, number]} */ ([row, column]));
    const values = profileOf(whole.values, whole.full, from, to);
    const plot = this.#profilePlot;
    plot.rows = { ...plot.rows, values, columns: values.length };
    const theme = readTheme(this.#profile.canvas);
    plot.layout(width, height);
    plot.draw(context, theme, false, []);
    element("frame-profile").setAttribute("aria-label", `Values along the line: ${[...values].map(number).join(", ").slice(0, 500)}`);
  }

  // ---- pointer and keys

  /** Say what is under the pointer. */
  #read() {
    const frame = this.#frame;
    const [x, y] = this.#pointer;
    if (this.#plot instanceof SpectrumPlot && frame) {
      const index = this.#plot.indexAt(x);
      const values = index === null ? [] : Array.from({ length: frame.shape[0] }, (_, row) => number(frame.values[row * frame.shape[1] + index]));
      return text("frame-readout", index === null ? "" : `channel ${index}: ${values.join(", ")}`);
    }
    const place = this.#plot instanceof FramePlot ? this.#plot.placeAt(x, y) : null;
    if (!place || !frame) return text("frame-readout", "");
    const [row, column] = [Math.round(place.row), Math.round(place.column)];
    const value = frame.values[Math.floor(row / frame.block) * frame.shape[1] + Math.floor(column / frame.block)];
    text("frame-readout", `row ${row}, column ${column}: ${number(value)}${frame.block > 1 ? ` (mean of ${frame.block} × ${frame.block})` : ""}`);
  }

  /**
   * @param {import("./surface.js").Spot} from where it began, and where it was before
   * @param {import("./surface.js").Spot} to
   */
  #drag(from, to) {
    const plot = this.#plot;
    if (plot instanceof SpectrumPlot || this.editor.tool === "move") plot?.move(to.x - from.lastX, to.y - from.lastY);
    else if (plot) {
      const [one, other] = [from, to].map(({ x, y }) => /** @type {Place} */ (plot.placeAt(x, y, true)));
      this.editor.drag(one, other);
    }
    this.#redraw();
  }

  /**
   * @param {number} factor
   * @param {number} [x] what is there stays where it is; else what is in the middle
   * @param {number} [y]
   */
  #zoom(factor, x = NaN, y = NaN) {
    if (this.#plot instanceof SpectrumPlot) this.#plot.zoom(factor, this.#plot.indexAt(x) ?? undefined);
    else this.#plot?.zoom(factor, this.#plot.placeAt(x, y) ?? undefined);
    this.#read();
    this.#edited();
  }

  /**
   * @param {string} key
   * @returns {boolean} whether it did something
   */
  #key(key) {
    /** @type {Record<string, [number, number]>} */
    const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[key];
    if (key === "+" || key === "=") this.#zoom(ZOOM_STEP);
    else if (key === "-") this.#zoom(1 / ZOOM_STEP);
    else if (key === "0") this.#plot?.whole();
    else if (step) this.#plot?.move(step[0] * STEP_PX, step[1] * STEP_PX);
    else return false;
    this.#redraw();
    return true;
  }
}
