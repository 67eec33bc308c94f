// The window beside the maps that shows the detector's frame, or the spectra, of one point.
import { wayToDraw } from "./arrayplot.js";
import { press, pressed } from "./buttons.js";
import { FIRST_SIZE, FramePicture } from "./framepicture.js";
import { element, text } from "./page.js";
import { number } from "./scales.js";

/** @typedef {import("./client.js").ArrayBlock} ArrayBlock */
/** @typedef {import("./model.js").RunModel} RunModel */
/** @typedef {import("./view.js").View} View */
/**
 * Where frames come from.
 * @typedef {object} FrameSource
 * @property {(run: string, point: number, options: {maxSize?: [number, number], dataKey?: string}) => Promise<ArrayBlock | string>} frame a
 *   frame, or in words why there is none
 * @property {(run: string) => Promise<{data_keys: string[], chosen: string | null} | null>} detectors null where they cannot be had
 */
/** The frame of a point: all its pixels, or a smaller one. @typedef {{run: string, cell: number, point: number, dataKey: string, all: boolean}} Wanted */

/** How long a pointer rests on a point before its frame is fetched. */
const REST_MS = 120;

export class FrameWindow {
  #dialog = /** @type {HTMLDialogElement} */ (element("frame"));
  #detector = /** @type {HTMLSelectElement} */ (element("frame-detector"));
  #source;
  /** @type {RunModel | null} */ #model = null;
  /** @type {View | null} */ #view = null;
  /** The cell that was picked: what is shown when nobody points at another. */ #picked = -1;
  /** What is fetched next. @type {Wanted | null} */ #wanted = null;
  #fetching = false;
  /** @type {Wanted | null} */ #shown = null;
  /** Whether there was no frame of the point that is shown. */ #failed = false;
  /** The cell that was pointed at when it was last looked. @type {number | null} */ #pointed = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #resting;
  /** The data key that the maps are made of. */ #chosen = "";
  /** Uid of the run whose detectors were asked for. */ #listed = "";
  picture = new FramePicture(() => this.#edited());

  /**
   * @param {FrameSource} source
   * @param {(cell: number | null) => void} shown told which cell's frame is shown; null for none
   */
  constructor(source, shown) {
    this.#source = source;
    this.shown = shown;
    this.#dialog.addEventListener("close", () => shown(null));
    this.#detector.addEventListener("change", () => {
      this.#begin();
      this.#want(this.#picked);
    });
    element("frame-previous").addEventListener("click", () => this.#step(-1));
    element("frame-next").addEventListener("click", () => this.#step(1));
    element("frame-close").addEventListener("click", () => this.#dialog.close());
    element("frame-follow").addEventListener("click", () => press("frame-follow", !this.#following));
    document.addEventListener("keydown", ({ key, defaultPrevented }) => {
      if (key === "Escape" && !defaultPrevented && this.#dialog.open && !document.querySelector(":modal")) this.#dialog.close();
    });
    this.#dialog.addEventListener("keydown", (event) => {
      if (event.key !== "PageUp" && event.key !== "PageDown") return;
      event.preventDefault();
      this.#step(event.key === "PageUp" ? -1 : 1);
    });
  }

  /** The regions on the frame, for whoever has the run made again with them. */
  get editor() {
    return this.picture.editor;
  }

  /**
   * Show the frame of the point in a cell.
   * @param {number} cell
   */
  open(cell) {
    if (!this.#model || (this.#model.pointAt[cell] ?? -1) < 0) return;
    if (!this.#dialog.open) {
      this.#dialog.show();
      element("frame-canvas").focus();
    }
    if (this.#listed !== this.#model.run.uid) void this.#list(this.#model.run.uid);
    this.#picked = cell;
    if (this.#failed) this.#shown = null; // it may be there by now
    this.#want(cell);
  }

  /**
   * Go with what the maps show: called after each drawing of theirs.
   * @param {RunModel | null} model
   * @param {View | null} view
   * @param {number | null} cursor the cell that is pointed at
   */
  follow(model, view, cursor) {
    this.#view = view;
    if (model !== this.#model) this.#change(model);
    if (cursor === this.#pointed) return;
    this.#pointed = cursor;
    clearTimeout(this.#resting);
    if (this.#dialog.open && this.#following) this.#resting = setTimeout(() => this.#want(cursor ?? this.#picked), REST_MS);
  }

  /** @param {RunModel | null} model */
  #change(model) {
    const run = this.#model?.run.uid;
    this.#model = model;
    if (model && run === model.run.uid) return this.#begin();
    this.#dialog.close();
    this.#picked = -1;
    this.#wanted = this.#shown = null;
    this.picture.see(null);
    this.#detector.replaceChildren();
    this.#chosen = this.#listed = "";
    element("frame-detector-label").hidden = true;
    this.#begin();
  }

  /**
   * Offer the detectors of the run.
   * @param {string} run
   */
  async #list(run) {
    this.#listed = run;
    const found = await this.#source.detectors(run);
    if (!found && run === this.#listed) this.#listed = ""; // asked again with the next frame
    if (!found || run !== this.#model?.run.uid) return;
    this.#chosen = found.chosen ?? "";
    this.#detector.replaceChildren(...found.data_keys.map((name) => new Option(name)));
    this.#detector.value = this.#chosen;
    element("frame-detector-label").hidden = found.data_keys.length < 2;
  }

  /** Empty for that of the maps. */
  get #dataKey() {
    return this.#detector.value === this.#chosen ? "" : this.#detector.value;
  }

  /** Begin with the regions of what is shown: the maps have none on other detectors. */
  #begin() {
    this.editor.begin(this.#dataKey ? [] : this.#model?.channels ?? [], this.#dataKey);
  }

  get #following() {
    return pressed("frame-follow");
  }

  /** @param {number} by */
  #step(by) {
    const { pointAt, seen } = this.#model ?? { pointAt: new Int32Array(), seen: [] };
    for (let point = pointAt[this.#picked] + by; point >= 0 && point < seen.length; point += by) {
      const cell = pointAt.indexOf(point);
      if (cell < 0) continue;
      this.#picked = cell;
      return this.#want(cell);
    }
  }

  // ---- fetching: one frame at a time, and of those that are wanted meanwhile the last

  /** @param {number} cell */
  #want(cell) {
    const point = this.#model?.pointAt[cell] ?? -1;
    if (!this.#model || point < 0) return;
    const dataKey = this.#dataKey;
    // A smaller one first, which is here soon; of spectra, in which a mean would hide what is looked for, all.
    const alike = this.#shown?.dataKey === dataKey && (this.#shown.point === point || this.picture.lines);
    const all = this.picture.closely && alike;
    this.#wanted = { run: this.#model.run.uid, cell, point, dataKey, all };
    if (!this.#fetching) void this.#fetch();
  }

  async #fetch() {
    this.#fetching = true;
    while (this.#wanted) {
      const wanted = this.#wanted;
      this.#wanted = null;
      if (this.#has(wanted)) continue;
      this.#dialog.dataset.point = "";
      const { run, point, dataKey, all } = wanted;
      const answer = await this.#source.frame(run, point, { maxSize: all ? undefined : [FIRST_SIZE, FIRST_SIZE], dataKey: dataKey || undefined });
      // Shown even if another is wanted by now: whoever moves over the map sees frames go by.
      if (run === this.#model?.run.uid) this.#take(wanted, answer);
    }
    this.#fetching = false;
    this.#tell();
  }

  /** @param {Wanted} wanted */
  #has({ point, dataKey, all }) {
    const shown = this.#shown;
    return shown !== null && shown.point === point && shown.dataKey === dataKey && (shown.all || !all);
  }

  /**
   * @param {Wanted} wanted
   * @param {ArrayBlock | string} answer
   */
  #take(wanted, answer) {
    const found = typeof answer === "string" ? null : answer;
    if (found?.fullShape && wayToDraw({ ...found, shape: found.fullShape }) === "lines") {
      this.#wanted ??= { ...wanted, all: true };
      if (this.#wanted.point === wanted.point) return;
    }
    this.#failed = found === null;
    // Of a frame that there is not, or that is small, there is no more to be had.
    this.#shown = { ...wanted, all: !found?.fullShape };
    text("frame-said", found ? "" : String(answer));
    text("frame-title", `Frame of point ${wanted.point}`);
    text("frame-at", this.#positions(wanted.cell));
    if (this.#dialog.open) this.shown(wanted.cell);
    this.picture.see(found);
    const lines = String(this.picture.lines);
    if (found && this.#dialog.dataset.lines !== lines) {
      this.#dialog.dataset.lines = lines;
      press("frame-follow", this.picture.lines); // Spectra are small, and compared at a glance.
    }
    this.#edited();
  }

  /** @param {number} cell */
  #positions(cell) {
    const { scales } = this.#view ?? { scales: [] };
    const indices = this.#view?.indices(cell) ?? [];
    return [...scales.keys()].reverse().map((i) => `${scales[i].name} ${number(scales[i].at(indices[i]))} ${scales[i].units ?? ""}`.trim()).join(", ");
  }

  /** What is drawn on the frame has changed, or it is looked at more closely. */
  #edited() {
    if (this.#shown && this.picture.closely && !this.#wanted) this.#want(this.#shown.cell);
    this.#tell();
  }

  /** Say what the regions come to. */
  #tell() {
    const shown = this.#shown;
    this.editor.tell(this.picture.whole, (name) => (shown && this.#model?.maps.get(name)?.values[shown.cell]) ?? null);
    // Told last: whoever waits for a frame finds it measured.
    this.#dialog.dataset.point = shown && !this.#fetching ? String(shown.point) : "";
  }
}
