// The maps on the page: one panel a channel, a composite where there are colours, one cursor over all of them.
import { ArrayPlot, wayToDraw } from "./arrayplot.js";
import { isPrimary } from "./colour.js";
import { Difference } from "./difference.js";
import { LinePlot } from "./lineplot.js";
import { MapPlot } from "./mapplot.js";
import { Panel } from "./panel.js";
import { range } from "./scales.js";
import { View } from "./view.js";

/** @typedef {import("./model.js").RunModel} RunModel */

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

/** @param {Element} host */
function readTheme(host) {
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
 * @property {() => Omit<import("./mapplot.js").Overlay, "cursor">} overlay asked at each drawing
 * @property {() => void} drawn called after each drawing
 * @property {(cell: number) => void} pick called when the person wants to look closer at a cell
 * @property {(empty: boolean) => void} emptied called when its maps are taken off the page, and when others come
 */

export class Stage {
  /** The run. @type {RunModel | null} */ model = null;
  /** The revision that is subtracted from it. @type {RunModel | null} */ compared = null;
  /** @type {View | null} */ view = null;
  /** The cell that is pointed at. @type {number | null} */ cursor = null;
  /** @type {Panel[]} */ #panels = [];
  /** @type {import("./axes.js").Theme | null} */ #theme = null;
  #scheduled = false;
  #repaint = true;

  /**
   * @param {HTMLElement} host what the maps are put into, of class `stage`
   * @param {StageListener} listener
   */
  constructor(host, listener) {
    this.host = host;
    this.listener = listener;
    const restyle = () => {
      this.#theme = null;
      this.redraw(false);
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
    addEventListener("resize", restyle);
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
    this.model = this.compared = this.view = this.cursor = null;
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
    const view = (this.view = new View(compared ? new Difference(model, compared) : model));
    const listener = { point: (/** @type {number | null} */ cell) => this.#point(cell), pick: this.listener.pick, resized: () => this.redraw(false) };
    const flat = view.y !== null;
    const { channels } = view.model;
    for (const channel of channels) {
      const plot = flat ? new MapPlot(view, channel) : new LinePlot(view, channel);
      const panel = new Panel(plot, channel.name, channel.label || channel.name, listener);
      panel.note.textContent = channel.units;
      panel.canvas.title = "Click a point for the detector's frame";
      this.#panels.push(panel);
    }
    if (flat && channels.filter(({ colour }) => isPrimary(colour)).length > 1) {
      this.#panels.unshift(new Panel(new MapPlot(view, null), "rgb", "Composite", listener));
    }
    for (const array of drawable(model)) this.#panels.push(new Panel(new ArrayPlot(array), array.name, titleOf(array), listener));
    this.#arrange(view);
    this.redraw(true);
  }

  /**
   * Show the latest version of an array beside the maps.
   * @param {import("./model.js").ArrayBlock} array
   */
  showArray(array) {
    const { model } = this;
    if (!model) return;
    model.arrays.set(array.name, array);
    const panel = this.#panels.find(({ plot }) => plot instanceof ArrayPlot && plot.array.name === array.name);
    if (panel?.plot instanceof ArrayPlot && wayToDraw(panel.plot.array) === wayToDraw(array)) {
      panel.plot.array = array;
      panel.retitle(titleOf(array));
      this.redraw(true);
    } else if (drawable(model).includes(array)) this.show(model, this.compared);
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

  /** @param {View} view */
  #arrange(view) {
    const plots = this.host;
    plots.append(...this.#panels.map(({ figure }) => figure));
    const large = view.y !== null && this.#panels.length > 1;
    const small = this.#panels.length - Number(large);
    // Beside a large map there is less width than height.
    const columns = large ? Math.round(Math.sqrt(small) - 0.25) || 1 : Math.ceil(Math.sqrt(small));
    plots.dataset.large = String(large);
    plots.style.setProperty("--columns", `${large ? `minmax(0, ${columns}fr) ` : ""}repeat(${columns}, minmax(0, 1fr))`);
    plots.style.setProperty("--rows", String(Math.ceil(small / columns)));
    plots.style.setProperty("--aspect", String(view.y ? view.aspect : 0.5));
    plots.hidden = false;
    this.listener.emptied(false);
  }

  /** @param {number | null} cell */
  #point(cell) {
    if (cell === this.cursor) return;
    this.cursor = cell;
    this.redraw(false);
  }

  #draw() {
    this.#scheduled = false;
    this.#theme ??= readTheme(this.host);
    const overlay = { ...this.listener.overlay(), cursor: this.cursor };
    for (const panel of this.#panels) {
      panel.cursor = this.cursor;
      panel.draw(this.#theme, overlay, this.#repaint);
      if (this.#repaint && panel.name === "rgb" && !panel.plot.channel) panel.note.replaceChildren(...this.#legend());
    }
    this.#repaint = false;
    this.listener.drawn();
  }

  /** Which colour of the composite means what. */
  #legend() {
    const { channels = [], maps } = this.model ?? {};
    return channels.filter(({ colour }) => isPrimary(colour)).map(({ name, label, colour }) => {
      const limits = maps?.get(name)?.limits;
      const chip = document.createElement("span");
      chip.textContent = `${label || name} ${limits ? range(limits) : ""}`;
      chip.dataset.colour = colour ?? "";
      return chip;
    });
  }
}
