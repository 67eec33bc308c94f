// The controls of how maps are drawn: colours, scale, axes, and for each channel its histogram and limits.
import { isPrimary } from "./colour.js";
import { GAMMAS } from "./look.js";
import { element } from "./page.js";
import { number } from "./scales.js";

/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./model.js").ChannelMap} ChannelMap */
/** @typedef {import("./view.js").View} View */

const BINS = 64;
const SELECTS = /** @type {const} */ (["colours", "scale", "clip", "layout"]);
const SWITCHES = /** @type {const} */ (["path", "plan", "inverted", "swapped", "leftwards", "downwards"]);

/**
 * The controls that choose for all maps.
 * @param {Look} look
 * @param {() => void} changed called after each choice
 */
export function wireLook(look, changed) {
  /** @param {Partial<Look["chosen"]>} choice */
  const choose = (choice) => {
    look.choose(choice);
    changed();
  };
  for (const key of SELECTS) {
    const select = /** @type {HTMLSelectElement} */ (element(key));
    select.value = String(look.chosen[key]);
    select.addEventListener("change", () => choose({ [key]: key === "clip" ? Number(select.value) : select.value }));
  }
  for (const key of SWITCHES) {
    const button = element(key);
    button.setAttribute("aria-pressed", String(look.chosen[key]));
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!look.chosen[key]));
      choose({ [key]: !look.chosen[key] });
    });
  }
  const gamma = /** @type {HTMLInputElement} */ (element("gamma"));
  gamma.value = String(Math.log2(look.chosen.gamma));
  const say = () => (element("gamma-value").textContent = number(Number(look.chosen.gamma.toPrecision(2))));
  say();
  gamma.addEventListener("input", () => {
    choose({ gamma: Math.min(GAMMAS[1], Math.max(GAMMAS[0], 2 ** Number(gamma.value))) });
    say();
  });
}

/** One channel's histogram with its limits, which can be dragged, typed and locked. */
class Levels {
  /** The limit that is dragged. @type {0 | 1 | null} */ #dragged = null;

  /**
   * @param {import("./client.js").Channel} channel
   * @param {Look} look
   * @param {() => void} changed
   */
  constructor(channel, look, changed) {
    this.channel = channel;
    this.look = look;
    this.changed = changed;
    this.row = document.createElement("li");
    const name = document.createElement("b");
    const title = channel.label || channel.name;
    name.textContent = title;
    name.dataset.colour = isPrimary(channel.colour) ? channel.colour : "none";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.fields = ["Lowest", "Highest"].map((end, i) => {
      const field = document.createElement("input");
      field.inputMode = "decimal";
      field.ariaLabel = `${end} value of ${title}`;
      field.addEventListener("change", () => this.#type(i === 0 ? 0 : 1));
      return field;
    });
    this.lock = document.createElement("button");
    this.lock.type = "button";
    this.lock.textContent = "Lock";
    this.lock.title = "Keep these limits, for the next runs too, until it is pressed again";
    this.lock.addEventListener("click", () => this.#toggle());
    this.row.append(name, this.canvas, ...this.fields, this.lock);
    this.#listen();
  }

  /** @type {ChannelMap | null} */ #map = null;

  /** @param {ChannelMap} map */
  show(map) {
    this.#map = map;
    const { name } = this.channel;
    const locked = this.look.locked.has(name);
    const limits = this.look.limits(name, map);
    this.fields.forEach((field, i) => {
      if (document.activeElement !== field) field.value = limits ? String(Number(limits[i].toPrecision(6))) : "";
    });
    this.lock.setAttribute("aria-pressed", String(locked));
    this.row.dataset.locked = String(locked);
    this.#draw(map, limits);
  }

  /**
   * @param {ChannelMap} map
   * @param {[number, number] | null} limits
   */
  #draw(map, limits) {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    Object.assign(canvas, { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const style = getComputedStyle(canvas);
    const counts = map.histogram(BINS);
    const most = Math.max(1, ...counts);
    context.fillStyle = style.color;
    // By their roots, so that a few values beside many are seen.
    counts.forEach((count, i) => {
      const tall = Math.ceil(Math.sqrt(count / most) * height);
      context.fillRect((i * width) / BINS, height - tall, width / BINS - 0.5, tall);
    });
    context.fillStyle = style.getPropertyValue("--accent");
    for (const limit of limits ?? []) context.fillRect(Math.round(Math.min(width - 2, Math.max(0, this.#across(limit, map) * width - 1))), 0, 2, height);
    canvas.ariaLabel = `Histogram of ${this.channel.label || this.channel.name}: ${number(counts.reduce((total, count) => total + count, 0))} values, ${limits ? limits.map((limit) => number(Number(limit.toPrecision(3)))).join(" to ") : "none drawn"}`;
  }

  /**
   * Where a value is, as a share of the histogram's width.
   * @param {number} value
   * @param {ChannelMap} map
   */
  #across(value, map) {
    const [low, high] = map.limits ?? [0, 0];
    return high > low ? (value - low) / (high - low) : 0.5;
  }

  #listen() {
    const { canvas } = this;
    const drag = (/** @type {PointerEvent} */ { offsetX }) => {
      const range = this.#map?.limits;
      if (this.#dragged === null || !range) return;
      const value = range[0] + (Math.min(1, Math.max(0, offsetX / canvas.clientWidth))) * (range[1] - range[0]);
      this.#fix(this.#dragged, value);
    };
    canvas.addEventListener("pointerdown", (event) => {
      const limits = this.#map && this.look.limits(this.channel.name, this.#map);
      if (!limits || !this.#map) return;
      const [low, high] = limits.map((limit) => Math.abs(this.#across(limit, /** @type {ChannelMap} */ (this.#map)) * canvas.clientWidth - event.offsetX));
      this.#dragged = low <= high ? 0 : 1;
      canvas.setPointerCapture(event.pointerId);
      drag(event);
    });
    canvas.addEventListener("pointermove", drag);
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.#dragged = null));
  }

  /** @param {0 | 1} end */
  #type(end) {
    const field = this.fields[end];
    const value = Number(field.value.trim().replace(",", ".").replace("−", "-"));
    const fine = field.value.trim() !== "" && Number.isFinite(value) && this.#fix(end, value);
    field.setCustomValidity(fine ? "" : "Needs a number, the lowest value below the highest.");
    field.reportValidity();
  }

  /**
   * Lock one limit where it is put, and the other one where it is.
   * @param {0 | 1} end
   * @param {number} value
   */
  #fix(end, value) {
    const { name } = this.channel;
    const limits = this.#map && this.look.limits(name, this.#map);
    const fixed = /** @type {[number, number]} */ (limits ? [...limits] : [value, value]);
    fixed[end] = value;
    if (!(fixed[0] < fixed[1])) return false;
    this.look.locked.set(name, fixed);
    this.changed();
    return true;
  }

  #toggle() {
    const { name } = this.channel;
    const limits = this.#map && this.look.limits(name, this.#map);
    if (!this.look.locked.delete(name) && limits) this.look.locked.set(name, limits);
    this.changed();
  }
}

/** The limits of all channels of the run on screen. */
export class LevelsList {
  /** @type {Levels[]} */ #rows = [];
  /** @type {import("./client.js").Channel[]} */ #channels = [];

  /**
   * @param {HTMLElement} host
   * @param {Look} look
   * @param {() => void} changed
   */
  constructor(host, look, changed) {
    this.host = host;
    this.look = look;
    this.changed = changed;
  }

  /** @param {View} view */
  show({ model }) {
    // Those of differences are not chosen.
    const channels = model.channels.filter(({ name }) => !model.maps.get(name)?.signed);
    if (JSON.stringify(channels) !== JSON.stringify(this.#channels)) {
      this.#channels = channels;
      this.#rows = channels.map((channel) => new Levels(channel, this.look, this.changed));
      this.host.replaceChildren(...this.#rows.map(({ row }) => row));
    }
    for (const row of this.#rows) {
      const map = model.maps.get(row.channel.name);
      if (map) row.show(map);
    }
  }
}
