// Regions and a line drawn on a frame: with the pointer, or by the numbers of their rows and columns.
import { number } from "./scales.js";
import { asAsked, rectangleOf, statisticsOf } from "./regionshape.js";
import { element, input } from "./page.js";

/** @typedef {import("./client.js").Channel} Channel */
/** @typedef {import("./frameplot.js").Place} Place */
/** @typedef {import("./regionshape.js").Region} Region */
/** @typedef {import("./regionshape.js").Shape} Shape */
/** A name to draw a region under, and how it is told. @typedef {{name: string, label: string, colour: string}} Target */

/** What is drawn under no name: it is measured, and no channel is made of it. */
const SELECTION = "";
const PRIMARIES = ["red", "green", "blue"];
/** Of the rows and columns, from and to. */
const FIELDS = ["frame-row-from", "frame-row-to", "frame-column-from", "frame-column-to"];

/** @param {Place} place */
function pixel({ row, column }) {
  return { row: Math.round(row), column: Math.round(column) };
}

export class RegionEditor {
  /** What the maps are made of. @type {Channel[]} */ #channels = [];
  /** The detector that is drawn on; empty for the one that maps are made of. */ #dataKey = "";
  /** What was drawn, by name. @type {Map<string, Region>} */ #drawn = new Map();
  /** @type {[Place, Place] | null} */ line = null;
  /** Rows and columns of the frame. @type {Shape} */ #shape = [1, 1];
  /**
   * What regions came to on the frame that was measured last.
   * @type {{frame: import("./frameplot.js").Frame | null, found: Map<Region, import("./regionshape.js").Statistics | null>}}
   */
  #measured = { frame: null, found: new Map() };

  /** @param {() => void} changed something was drawn, or another tool is wanted */
  constructor(changed) {
    this.changed = changed;
    for (const id of FIELDS) input(id).addEventListener("input", () => this.#typed());
    element("frame-tools").addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement && target.type === "radio") this.#switched();
    });
    element("frame-target").addEventListener("change", () => this.#switched());
    element("frame-undraw").addEventListener("click", () => {
      if (this.tool === "line") this.line = null;
      else this.#drawn.delete(this.#target);
      this.#switched();
    });
  }

  /** What a drag does. @returns {"move" | "region" | "line"} */
  get tool() {
    const chosen = /** @type {HTMLInputElement} */ (document.querySelector('#frame-tools input[type="radio"]:checked'));
    return /** @type {"move" | "region" | "line"} */ (chosen.value);
  }

  get #target() {
    return /** @type {HTMLSelectElement} */ (element("frame-target")).value;
  }

  /** Whether anything was drawn. */
  get drawn() {
    return this.line !== null || this.#drawn.size > 0;
  }

  /** Whether the maps are made of regions. */
  get measuring() {
    return this.#channels.some(({ region }) => region);
  }

  /** Whether regions of channels were drawn. */
  get edited() {
    return [...this.#drawn.keys()].some((name) => name !== SELECTION);
  }

  /**
   * Begin with the regions that maps are made of: nothing is drawn yet.
   * @param {Channel[]} channels those of the detector that is shown
   * @param {string} dataKey of the detector, if it is another one than that of the maps
   */
  begin(channels, dataKey = "") {
    this.#channels = channels;
    this.#dataKey = dataKey;
    this.#drawn.clear();
    this.line = null;
    const targets = this.#targets();
    const select = /** @type {HTMLSelectElement} */ (element("frame-target"));
    const before = select.value;
    select.replaceChildren(...targets.map(({ name, label }) => new Option(label, name)));
    select.value = targets.some(({ name }) => name === before) ? before : SELECTION;
    this.#switched();
  }

  /** @param {Shape} shape of the frame that is drawn on */
  over(shape) {
    if (shape.join() === this.#shape.join()) return;
    this.#shape = shape;
    this.#switched();
  }

  /**
   * The pointer was dragged.
   * @param {Place} from
   * @param {Place} to
   */
  drag(from, to) {
    const [one, other] = [pixel(from), pixel(to)];
    if (this.tool === "line") this.line = [one, other];
    else {
      const rows = [Math.min(one.row, other.row), Math.max(one.row, other.row) + 1];
      const columns = [Math.min(one.column, other.column), Math.max(one.column, other.column) + 1];
      this.#drawn.set(this.#target, { rows, columns });
    }
    this.#switched();
  }

  /**
   * All regions, those that were drawn in place of those that they replace.
   * @returns {{name: string, label: string, colour: string, region: Region, edited: boolean}[]}
   */
  get regions() {
    return this.#targets().flatMap((target) => {
      const drawn = this.#drawn.get(target.name);
      const region = drawn ?? this.#channels.find(({ name }) => name === target.name)?.region;
      return region ? [{ ...target, label: target.name ? target.label : "selection", region, edited: drawn !== undefined }] : [];
    });
  }

  /**
   * A `wpb` entry with the regions of the run, and those that were drawn in their place; on another detector, with that one and these alone.
   * @param {Record<string, unknown>} metadata the start document of the run, which also says which statistic is made of a region
   * @returns {Record<string, unknown>}
   */
  asked(metadata) {
    const wpb = /** @type {{regions?: Record<string, Region>} | undefined} */ (metadata.wpb);
    const regions = Object.fromEntries(this.regions.filter(({ name }) => name !== SELECTION).map(({ name, region }) => {
      const { statistic, threshold } = /** @type {{statistic?: string, threshold?: number}} */ (wpb?.regions?.[name] ?? {});
      return [name, { ...asAsked(region, this.#shape), ...(statistic && { statistic }), ...(threshold !== undefined && { threshold }) }];
    }));
    return this.#dataKey ? { regions, data_key: this.#dataKey } : { regions };
  }

  /**
   * Say what the regions come to.
   * @param {import("./frameplot.js").Frame | null} frame all of its pixels; null while they are on their way
   * @param {(name: string) => number | null} mapped the value of a channel on the map; null where there is none
   */
  tell(frame, mapped) {
    if (frame !== this.#measured.frame) this.#measured = { frame, found: new Map() };
    const rows = this.regions.map(({ name, label, colour, region, edited }) => {
      const found = frame && this.#statistics(frame, region);
      const value = name && !edited ? mapped(name) : null;
      const numbers = found ? [found.sum, found.mean, found.min, found.max, found.pixels].map(number) : Array(5).fill(frame ? "in a file" : "…");
      const row = document.createElement("tr");
      const heading = document.createElement("th");
      heading.scope = "row";
      heading.textContent = edited && name ? `${label}, drawn` : label;
      heading.dataset.colour = PRIMARIES.includes(colour) ? colour : "";
      row.append(heading, ...[...numbers, value === null ? "" : number(value)].map((text) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        return cell;
      }));
      row.dataset.region = name;
      return row;
    });
    element("frame-regions").replaceChildren(...rows);
    element("frame-statistics").hidden = rows.length === 0;
  }

  /**
   * @param {import("./frameplot.js").Frame} frame
   * @param {Region} region
   */
  #statistics({ values, full }, region) {
    const { found } = this.#measured;
    const known = found.get(region);
    if (known !== undefined) return known;
    const made = statisticsOf(values, full, region);
    found.set(region, made);
    return made;
  }

  /** @returns {Target[]} */
  #targets() {
    const named = this.#channels.filter(({ region }) => region).map(({ name, label, colour }) => ({ name, label: label || name, colour: colour ?? "white" }));
    const missing = PRIMARIES.filter((colour) => !named.some(({ name }) => name === colour));
    const primaries = missing.map((name) => ({ name, label: name.charAt(0).toUpperCase() + name.slice(1), colour: name }));
    return [{ name: SELECTION, label: "a selection", colour: "white" }, ...named, ...primaries];
  }

  /** The fields show what is drawn now. */
  #switched() {
    const { tool } = this;
    element("frame-target-label").hidden = tool !== "region";
    element("frame-fields").hidden = tool === "move";
    /** @type {(number | null)[]} */ let shown = [null, null, null, null];
    const region = this.regions.find(({ name }) => name === this.#target)?.region;
    if (tool === "line" && this.line) shown = [this.line[0].row, this.line[1].row, this.line[0].column, this.line[1].column];
    else if (tool === "region" && region) {
      const { top, bottom, left, right } = rectangleOf(region, this.#shape);
      shown = [top, bottom, left, right];
    }
    FIELDS.forEach((id, i) => {
      const field = input(id);
      const value = shown[i] === null ? "" : String(shown[i]);
      field.max = String(this.#shape[i < 2 ? 0 : 1] - Number(tool === "line"));
      if (field.value !== value) field.value = value;
    });
    /** @type {HTMLButtonElement} */ (element("frame-undraw")).disabled = tool === "line" ? !this.line : !this.#drawn.has(this.#target);
    this.changed();
  }

  #typed() {
    if (FIELDS.some((id) => input(id).value === "" || !input(id).checkValidity())) return;
    const [top, bottom, left, right] = FIELDS.map((id) => input(id).valueAsNumber);
    if (this.tool === "line") this.line = [{ row: top, column: left }, { row: bottom, column: right }];
    else if (bottom <= top || right <= left) return;
    else this.#drawn.set(this.#target, { rows: [top, bottom], columns: [left, right] });
    this.#switched();
  }
}
