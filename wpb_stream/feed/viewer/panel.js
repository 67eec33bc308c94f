// A figure on the page: caption, canvas, and what pointer and keys do on it.

import { LinePlot } from "./lineplot.js";
import { MapPlot } from "./mapplot.js";
import { pictureButton } from "./picture.js";

/** @typedef {MapPlot | LinePlot | import("./arrayplot.js").ArrayPlot} Plot */

/**
 * What a panel tells the page.
 * @typedef {object} PanelListener
 * @property {(cell: number | null) => void} point the person points at this cell, or no longer at any
 * @property {(cell: number) => void} pick the person wants to look closer at this cell
 * @property {() => "region" | "line" | null} tool what the person draws by dragging; null for nothing
 * @property {(from: number, to: number) => void} select the person drags, or moves with the shift key, from one cell to another
 * @property {() => void} selected the person has let go
 * @property {() => void} enlarge the person wants to see this picture large
 * @property {() => void} resized it has to be drawn again
 */

/** Pixels that the pointer moves at most in a click. */
const TREMBLE = 4;

export class Panel {
  #width = 0;
  #height = 0;
  /** @type {string} */ #label = "";

  /**
   * @param {Plot} plot
   * @param {string} name what tests and style sheets know it by
   * @param {string} title
   * @param {PanelListener} listener
   */
  constructor(plot, name, title, listener) {
    this.plot = plot;
    this.name = name;
    this.title = title;
    this.listener = listener;
    this.canvas = document.createElement("canvas");
    this.canvas.dataset.channel = name;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.figure = document.createElement("figure");
    this.note = document.createElement("span");
    const caption = document.createElement("figcaption");
    this.heading = document.createElement("h2");
    this.heading.textContent = title;
    this.enlarge = document.createElement("button");
    this.enlarge.type = "button";
    this.enlarge.className = "enlarge";
    this.enlarge.title = this.enlarge.ariaLabel = `Enlarge ${title}`;
    this.enlarge.textContent = "⤢";
    this.enlarge.addEventListener("click", () => listener.enlarge());
    caption.append(this.heading, this.note, pictureButton(this), this.enlarge);
    const frame = document.createElement("div");
    frame.append(this.canvas);
    this.figure.append(caption, frame);
    this.#listen();
    this.observer = new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#height = contentRect.height;
      listener.resized();
    });
    this.observer.observe(frame);
  }

  /** Take the panel off the page. */
  remove() {
    this.observer.disconnect();
    this.plot.close();
    this.figure.remove();
  }

  /** @param {string} title */
  retitle(title) {
    this.title = title;
    this.heading.textContent = title;
  }

  /**
   * Show it or not, large or not.
   * @param {"hidden" | "small" | "large"} size
   */
  size(size) {
    this.figure.hidden = size === "hidden";
    this.figure.dataset.size = size;
    this.enlarge.hidden = size === "large";
  }

  /**
   * Say in words what the picture shows.
   * @param {string} summary
   */
  describe(summary) {
    const label = `${this.title}: ${summary}`;
    if (label === this.#label) return;
    this.#label = label;
    this.canvas.setAttribute("aria-label", label);
  }

  /**
   * @param {import("./axes.js").Theme} theme
   * @param {import("./mapplot.js").Overlay} overlay
   * @param {import("./look.js").Look | null} repaint how to, if data or colours have changed
   */
  draw(theme, overlay, repaint) {
    if (this.figure.hidden) return;
    if (repaint) this.plot.paint(repaint);
    if (!this.#width || !this.#height) return;
    const ratio = devicePixelRatio;
    const { canvas } = this;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const [width, height] = [Math.round(this.#width * ratio), Math.round(this.#height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.#width, this.#height);
    this.plot.layout(context, this.#width, this.#height, theme);
    this.plot.draw(context, theme, overlay);
  }

  #listen() {
    const { canvas, listener } = this;
    const point = (/** @type {PointerEvent} */ { offsetX, offsetY }) => {
      listener.point(this.plot.cellAt(offsetX, offsetY));
      if (this.#anchor !== null && this.plot instanceof MapPlot) listener.select(this.#anchor, this.plot.cellNear(offsetX, offsetY));
    };
    canvas.addEventListener("pointermove", (event) => {
      point(event);
      if (this.#from !== null && this.plot instanceof LinePlot) {
        this.plot.dragged = [this.#from, event.offsetX];
        listener.resized();
      }
    });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.#anchor = listener.tool() ? this.plot.cellAt(event.offsetX, event.offsetY) : null;
      this.#from = this.plot instanceof LinePlot && this.plot.cellAt(event.offsetX, event.offsetY) !== null ? event.offsetX : null;
      if (this.#anchor !== null || this.#from !== null) canvas.setPointerCapture(event.pointerId);
      point(event);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#letGo());
    canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const cell = this.#zoomed ? null : this.plot.cellAt(offsetX, offsetY);
      if (cell !== null && !listener.tool()) listener.pick(cell);
    });
    canvas.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && listener.point(null));
    canvas.addEventListener("blur", () => listener.point(null));
    /** @type {Record<string, [number, number]>} */
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    canvas.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (event.key === "Escape") {
        listener.point(null);
        this.#zoom(null);
      }
      if (event.key === "Enter" && this.cursor !== null) listener.pick(this.cursor);
      if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const from = this.cursor;
      this.#step(...step);
      this.#anchor = event.shiftKey ? (this.#anchor ?? from) : null;
      if (this.#anchor !== null && this.cursor !== null && listener.tool()) listener.select(this.#anchor, this.cursor);
    });
    canvas.addEventListener("keyup", ({ key }) => {
      if (key === "Shift") this.#letGo();
    });
  }

  /**
   * Look closer at a part of a line, or at all of it.
   * @param {[number, number] | null} part
   */
  #zoom(part) {
    if (!(this.plot instanceof LinePlot)) return;
    this.plot.zoom(part);
    this.listener.resized();
  }

  #letGo() {
    if (this.plot instanceof LinePlot) {
      const { dragged } = this.plot;
      this.plot.dragged = this.#from = null;
      // A hand that trembles has not dragged.
      this.#zoomed = dragged !== null && Math.abs(dragged[1] - dragged[0]) > TREMBLE;
      if (dragged && this.#zoomed) this.#zoom(dragged[1] > dragged[0] ? dragged : null);
    }
    if (this.#anchor !== null && this.listener.tool()) this.listener.selected();
    this.#anchor = null;
  }

  /** Where on a line the person began to drag, in CSS pixels. @type {number | null} */
  #from = null;
  /** Whether the button that was let go had been dragged: then it is no click. */
  #zoomed = false;

  /** Where the person began to draw. @type {number | null} */
  #anchor = null;

  /** The cell pointed at, kept by the page for all panels. @type {number | null} */
  cursor = null;

  /**
   * @param {number} right
   * @param {number} up
   */
  #step(right, up) {
    const { view } = this.plot;
    if (!view) return;
    const place = this.cursor === null ? null : view.place(this.cursor);
    this.listener.point(place ? view.cellAt(place.across + right, place.up + up) : view.model.latestCell ?? view.cellAt(0, 0));
  }
}
