// A canvas as large as its box: drawn again when something changes, and told of what the pointer and the keys do on it.

/** A place on the canvas, in CSS pixels, and where the pointer was before. @typedef {{x: number, y: number, lastX: number, lastY: number}} Spot */
/**
 * @typedef {object} SurfaceListener
 * @property {(context: CanvasRenderingContext2D, width: number, height: number) => void} draw on an empty canvas, in CSS pixels
 * @property {(x: number, y: number) => void} [point] the pointer is there; NaN when it leaves
 * @property {(from: Spot, to: Spot) => void} [drag] from where a button was pressed, or the screen touched
 * @property {(x: number, y: number, factor: number) => void} [zoom] by the wheel or by two fingers; a factor above 1 to look closer
 * @property {(x: number, y: number) => void} [move] how far two fingers go together, in CSS pixels
 * @property {(key: string) => boolean} [key] gives whether the key did something
 */

/** Of one step of the wheel. */
export const ZOOM_STEP = 1.25;
/** What browsers give as one: pixels, or lines. */
const STEP_PX = 100;
const STEP_LINES = 3;

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
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    addEventListener("resize", () => this.redraw()); // also sent where the page is looked at more closely
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
    const { point, drag, zoom, move, key } = this.listener;
    /** @type {Spot | null} */ let from = null;
    /** Where fingers, or the mouse with its button pressed, are. @type {Map<number, [number, number]>} */ const held = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !drag) return;
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.offsetX, event.offsetY]);
      from = held.size > 1 ? null : { x: event.offsetX, y: event.offsetY, lastX: event.offsetX, lastY: event.offsetY };
    });
    canvas.addEventListener("pointermove", ({ pointerId, offsetX: x, offsetY: y }) => {
      point?.(x, y);
      if (held.size === 2 && held.has(pointerId)) {
        // What is under the fingers stays there.
        const before = pair([...held.values()]);
        const now = pair([...held.set(pointerId, [x, y]).values()]);
        if (before.apart > 0 && now.apart > 0) zoom?.(before.x, before.y, now.apart / before.apart);
        move?.(now.x - before.x, now.y - before.y);
      }
      if (!from || !drag) return;
      drag(from, { x, y, lastX: from.lastX, lastY: from.lastY });
      Object.assign(from, { lastX: x, lastY: y });
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(name, ({ pointerId }) => {
        held.delete(pointerId);
        from = null;
      });
    }
    canvas.addEventListener("pointerleave", () => point?.(NaN, NaN));
    if (zoom) {
      canvas.addEventListener("wheel", (event) => {
        event.preventDefault();
        // A wheel comes by whole steps, a hand on a touchpad by many small ones.
        const steps = -event.deltaY / (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? STEP_PX : STEP_LINES);
        zoom(event.offsetX, event.offsetY, ZOOM_STEP ** Math.min(1, Math.max(-1, steps)));
      }, { passive: false });
    }
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !key?.(event.key)) return;
      event.preventDefault();
    });
  }
}

/**
 * The middle between two places, and how far they are apart.
 * @param {[number, number][]} places
 */
function pair([[x, y], [otherX, otherY]]) {
  return { x: (x + otherX) / 2, y: (y + otherY) / 2, apart: Math.hypot(otherX - x, otherY - y) };
}
