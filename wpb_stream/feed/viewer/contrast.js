// Which values of a frame are drawn with the darkest and the lightest colour, and how those between.
import { press, pressed } from "./buttons.js";
import { percentilesOf, rangeOf } from "./framestats.js";
import { CHOICES } from "./look.js";
import { Norm } from "./norm.js";
import { element, input } from "./page.js";

/** @typedef {import("./client.js").Column} Column */

/** Shares of the pixels that may be darker, and lighter, than what is told apart. */
const AUTOMATIC = [0.01, 0.99];
/** Steps of a slider, over the range of the frame's values. */
const STEPS = 1000;
/** Lowest and highest, as a field to type into and as a slider. */
const FIELDS = ["frame-low", "frame-high"];
const SLIDERS = ["frame-low-slider", "frame-high-slider"];

export class Contrast {
  /** @type {Column} */ #values = new Float64Array();
  /** @type {[number, number]} */ #range = [0, 1];
  /** @type {[number, number]} */ #limits = [0, 1];

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    // A channel's own hue is no choice: a frame is no channel.
    element("frame-colours").replaceChildren(...CHOICES.colours.filter((name) => name !== "hue").map((name) => new Option(String(name))));
    FIELDS.forEach((id, end) => input(id).addEventListener("change", () => this.#typed(end, input(id).valueAsNumber)));
    SLIDERS.forEach((id, end) => input(id).addEventListener("input", () => this.#typed(end, this.#range[0] + ((this.#range[1] - this.#range[0]) * input(id).valueAsNumber) / STEPS)));
    element("frame-auto").addEventListener("click", () => {
      this.#lock(false);
      this.look(this.#values);
      changed();
    });
    element("frame-lock").addEventListener("click", () => {
      this.#lock(!this.#locked);
      this.look(this.#values);
      changed();
    });
    for (const id of ["frame-scale", "frame-colours"]) element(id).addEventListener("change", changed);
  }

  get scale() {
    return /** @type {"linear" | "log"} */ (/** @type {HTMLSelectElement} */ (element("frame-scale")).value);
  }

  get colours() {
    return /** @type {HTMLSelectElement} */ (element("frame-colours")).value;
  }

  /** @returns {Norm} */
  get norm() {
    const [low, high] = this.#limits;
    if (this.scale === "linear") return new Norm("linear", [low, high]);
    // Of counts, zero is drawn as what has none: one below the first.
    const above = low > 0 ? low : Math.min(1, high > 0 ? high / 1000 : 1);
    return new Norm("log", [above, Math.max(high, above)]);
  }

  /**
   * Take the next frame: its limits are its own, unless they are locked.
   * @param {Column} values
   */
  look(values) {
    this.#values = values;
    this.#range = rangeOf(values) ?? [0, 1];
    if (!this.#locked) {
      const [low, high] = percentilesOf(values, AUTOMATIC) ?? this.#range;
      this.#limits = [low, high];
    }
    this.#show();
  }

  get #locked() {
    return pressed("frame-lock");
  }

  /** @param {boolean} on */
  #lock(on) {
    press("frame-lock", on);
  }

  /**
   * Somebody chose a limit: it stays, also for the next frame.
   * @param {number} end 0 for the lowest
   * @param {number} value
   */
  #typed(end, value) {
    if (!Number.isFinite(value)) return this.#show();
    this.#limits[end] = value;
    this.#lock(true);
    this.#show();
    this.changed();
  }

  #show() {
    const [low, high] = this.#range;
    this.#limits.forEach((limit, end) => {
      input(FIELDS[end]).value = String(Number(limit.toPrecision(6)));
      input(SLIDERS[end]).value = String(high > low ? Math.round((STEPS * (limit - low)) / (high - low)) : 0);
    });
  }
}
