// From a value to a share of the colours, and back.

/** @typedef {[number, number]} Limits the values drawn with the first and the last colour */
/** @typedef {"linear" | "sqrt" | "log" | "symlog"} ScaleName */

/**
 * Increasing functions, with their inverses; `size` is that of the largest value. That of "sqrt" and "symlog" is odd, so that they know negative
 * values too; "symlog" is linear for values up to a thousandth of the largest, and a logarithm beyond.
 * @type {Record<ScaleName, {to: (value: number, size: number) => number, from: (value: number, size: number) => number}>}
 */
const FUNCTIONS = {
  linear: { to: (value) => value, from: (value) => value },
  sqrt: { to: (value) => Math.sign(value) * Math.sqrt(Math.abs(value)), from: (value) => Math.sign(value) * value ** 2 },
  log: { to: Math.log, from: Math.exp },
  symlog: {
    to: (value, size) => Math.sign(value) * Math.log1p((1000 * Math.abs(value)) / size),
    from: (value, size) => (Math.sign(value) * Math.expm1(Math.abs(value)) * size) / 1000,
  },
};

export class Norm {
  #from;
  #to;
  #size;
  #low;
  #span;

  /**
   * @param {ScaleName} scale
   * @param {Limits} limits for "log" above zero
   * @param {number} [gamma] the share is raised to this power: below 1 the dark becomes lighter
   */
  constructor(scale, limits, gamma = 1) {
    this.scale = scale;
    this.limits = limits;
    this.gamma = gamma;
    const [low, high] = limits;
    this.#size = Math.max(Math.abs(low), Math.abs(high)) || 1;
    ({ to: this.#to, from: this.#from } = FUNCTIONS[scale]);
    this.#low = this.#to(low, this.#size);
    this.#span = this.#to(high, this.#size) - this.#low;
  }

  /**
   * From 0 at the lower limit, and below it, to 1 at the upper one, and above it; one half where the limits are equal.
   * @param {number} value
   */
  share(value) {
    if (!(this.#span > 0)) return 0.5;
    // Zero has no logarithm, and what is below it neither: they are below every limit.
    const share = this.scale === "log" && !(value > 0) ? 0 : (this.#to(value, this.#size) - this.#low) / this.#span;
    const inside = Math.min(1, Math.max(0, share));
    return this.gamma === 1 ? inside : inside ** this.gamma;
  }

  /**
   * The value at a share: the inverse.
   * @param {number} share
   */
  value(share) {
    return this.#from(this.#low + this.#span * (this.gamma === 1 ? share : share ** (1 / this.gamma)), this.#size);
  }

  /**
   * The share as a number of 0 to 255, halves upwards.
   * @param {number} value
   */
  level(value) {
    return Math.round(255 * this.share(value));
  }
}
