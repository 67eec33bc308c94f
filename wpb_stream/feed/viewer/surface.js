// A canvas as large as its box: drawn again when something changes, and told of what the pointer and the keys do on it.

/** A place on the canvas, in CSS pixels, and where the pointer was before. @typedef {{x: number, y: number, lastX: number, lastY: number}} Spot */
/**
 * @typedef {object} SurfaceListener
 * @property {(context: CanvasRenderingContext2D, width: number, height: number) => void} draw on an empty canvas, in CSS pixels
 * @property {(x: number, y: number) => void} [point] the pointer is there; NaN when it leaves
 * @property {(from: Spot, to: Spot) => void} [drag] from where a button was pressed, or the screen touched
 * @property {(x: number, y: number, steps: number) => void} [wheel] steps above 0 away from the person
 * @property {(key: string) => boolean} [key] gives whether the key did something
 */

export class Surface {
  #width = 0;
  #height = 0;
  #scheduled = false;

  /**
   * @param {HTMLCanvasElement} canvas alone in its box
   * @param {SurfaceListener} listener
   */
  constructor(canvas, listener) {
    this.canvas = canvas;
    this.listener = listener;
    new ResizeObserver(([{ contentRect }]) => {
      [this.#width, this.#height] = [contentRect.width, contentRect.height];
      this.redraw();
    }).observe(/** @type {HTMLElement} */ (canvas.parentElement));
    for (const query of ["(prefers-color-scheme: dark)", "(resolution)"]) matchMedia(query).addEventListener("change", () => this.redraw());
    this.#listen();
  }

  /** Draw at the next frame. */
  redraw() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    if (!this.#width || !this.#height) return;
    const { canvas } = this;
    const ratio = devicePixelRatio;
    Object.assign(canvas, { width: Math.round(this.#width * ratio), height: Math.round(this.#height * ratio) });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.listener.draw(context, this.#width, this.#height);
  }

  #listen() {
    const { canvas } = this;
    const { point, drag, wheel, key } = this.listener;
    /** @type {Spot | null} */ let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !drag) return;
      canvas.setPointerCapture(event.pointerId);
      from = { x: event.offsetX, y: event.offsetY, lastX: event.offsetX, lastY: event.offsetY };
    });
    canvas.addEventListener("pointermove", ({ offsetX: x, offsetY: y }) => {
      point?.(x, y);
      if (!from || !drag) return;
      drag(from, { x, y, lastX: from.lastX, lastY: from.lastY });
      Object.assign(from, { lastX: x, lastY: y });
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (from = null));
    canvas.addEventListener("pointerleave", () => point?.(NaN, NaN));
    if (wheel) {
      canvas.addEventListener("wheel", (event) => {
        event.preventDefault();
        wheel(event.offsetX, event.offsetY, -Math.sign(event.deltaY));
      }, { passive: false });
    }
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !key?.(event.key)) return;
      event.preventDefault();
    });
  }
}
