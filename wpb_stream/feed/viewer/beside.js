// A second run beside the one on screen: the same cell is pointed at in both, and their colours mean the same values if that is wanted.
import { write } from "./address.js";
import { press, pressed } from "./buttons.js";
import { LiveStage } from "./livestage.js";
import { STATUS_WORDS, clock, element, nameOf, text } from "./page.js";
import { number } from "./scales.js";

/** @typedef {import("./stage.js").Stage} Stage */

export class Beside {
  /** @type {LiveStage | null} */ #live = null;
  #uid = "";
  /** The limits that are held here, by channel. @type {Map<string, import("./look.js").Limits>} */ #held = new Map();

  /**
   * @param {Stage} main
   * @param {import("./look.js").Look} look of both
   * @param {import("./client.js").Feed} feed
   */
  constructor(main, look, feed) {
    this.main = main;
    this.look = look;
    this.feed = feed;
    element("beside-limits").addEventListener("click", () => {
      press("beside-limits", !this.#same);
      this.level();
    });
  }

  get #same() {
    return this.#live !== null && pressed("beside-limits");
  }

  /** @param {string} uid empty for none */
  show(uid) {
    if (uid === this.#uid) return;
    this.#uid = uid;
    this.#live?.close();
    this.#live = null;
    element("beside").hidden = !uid;
    document.body.dataset.beside = String(Boolean(uid));
    this.level();
    if (!uid) return;
    this.#live = new LiveStage(element("beside-plots"), this.look, this.feed, uid, {
      changed: () => this.#changed(),
      said: (sentence) => text("beside-said", sentence),
      pointed: (cell) => this.#mirrors && this.main.point(cell),
    });
  }

  /** Whether a cell of one is the same cell of the other. */
  get #mirrors() {
    const [one, other] = [this.main.model, this.#live?.stage.model];
    return Boolean(one && other && one.shape.join() === other.shape.join());
  }

  /** @param {number | null} cell the one that is pointed at in the first run */
  point(cell) {
    if (this.#mirrors) this.#live?.stage.point(cell);
  }

  /** Draw anew, as how maps are drawn has changed. */
  arrange() {
    this.#live?.stage.arrange();
  }

  /** Have the same limits in both, as far as their values go now, or let each have its own again. */
  level() {
    const [here, there] = [this.main.view?.model, this.#live?.stage.view?.model];
    const before = JSON.stringify([...this.#held]);
    // Those that a person has put elsewhere meanwhile stay there.
    for (const [name, limits] of this.#held) if (this.look.locked.get(name) === limits) this.look.locked.delete(name);
    this.#held.clear();
    if (this.#same && here && there) {
      for (const [name, map] of here.maps) {
        const other = there.maps.get(name);
        const limits = this.look.locked.has(name) || !other ? [] : [this.look.limits(name, map), this.look.limits(name, other)].filter((each) => each !== null);
        if (!limits.length) continue;
        this.#held.set(name, [Math.min(...limits.map(([low]) => low)), Math.max(...limits.map(([, high]) => high))]);
        this.look.locked.set(name, /** @type {import("./look.js").Limits} */ (this.#held.get(name)));
      }
    }
    if (before === JSON.stringify([...this.#held])) return;
    this.main.redraw(true);
    this.#live?.stage.redraw(true);
  }

  #changed() {
    const { run, stage } = this.#live ?? {};
    if (!run || !stage) return;
    const title = /** @type {HTMLAnchorElement} */ (element("beside-title"));
    text("beside-title", `${nameOf(run)}, ${clock(run.started, true)}`);
    title.href = write({ run: run.uid });
    const badge = element("beside-status");
    badge.hidden = false;
    badge.dataset.status = run.status;
    text("beside-status", STATUS_WORDS[run.status] ?? run.status);
    const { view, cursor } = stage;
    const cell = cursor ?? view?.model.latestCell ?? null;
    const values = view && cell !== null ? view.model.channels.map(({ name, label }) => `${label || name} ${number(view.model.maps.get(name)?.values[cell] ?? NaN)}`) : [];
    text("beside-values", values.join(" · "));
    element("beside").dataset.rows = String(stage.model?.rows ?? 0);
    this.level();
  }
}
