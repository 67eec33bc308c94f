// How maps are drawn: what the person has chosen, kept by the browser from visit to visit.
import { Norm } from "./norm.js";

/** @typedef {import("./norm.js").Limits} Limits */
/** @typedef {import("./model.js").ChannelMap} ChannelMap */

const KEY = "wpb.look";

/** What is kept. Limits are not: those of yesterday's sample would darken today's. */
const DEFAULTS = {
  /** "hue" for a channel's own colours, else the name of a colour map. */
  colours: "hue",
  inverted: false,
  scale: /** @type {import("./norm.js").ScaleName} */ ("linear"),
  gamma: 1,
  /** Per cent of the values that are left out of the range at either end. */
  clip: 0,
  swapped: false,
  leftwards: false,
  downwards: false,
  /** The path from point to point: of those that were measured, and of those to come. */
  path: false,
  plan: false,
  /** One map large and the others beside it, all of one size, or one alone. */
  layout: /** @type {"large" | "even" | "one"} */ ("large"),
};

/** What a choice may be, where its type leaves more. @type {Record<string, readonly unknown[]>} */
export const CHOICES = {
  colours: ["hue", "viridis", "magma", "cividis", "grey"],
  scale: ["linear", "sqrt", "log", "symlog"],
  layout: ["large", "even", "one"],
  clip: [0, 0.1, 1, 5],
};
/** Of gamma. @type {readonly [number, number]} */
export const GAMMAS = [0.2, 5];

/**
 * @param {string} key
 * @param {unknown} value
 */
function allowed(key, value) {
  if (key === "gamma") return typeof value === "number" && value >= GAMMAS[0] && value <= GAMMAS[1];
  return CHOICES[key]?.includes(value) ?? typeof value === "boolean";
}

export class Look {
  /** Limits that were locked, by channel. @type {Map<string, Limits>} */
  locked = new Map();

  #kept;

  /** @param {boolean} kept whether the browser keeps what is chosen */
  constructor(kept) {
    this.#kept = kept;
    /** @type {typeof DEFAULTS} */
    this.chosen = { ...DEFAULTS };
    if (!kept) return;
    try {
      for (const [key, value] of Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"))) {
        if (key in DEFAULTS && allowed(key, value)) Object.assign(this.chosen, { [key]: value });
      }
    } catch {
      // A browser that keeps nothing for this page: choices last until it is closed.
    }
  }

  /**
   * @param {Partial<typeof DEFAULTS>} choice
   */
  choose(choice) {
    Object.assign(this.chosen, choice);
    if (!this.#kept) return;
    try {
      localStorage.setItem(KEY, JSON.stringify(this.chosen));
    } catch {
      // As above.
    }
  }

  /**
   * The values drawn with the first and the last colour: those that were locked, else as far as the map's go now.
   * @param {string} channel
   * @param {ChannelMap} map
   * @returns {Limits | null} null where nothing can be drawn
   */
  limits(channel, map) {
    if (map.signed) return map.limits;
    const limits = this.locked.get(channel) ?? (this.chosen.clip ? map.percentiles(this.chosen.clip) : map.limits);
    if (!limits || this.chosen.scale !== "log" || limits[0] > 0) return limits;
    const low = map.lowestPositive;
    return low === null || !(limits[1] > 0) ? null : [Math.min(low, limits[1]), limits[1]];
  }

  /**
   * @param {string} channel
   * @param {ChannelMap} map
   * @returns {Norm | null} null where nothing can be drawn
   */
  norm(channel, map) {
    const limits = this.limits(channel, map);
    return limits && (map.signed ? new Norm("linear", limits) : new Norm(this.chosen.scale, limits, this.chosen.gamma));
  }
}
