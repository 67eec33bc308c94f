// A part of the map that the person has drawn: a rectangle of cells, or a line from one cell to another.
import { twoTone } from "./ink.js";

/** @typedef {import("./view.js").View} View */

/** By the cells at its two ends, counted within the slab. @typedef {{kind: "region" | "line", from: number, to: number}} Selection */

/**
 * What the values of a channel in a rectangle come to; NaN where nothing has been measured there.
 * @typedef {{name: string, units: string, sum: number, mean: number, low: number, high: number}} Summary
 */

/**
 * The cells of the selection, those of a line from its one end to the other.
 * @param {View} view
 * @param {Selection} selection
 * @returns {number[]}
 */
export function cellsOf(view, { kind, from, to }) {
  const [start, end] = [from, to].map((cell) => view.place(view.offset + cell));
  if (!start || !end) return [];
  const [across, up] = [end.across - start.across, end.up - start.up];
  if (kind === "line") {
    const steps = Math.max(Math.abs(across), Math.abs(up));
    return Array.from({ length: steps + 1 }, (_, i) => view.cellAt(start.across + Math.round((across * i) / (steps || 1)), start.up + Math.round((up * i) / (steps || 1))));
  }
  const cells = [];
  for (let row = Math.min(start.up, end.up); row <= Math.max(start.up, end.up); row++) {
    for (let column = Math.min(start.across, end.across); column <= Math.max(start.across, end.across); column++) cells.push(view.cellAt(column, row));
  }
  return cells;
}

/**
 * @param {View} view
 * @param {number[]} cells
 * @returns {Summary[]} of each channel, over what has been measured
 */
export function summarise({ model }, cells) {
  return model.channels.map(({ name, label, units }) => {
    const values = cells.map((cell) => model.maps.get(name)?.values[cell] ?? NaN).filter(Number.isFinite);
    const sum = values.reduce((total, value) => total + value, values.length ? 0 : NaN);
    const [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
    return { name: label || name, units, sum, mean: sum / values.length, low: values.length ? low : NaN, high: values.length ? high : NaN };
  });
}

/**
 * How long a line is.
 * @param {View} view
 * @param {Selection} selection
 * @returns {{length: number, units: string} | null} null where the axes have different units
 */
export function lengthOf(view, { from, to }) {
  const { scales, offset } = view;
  const [first, last] = [from, to].map((cell) => view.indices(offset + cell));
  const pair = scales.slice(-2);
  if (pair.some(({ known, units }) => !known || units !== pair[0].units)) return null;
  const start = scales.length - 2;
  return { length: Math.hypot(...pair.map((scale, i) => scale.at(last[start + i]) - scale.at(first[start + i]))), units: pair[0].units ?? "" };
}

/**
 * @param {import("./axes.js").Context} context
 * @param {import("./mapplot.js").MapPlot} plot
 * @param {Selection} selection
 */
export function drawSelection(context, plot, { kind, from, to }) {
  const [start, end] = [from, to].map((cell) => plot.rect(plot.view.offset + cell));
  if (!start || !end) return;
  context.beginPath();
  if (kind === "line") {
    context.moveTo(start.x + start.w / 2, start.y + start.h / 2);
    context.lineTo(end.x + end.w / 2, end.y + end.h / 2);
  } else {
    const [left, top] = [Math.min(start.x, end.x), Math.min(start.y, end.y)];
    context.rect(left, top, Math.max(start.x + start.w, end.x + end.w) - left, Math.max(start.y + start.h, end.y + end.h) - top);
  }
  twoTone(context, 1.5);
}
