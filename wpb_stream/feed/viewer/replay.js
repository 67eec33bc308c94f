// How a scan grew: its rows, drawn as they were at an earlier time.
import { RunModel } from "./model.js";

export class Replay {
  /** What is drawn. @type {RunModel} */ shown;

  /** @param {RunModel} model the run, which may go on growing */
  constructor(model) {
    this.model = model;
    this.shown = new RunModel(model.run, model.revision);
  }

  /**
   * Draw the run as it was after so many rows.
   * @param {number} rows
   */
  to(rows) {
    const wanted = Math.min(this.model.rows, Math.max(0, Math.round(rows)));
    // A cell that was measured twice has its first value again only if all begins anew.
    if (wanted < this.shown.rows) this.shown = new RunModel(this.model.run, this.model.revision);
    if (wanted > this.shown.rows) this.shown.append(this.model.block(this.shown.rows, wanted));
  }
}
