// The maps on the page: one panel a channel, a composite where there are colours, one cursor over all of them.
import { ArrayPlot, wayToDraw } from "./arrayplot.js";
import { isPrimary } from "./colour.js";
import { Difference } from "./difference.js";
import { LinePlot } from "./lineplot.js";
import { inksOf } from "./lines.js";
import { MapPlot } from "./mapplot.js";
import { Panel } from "./panel.js";
import { planned } from "./planned.js";
import { range } from "./scales.js";
import { View } from "./view.js";

/** @typedef {import("./model.js").RunModel} RunModel */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./selection.js").Selection} Selection */

/** The array that is made of the values along a line. */
export const PROFILE = "profile along the line";
/** Arrays shown at once: a run may have dozens, of fits above all. */
const MOST_ARRAYS = 6;

/** @param {RunModel} model */
function drawable({ arrays }) {
  // What the person looks at comes first: it was asked for.
  const asked = [...arrays.values()].filter(({ title }) => title);
  return [...asked, ...[...arrays.values()].filter(({ title }) => !title)].filter(wayToDraw).slice(0, MOST_ARRAYS);
}

/** @param {import("./model.js").ArrayBlock} array */
function titleOf({ name, title }) {
  const words = title ?? name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {Element} host in whose colours is drawn */
export function readTheme(host) {
  const style = getComputedStyle(host);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour("text"), muted: colour("muted"), line: colour("line"), accent: colour("accent"), hatch: colour("hatch"), ground: colour("ground"),
    red: colour("red"), green: colour("green"), blue: colour("blue"), family: style.fontFamily, size: parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.75,
  };
}

/**
 * What a stage asks of the page it is on, and tells it.
 * @typedef {object} StageListener
 * @property {() => boolean} running asked at each drawing: whether the run goes on
 * @property {() => void} drawn called after each drawing
 * @property {(done: boolean) => void} selected called when the person draws a region or a line, and has let go
 * @property {(cell: number | null) => void} [pointed] called when the person points at another cell, or at none
 * @property {(cell: number) => void} [pick] called when the person wants to look closer at a cell
 * @property {(name: string) => void} [enlarged] called when the person makes another map the large one
 * @property {(empty: boolean) => void} emptied called when its maps are taken off the page, and when others come
 */

export class Stage {
  /** The run. @type {RunModel | null} */ model = null;
  /** The revision that is subtracted from it. @type {RunModel | null} */ compared = null;
  /** @type {View | null} */ view = null;
  /** The cell that is pointed at. @type {number | null} */ cursor = null;
  /** The cell whose frame is shown. @type {number | null} */ marked = null;
  /** What the person draws by dragging. @type {"region" | "line" | null} */ tool = null;
  /** What the person has drawn. @type {Selection | null} */ selection = null;
  /** The map that is large, by its name; the first one if there is none of that name. @type {string | null} */ large = null;
  /** The channel that a region or line was drawn on; empty for the composite. */ #drawnOn = "";
  /** @type {Panel[]} */ #panels = [];
  /** @type {import("./axes.js").Theme | null} */ #theme = null;
  #closed = new AbortController();
  #scheduled = false;
  #repaint = true;

  /**
   * @param {HTMLElement} host what the maps are put into, of class `stage`
   * @param {Look} look
   * @param {StageListener} listener
   */
  constructor(host, look, listener) {
    this.host = host;
    this.look = look;
    this.listener = listener;
    const restyle = () => {
      this.#theme = null;
      this.redraw(false);
    };
    const { signal } = this.#closed;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle, { signal });
    addEventListener("resize", restyle, { signal });
  }

  /** Take all maps off the page for good. */
  close() {
    this.#closed.abort();
    this.clear();
  }

  /**
   * Draw at the next frame: at most once a frame, and only when something has changed.
   * @param {boolean} changed whether data or colours changed, rather than only what lies over them
   */
  redraw(changed) {
    this.#repaint ||= changed;
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  /** Take all maps off the page. */
  clear() {
    for (const panel of this.#panels) panel.remove();
    this.#panels = [];
    this.model?.arrays.delete(PROFILE);
    this.model = this.compared = this.view = this.cursor = this.selection = this.#plan = null;
    this.host.hidden = true;
    this.listener.emptied(true);
  }

  /**
   * Show the maps of a run in place of those on the page.
   * @param {RunModel} model
   * @param {RunModel | null} compared a revision of the run that is subtracted from it
   */
  show(model, compared = null) {
    this.clear();
    this.model = model;
    this.compared = compared;
    const view = (this.view = new View(compared ? new Difference(model, compared) : model, this.look.chosen));
    const flat = view.y !== null;
    const { channels } = view.model;
    for (const channel of channels) {
      const plot = flat ? new MapPlot(view, channel) : new LinePlot(view, channel);
      const panel = this.#panel(plot, channel.name, channel.label || channel.name);
      panel.note.textContent = channel.units;
      if (this.listener.pick) panel.canvas.title = `Click a point for the detector's frame${flat ? "" : "; drag to the right to look closer, to the left for all"}`;
      this.#panels.push(panel);
    }
    if (flat && channels.filter(({ colour }) => isPrimary(colour)).length > 1) {
      this.#panels.unshift(this.#panel(new MapPlot(view, null), "rgb", "Composite"));
    } else if (!flat && channels.length > 1) {
      this.#panels.unshift(this.#panel(new LinePlot(view, null), "lines", "All channels"));
    }
    this.#showArrays(model);
    this.arrange();
    this.redraw(true);
  }

  /**
   * Take a new description of the run whose rows are held.
   * @param {import("./client.js").Run} run
   * @returns {boolean} whether the maps on the page are still those of it
   */
  take(run) {
    const { model } = this;
    if (!model) return false;
    const drawn = (/** @type {import("./client.js").Run} */ { axes, channels }) => JSON.stringify([axes, channels]);
    const same = drawn(model.run) === drawn(run);
    model.run = run;
    model.channels = run.channels ?? [];
    model.pointsExpected = run.points_expected ?? 0;
    if (same) this.redraw(false);
    else this.show(model, this.compared);
    return same;
  }

  /**
   * Draw other rows of the run: those of an earlier time.
   * @param {RunModel} model the run, or what it was
   */
  present(model) {
    if (!this.view) return;
    this.view.model = this.compared ? new Difference(model, this.compared) : model;
    this.redraw(true);
  }

  /**
   * @param {import("./panel.js").Plot} plot
   * @param {string} name
   * @param {string} title
   */
  #panel(plot, name, title) {
    return new Panel(plot, name, title, {
      point: (cell) => this.point(cell),
      pick: (cell) => this.listener.pick?.(cell),
      resized: () => this.redraw(false),
      tool: () => (plot instanceof MapPlot ? this.tool : null),
      select: (from, to) => {
        this.#drawnOn = plot.channel?.name ?? "";
        this.#select(from, to);
      },
      selected: () => this.listener.selected(true),
      enlarge: () => {
        this.large = name;
        this.arrange();
        this.listener.enlarged?.(name);
      },
    });
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  #select(from, to) {
    const { view, tool } = this;
    if (!view || !tool) return;
    this.selection = { kind: tool, from: from - view.offset, to: to - view.offset };
    this.redraw(false);
    this.listener.selected(false);
  }

  /**
   * Show the latest version of an array beside the maps.
   * @param {import("./model.js").ArrayBlock} array
   */
  showArray(array) {
    const { model } = this;
    if (!model) return;
    model.arrays.set(array.name, array);
    const panel = this.#arrayPanel(array.name);
    if (panel?.plot instanceof ArrayPlot && wayToDraw(panel.plot.array) === wayToDraw(array)) {
      panel.plot.array = array;
      panel.retitle(titleOf(array));
      this.redraw(true);
    } else if (drawable(model).includes(array)) {
      this.#showArrays(model);
      this.arrange();
    }
  }

  /** @param {string} name */
  removeArray(name) {
    if (!this.model?.arrays.delete(name)) return;
    this.#showArrays(this.model);
    this.arrange();
  }

  /** @param {string} wanted */
  #arrayPanel(wanted) {
    return this.#panels.find(({ name, plot }) => plot instanceof ArrayPlot && name === wanted);
  }

  /**
   * Have a panel for each array that is drawn, and for no other.
   * @param {RunModel} model
   */
  #showArrays(model) {
    const arrays = drawable(model);
    const kept = this.#panels.filter(({ plot }) => !(plot instanceof ArrayPlot) || arrays.includes(plot.array));
    for (const panel of this.#panels) if (!kept.includes(panel)) panel.remove();
    const maps = kept.filter(({ plot }) => !(plot instanceof ArrayPlot));
    this.#panels = [...maps, ...arrays.map((array) => kept.find(({ plot }) => plot instanceof ArrayPlot && plot.array === array) ?? this.#panel(new ArrayPlot(array), array.name, titleOf(array)))];
  }

  /**
   * Draw the values of the channel on which a line was drawn, along it.
   * @param {number[]} cells along the line
   * @param {string} length for a person; empty where the axes have different units
   */
  showProfile(cells, length) {
    const { view } = this;
    const channel = view?.model.channels.find(({ name }) => name === this.#drawnOn) ?? view?.model.channels.at(-1);
    const map = channel && view?.model.maps.get(channel.name);
    if (!map || !channel) return;
    const values = Float64Array.from(cells, (cell) => map.values[cell]);
    this.showArray({ name: PROFILE, title: `${channel.label || channel.name} along the line${length ? `, ${length}` : ""}`, shape: [values.length], values });
  }

  /**
   * Say in words what each picture shows.
   * @param {number} measured
   * @param {number} expected
   */
  describe(measured, expected) {
    for (const panel of this.#panels) {
      const { channel } = panel.plot;
      const limits = channel && this.view?.model.maps.get(channel.name)?.limits;
      if (panel.plot instanceof ArrayPlot) panel.describe(panel.plot.summary);
      else panel.describe(`${measured}${expected ? ` of ${expected}` : ""} points${limits ? `, ${range(limits)} ${channel.units}` : ""}`);
    }
  }

  /**
   * Where a cell is drawn, in CSS pixels from the upper left corner of the channel's canvas.
   * @param {string} channel a channel's name, or "rgb" for the composite
   * @param {number} cell
   */
  cellRect(channel, cell) {
    return this.#panels.find(({ name }) => name === channel)?.plot.rect(cell) ?? null;
  }

  /** Give each picture its place and size. */
  arrange() {
    const { view, host } = this;
    if (!view) return;
    const { layout } = this.look.chosen;
    const largest = this.#panels.find(({ name }) => name === this.large) ?? this.#panels[0];
    const large = layout !== "even" && (layout === "one" || (view.y !== null && this.#panels.length > 1) || this.large !== null);
    for (const panel of this.#panels) panel.size(large && panel === largest ? "large" : large && layout === "one" ? "hidden" : "small");
    const small = layout === "one" ? 0 : this.#panels.length - Number(large);
    // Beside a large map there is less width than height.
    const columns = large ? Math.round(Math.sqrt(small) - 0.25) || 1 : Math.ceil(Math.sqrt(small));
    const many = `repeat(${columns}, minmax(0, 1fr))`;
    host.dataset.large = String(large);
    host.style.setProperty("--columns", large ? `minmax(0, ${columns}fr) ${small ? many : ""}` : many);
    host.style.setProperty("--rows", String(Math.ceil(small / columns) || 1));
    host.style.setProperty("--aspect", String(view.y ? view.aspect : 0.5));
    // Moved only when it must be: what is moved loses the keyboard's focus.
    this.#panels.forEach(({ figure }, i) => {
      if (host.children[i] !== figure) host.insertBefore(figure, host.children[i] ?? null);
    });
    host.hidden = false;
    this.listener.emptied(false);
    this.redraw(true);
  }

  /** @param {number | null} cell the one to point at, or null for none */
  point(cell) {
    if (cell === this.cursor) return;
    this.cursor = cell;
    for (const panel of this.#panels) panel.cursor = cell;
    this.redraw(false);
    this.listener.pointed?.(cell);
  }

  #draw() {
    this.#scheduled = false;
    this.#theme ??= readTheme(this.host);
    const overlay = this.#overlay();
    for (const panel of this.#panels) {
      panel.draw(this.#theme, overlay, this.#repaint ? this.look : null);
      if (this.#repaint && panel.plot instanceof MapPlot && !panel.plot.channel) panel.note.replaceChildren(...this.#legend());
      if (this.#repaint && panel.plot instanceof LinePlot && !panel.plot.channel) panel.note.replaceChildren(...this.#lines(this.#theme));
    }
    this.#repaint = false;
    this.listener.drawn();
  }

  /** The cells to come, looked for once for each row. @type {{model: RunModel, rows: number, cells: number[]} | null} */ #plan = null;

  /** @param {RunModel} model */
  #planned(model) {
    if (this.#plan?.model !== model || this.#plan.rows !== model.rows) this.#plan = { model, rows: model.rows, cells: planned(model) };
    return this.#plan.cells;
  }

  /** @returns {import("./mapplot.js").Overlay} */
  #overlay() {
    const { view, model, cursor, marked, selection } = this;
    const { path, plan } = this.look.chosen;
    const drawn = view?.model;
    return {
      cursor,
      marked,
      selection,
      growing: this.listener.running() || (drawn?.rows ?? 0) < (model?.rows ?? 0),
      path: path && drawn ? drawn.cells.subarray(0, drawn.rows) : null,
      plan: plan && drawn ? this.#planned(drawn) : null,
    };
  }

  /**
   * Which line is which.
   * @param {import("./axes.js").Theme} theme
   */
  #lines(theme) {
    const { channels = [] } = this.view?.model ?? {};
    const inks = inksOf(channels, theme);
    return channels.map(({ name, label }) => {
      const chip = document.createElement("span");
      const { colour = "", dash = "whole" } = inks.get(name) ?? {};
      chip.textContent = label || name;
      chip.dataset.line = dash;
      chip.style.setProperty("--ink", colour);
      return chip;
    });
  }

  /** Which colour of the composite means what. */
  #legend() {
    const { channels = [], maps } = this.view?.model ?? {};
    return channels.filter(({ colour }) => isPrimary(colour)).map(({ name, label, colour }) => {
      const map = maps?.get(name);
      const limits = map && this.look.limits(name, map);
      const chip = document.createElement("span");
      chip.textContent = `${label || name} ${limits ? range(limits) : ""}`;
      chip.dataset.colour = colour ?? "";
      return chip;
    });
  }
}
