// The controls of a replay: a slider over the rows, steps, and playing.
import { press } from "./buttons.js";
import { element, text } from "./page.js";
import { Replay } from "./replay.js";
import { number } from "./scales.js";

/** @typedef {import("./model.js").RunModel} RunModel */

/** However long a scan was, it is played in about this. */
const PLAYED_S = 12;

export class ReplayBar {
  /** @type {Replay | null} */ #replay = null;
  #slider = /** @type {HTMLInputElement} */ (element("replay-row"));
  #playing = false;

  /** @param {(model: RunModel) => void} present draws a model */
  constructor(present) {
    this.present = present;
    this.#slider.addEventListener("input", () => {
      this.#stop();
      this.#to(Number(this.#slider.value));
    });
    element("replay-back").addEventListener("click", () => this.#step(-1));
    element("replay-on").addEventListener("click", () => this.#step(1));
    element("replay-play").addEventListener("click", () => {
      if (this.#playing) this.#stop();
      else this.#play();
    });
  }

  get open() {
    return this.#replay !== null;
  }

  /**
   * Begin with all rows that are there.
   * @param {RunModel} model
   */
  begin(model) {
    this.#replay = new Replay(model);
    this.#slider.max = String(model.rows);
    this.#to(model.rows);
  }

  /**
   * Draw what there is now, as ever.
   * @param {RunModel | null} model null if another run is drawn already
   */
  end(model) {
    this.#stop();
    this.#replay = null;
    element("replay").hidden = true;
    element("replay-open").setAttribute("aria-expanded", "false");
    if (model) this.present(model);
  }

  /** There may be more rows. */
  grown() {
    if (!this.#replay || Number(this.#slider.max) === this.#replay.model.rows) return;
    this.#slider.max = String(this.#replay.model.rows);
    this.#say();
  }

  /** @param {number} rows */
  #to(rows) {
    if (!this.#replay) return;
    this.#replay.to(rows);
    this.#slider.value = String(this.#replay.shown.rows);
    this.#say();
    this.present(this.#replay.shown);
  }

  #say() {
    const { shown, model } = /** @type {Replay} */ (this.#replay);
    const words = `${number(shown.rows)} of ${number(model.rows)}`;
    text("replay-text", words);
    this.#slider.setAttribute("aria-valuetext", `${words} points`);
  }

  /** @param {number} rows */
  #step(rows) {
    this.#stop();
    if (this.#replay) this.#to(this.#replay.shown.rows + rows);
  }

  #stop() {
    this.#playing = false;
    press("replay-play", false);
    text("replay-play", "Play");
  }

  #play() {
    if (!this.#replay) return;
    const { model, shown } = this.#replay;
    if (shown.rows >= model.rows) this.#to(0);
    this.#playing = true;
    press("replay-play", true);
    text("replay-play", "Pause");
    let place = this.#replay.shown.rows;
    let before = performance.now();
    const on = (/** @type {number} */ now) => {
      if (!this.#playing || this.#replay?.model !== model) return;
      place += ((now - before) / 1000) * Math.max(2, model.rows / PLAYED_S);
      before = now;
      this.#to(place);
      if (place < model.rows) requestAnimationFrame(on);
      else this.#stop();
    };
    requestAnimationFrame(on);
  }
}
