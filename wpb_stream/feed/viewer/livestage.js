// A run on a stage of its own, as it grows: without the words around it, beside another run or on somebody else's page.
import { RunModel, obstacle } from "./model.js";
import { Stage } from "./stage.js";

/** @typedef {import("./client.js").Run} Run */

/**
 * What a live stage tells whoever put it there.
 * @typedef {object} LiveListener
 * @property {() => void} changed called after each drawing
 * @property {(sentence: string) => void} said why there is nothing to see; empty once there is
 * @property {(cell: number | null) => void} [pointed] the person points at another cell, or at none
 */

export class LiveStage {
  /** The run on it. @type {Run | null} */ run = null;
  #feed;
  #subscription;
  #listener;

  /**
   * @param {HTMLElement} host what the maps are put into, of class `stage`
   * @param {import("./look.js").Look} look
   * @param {import("./client.js").Feed} feed
   * @param {string} target a run's uid, or "latest"
   * @param {LiveListener} listener
   * @param {import("./client.js").WatchOptions} [options]
   */
  constructor(host, look, feed, target, listener, options = {}) {
    this.#feed = feed;
    this.#listener = listener;
    this.stage = new Stage(host, look, {
      running: () => this.run?.status === "running",
      drawn: () => this.#drawn(),
      selected: () => {},
      pointed: listener.pointed,
      emptied: () => {},
    });
    this.#subscription = this.#feed.watch(target, {
      run: (run, revision, resumed) => {
        const same = resumed && this.run?.uid === run.uid && this.stage.model;
        this.run = run;
        if (same) this.stage.take(run);
        else this.#begin(run, revision);
      },
      revised: (revision) => this.run && this.#begin(this.run, revision),
      points: (block) => {
        this.stage.model?.append(block);
        this.stage.redraw(true);
      },
      array: (array) => this.stage.showArray(array),
      stopped: (status) => {
        if (this.run) this.run.status = status;
        this.stage.redraw(false);
      },
      refused: (_, message) => this.#empty(message),
    }, { maxRate: 60, ...options });
  }

  /** Leave the run, and take its maps off the page. */
  close() {
    this.#subscription.close();
    this.stage.close();
  }

  /**
   * @param {Run} run
   * @param {string} revision
   */
  #begin(run, revision) {
    const why = obstacle(run);
    if (why) return this.#empty(why);
    this.#listener.said("");
    this.stage.show(new RunModel(run, revision));
  }

  /** @param {string} sentence */
  #empty(sentence) {
    this.stage.clear();
    this.#listener.said(sentence);
  }

  #drawn() {
    const { model } = this.stage;
    if (model) this.stage.describe(model.measured, model.pointsExpected);
    this.#listener.changed();
  }
}
