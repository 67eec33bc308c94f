// How fast points arrive.

const WINDOW_S = 5;
const FEWEST = 5;

export class Rate {
  /** When how many had arrived. @type {[number, number][]} */ #samples = [];

  /**
   * @param {number} total points so far
   * @param {number} now seconds
   */
  add(total, now) {
    this.#samples.push([now, total]);
    while (this.#samples.length > FEWEST && now - this.#samples[0][0] > WINDOW_S) this.#samples.shift();
  }

  /**
   * @param {number} now seconds
   * @returns {number | null} points a second; null while too few have arrived
   */
  perSecond(now) {
    const [first] = this.#samples;
    const last = this.#samples[this.#samples.length - 1];
    if (!first || last[0] === first[0]) return null;
    const interval = (last[0] - first[0]) / (this.#samples.length - 1);
    // Points that are overdue lower the rate.
    const until = now - last[0] > 2 * interval ? now : last[0];
    return (last[1] - first[1]) / (until - first[0]);
  }

  /** Seconds from point to point, while they came; null while too few have. @type {number | null} */
  get interval() {
    const [first] = this.#samples;
    const last = this.#samples[this.#samples.length - 1];
    return first && last[1] > first[1] ? (last[0] - first[0]) / (last[1] - first[1]) : null;
  }

  /**
   * Seconds since the last point.
   * @param {number} now seconds
   * @returns {number | null} null if there was none
   */
  silence(now) {
    const last = this.#samples[this.#samples.length - 1];
    return last ? now - last[0] : null;
  }
}
