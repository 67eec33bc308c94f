// Small pictures of runs, fetched once they come into sight: a list may be long, and a server that wants a token wants it for pictures too.
import { fetchWithToken } from "./token.js";

/** @typedef {import("./client.js").Run} Run */

/** Pixels below the visible part of the list whose pictures are fetched as well. */
const AHEAD = "200px";

export class Thumbnails {
  /** What is to be seen in each picture. @type {WeakMap<Element, Run>} */ #runs = new WeakMap();
  /** What is seen in it: of a run that goes on it is out of date after the next point. @type {WeakMap<Element, string>} */ #shown = new WeakMap();
  /** @type {Set<HTMLImageElement>} */ #visible = new Set();
  #observer;

  /** @param {Element} list the element that scrolls */
  constructor(list) {
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const image = /** @type {HTMLImageElement} */ (target);
        if (!isIntersecting) this.#visible.delete(image);
        else if (this.#visible.add(image)) void this.#load(image);
      }
    }, { root: list, rootMargin: AHEAD });
  }

  /**
   * Show a run in a picture, now or once it comes into sight.
   * @param {HTMLImageElement} image
   * @param {Run} run
   */
  show(image, run) {
    this.#runs.set(image, run);
    this.#observer.observe(image);
    if (this.#visible.has(image)) void this.#load(image);
  }

  /** @param {HTMLImageElement} image one that is taken off the page */
  forget(image) {
    this.#observer.unobserve(image);
    this.#visible.delete(image);
    this.#shown.delete(image);
    URL.revokeObjectURL(image.src);
  }

  /** @param {HTMLImageElement} image */
  async #load(image) {
    const run = this.#runs.get(image);
    if (!run?.shape.length || !run.rows) return;
    const wanted = `${run.uid} ${run.status} ${run.rows}`;
    if (this.#shown.get(image) === wanted) return;
    this.#shown.set(image, wanted);
    const answer = await fetchWithToken(`api/runs/${encodeURIComponent(run.uid)}/thumbnail.png`).catch(() => null);
    const picture = answer?.ok ? await answer.blob().catch(() => null) : null;
    if (this.#shown.get(image) !== wanted) return;
    if (!picture) return void this.#shown.delete(image); // asked again when the list is
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(picture);
  }
}
