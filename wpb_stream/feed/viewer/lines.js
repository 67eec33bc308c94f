// Lines over a common horizontal axis: uPlot draws them off the page, and the picture is put onto a canvas with the others.
import { isPrimary } from "./colour.js";
import { tenTo, ticks } from "./scales.js";
import uPlot from "./uplot.js";

/** @typedef {import("./axes.js").Box} Box */
/** @typedef {import("./axes.js").Context} Context */
/** @typedef {import("./axes.js").Theme} Theme */
/** One axis: its ends, what it is called, and whether it is logarithmic. @typedef {{low: number, high: number, label: string, log?: boolean}} Along */
/** How a line is drawn. @typedef {{colour: string, dash: "whole" | "dashed" | "dotted"}} Ink */
/** One line: a value for each place, NaN for none; `marked` for a dot at each. @typedef {{values: ArrayLike<number>, marked: boolean} & Ink} Line */

/** Pixels for one tick's label. */
const EACH = 46;
/** Each has a contrast of three to one at least, to a light and to a dark ground. */
const SHADES = ["#3b82f6", "#d07206", "#149f47", "#a855f7", "#0e9aa0", "#e0507a"];
/** Lines beyond the number of shades begin anew, with these. */
const DASHES = { whole: [], dashed: [6, 4], dotted: [2, 3] };

/**
 * @param {number} line
 * @param {string[]} shades
 * @returns {Ink}
 */
function shade(line, shades) {
  const dashes = /** @type {Ink["dash"][]} */ (Object.keys(DASHES));
  return { colour: shades[line % shades.length], dash: dashes[Math.floor(line / shades.length) % dashes.length] };
}

/**
 * How lines are drawn that have no colours of their own.
 * @param {number} count of them
 * @param {Theme} theme
 * @returns {Ink[]}
 */
export function inksFor(count, theme) {
  return count > 1 ? Array.from({ length: count }, (_, line) => shade(line, SHADES)) : [{ colour: theme.accent, dash: "whole" }];
}

/**
 * How the lines of channels are drawn: in their own colours where they have some.
 * @param {import("./client.js").Channel[]} channels
 * @param {Theme} theme
 * @returns {Map<string, Ink>} by the channels' names
 */
export function inksOf(channels, theme) {
  const own = channels.filter(({ colour }) => isPrimary(colour));
  const others = channels.filter((channel) => !own.includes(channel));
  // Beside red, green and blue no other shade would be told apart by everybody.
  const inks = own.length ? others.map((_, line) => shade(line, [theme.text])) : inksFor(others.length, theme);
  return new Map([
    ...own.map(({ name, colour }) => /** @type {[string, Ink]} */ ([name, { colour: isPrimary(colour) ? theme[colour] : "", dash: "whole" }])),
    ...others.map(({ name }, line) => /** @type {[string, Ink]} */ ([name, inks[line]])),
  ]);
}

/**
 * An axis with some room beyond the values on it.
 * @param {number} low
 * @param {number} high
 * @param {string} label
 * @param {boolean} log only where the lowest value is above zero
 * @returns {Along}
 */
export function spread(low, high, label, log) {
  if (log) return { low: low / 1.2, high: high * 1.2, label, log };
  const margin = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.05 || 1;
  return { low: low - margin, high: high + margin, label };
}

/**
 * Ticks of an axis: powers of ten on a logarithmic one that has some.
 * @param {Along} along
 * @param {number} length in CSS pixels
 */
function ticksOf({ low, high, log }, length) {
  const most = Math.max(2, Math.floor(length / EACH));
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  if (!log || last - first < 1) return ticks(low, high, most);
  const step = Math.ceil((last - first + 1) / most);
  const powers = Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
  return { values: powers.map((power) => 10 ** power), labels: powers.map(tenTo), power: "" };
}

export class Lines {
  /** @type {uPlot | null} */ #plot = null;
  /** What the plot was made for: anything else takes a new one. */ #made = "";
  /** @type {Along} */ #x = { low: 0, high: 1, label: "" };
  /** @type {Along} */ #y = { low: 0, high: 1, label: "" };

  /**
   * Draw them on the whole of a canvas.
   * @param {Context} context
   * @param {{width: number, height: number}} size in CSS pixels
   * @param {Theme} theme
   * @param {Along} x
   * @param {Along} y
   * @param {ArrayLike<number>} places along x, ascending
   * @param {Line[]} lines
   */
  draw(context, { width, height }, theme, x, y, places, lines) {
    [this.#x, this.#y] = [x, y];
    const data = [Array.from(places), ...lines.map(({ values }) => Array.from(values, (value) => (Number.isFinite(value) && (!y.log || value > 0) ? value : null)))];
    const made = JSON.stringify([theme, y.log, lines.map(({ colour, dash, marked }) => [colour, dash, marked])]);
    if (made !== this.#made) {
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#options(width, height, theme, lines), data);
      this.#made = made;
    }
    const plot = /** @type {uPlot} */ (this.#plot);
    // Drawn at once, not when the browser finds time: the picture is taken now.
    plot.batch(() => {
      plot.setSize({ width, height });
      plot.setData(data, false);
      plot.redraw(true, true);
    });
    const box = this.box;
    context.fillStyle = theme.ground;
    context.fillRect(box.left, box.top, box.width, box.height);
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
    context.drawImage(plot.ctx.canvas, 0, 0, width, height);
  }

  /** uPlot listens to the window until it is told not to. */
  close() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#made = "";
  }

  /** Where the lines are, in CSS pixels. @returns {Box} */
  get box() {
    const { left, top, width, height } = this.#plot?.bbox ?? { left: 0, top: 0, width: 1, height: 1 };
    const ratio = devicePixelRatio;
    return { left: left / ratio, top: top / ratio, width: width / ratio, height: height / ratio };
  }

  /**
   * Where a value is drawn.
   * @param {number} place
   * @param {number} value
   * @returns {[number, number]}
   */
  at(place, value) {
    const plot = this.#plot;
    const ratio = devicePixelRatio;
    return plot ? [plot.valToPos(place, "x", true) / ratio, plot.valToPos(value, "y", true) / ratio] : [0, 0];
  }

  /**
   * @param {number} width
   * @param {number} height
   * @param {Theme} theme
   * @param {Line[]} lines
   * @returns {import("./uplot.js").Options}
   */
  #options(width, height, theme, lines) {
    const font = `${theme.size}px ${theme.family}`;
    const axis = (/** @type {() => Along} */ along, /** @type {number} */ size) => {
      const shown = (/** @type {uPlot} */ plot) => ticksOf(along(), (size === Y_SIZE ? plot.bbox.height : plot.bbox.width) / devicePixelRatio);
      return {
        label: () => {
          const power = this.#plot ? shown(this.#plot).power : "";
          return power ? `${along().label}  ${power}` : along().label;
        },
        labelSize: theme.size * 1.4, labelFont: font, labelGap: 0, size, gap: 3, font,
        stroke: () => theme.muted, grid: { show: false }, ticks: { stroke: () => theme.muted, size: 4, width: 1 },
        splits: (/** @type {uPlot} */ plot) => shown(plot).values,
        values: (/** @type {uPlot} */ plot) => shown(plot).labels,
      };
    };
    const Y_SIZE = Math.round(theme.size * 4);
    return {
      width, height,
      padding: [Math.round(theme.size), Math.round(theme.size), 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [this.#x.low, this.#x.high] },
        y: { distr: this.#y.log ? 3 : 1, range: () => [this.#y.low, this.#y.high] },
      },
      axes: [axis(() => this.#x, Math.round(theme.size * 1.6 + 4)), axis(() => this.#y, Y_SIZE)],
      series: [{}, ...lines.map(({ colour, dash, marked }) => ({ stroke: () => colour, dash: DASHES[dash], width: 1.5, spanGaps: false, points: { show: marked, size: 5, fill: () => colour } }))],
    };
  }
}
