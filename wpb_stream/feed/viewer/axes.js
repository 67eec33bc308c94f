// Axes and colour bars on a canvas.
import { labelled, ticks } from "./scales.js";

/** @typedef {CanvasRenderingContext2D} Context */
/** Part of a canvas, in CSS pixels. @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {{text: string, muted: string, line: string, accent: string, hatch: string, ground: string, family: string, size: number,
 *    red: string, green: string, blue: string}} Theme */

const TICK = 4;

/**
 * @param {import("./scales.js").Scale} scale
 */
export function axisLabel({ name, units }) {
  return units ? `${name} (${units})` : name;
}

/**
 * Set the font, and say how wide the widest label of a vertical axis is.
 * @param {Context} context
 * @param {Theme} theme
 * @param {string[]} labels
 */
export function widest(context, theme, labels) {
  context.font = `${theme.size}px ${theme.family}`;
  return Math.max(0, ...labels.map((label) => context.measureText(label).width));
}

/**
 * About how many ticks fit.
 * @param {number} length in pixels
 * @param {number} each pixels for one
 */
export function fitting(length, each) {
  return Math.max(1, Math.floor(length / each));
}

/**
 * @param {Context} context
 * @param {Box} box the plot
 * @param {number} low
 * @param {number} high
 * @param {string} label
 * @param {Theme} theme
 * @param {boolean} [leftwards] whether the lowest value is at the right
 */
export function bottomAxis(context, box, low, high, label, theme, leftwards = false) {
  const base = box.top + box.height;
  let most = fitting(box.width, theme.size * 3);
  let { values, labels, power } = ticks(low, high, most);
  // Fewer, until no two labels touch.
  while (most > 1 && (widest(context, theme, labels) + theme.size) * labels.length > box.width) ({ values, labels, power } = ticks(low, high, --most));
  context.textAlign = "center";
  context.textBaseline = "top";
  context.fillStyle = theme.muted;
  values.forEach((value, i) => {
    const share = (value - low) / (high - low);
    const x = Math.round(box.left + (leftwards ? 1 - share : share) * box.width);
    context.fillRect(x, base + 1, 1, TICK);
    context.fillText(labels[i], x, base + TICK + 3);
  });
  context.fillStyle = theme.text;
  context.fillText(power ? `${label}  ${power}` : label, box.left + box.width / 2, base + TICK + 5 + theme.size * 1.2, box.width + 40);
}

/**
 * @param {Context} context
 * @param {Box} box the plot
 * @param {number} low
 * @param {number} high
 * @param {string} label written upwards at `labelAt`
 * @param {number} labelAt
 * @param {Theme} theme
 * @param {boolean} [downwards] whether the lowest value is at the top
 */
export function leftAxis(context, box, low, high, label, labelAt, theme, downwards = false) {
  const { values, labels, power } = ticks(low, high, fitting(box.height, theme.size * 3));
  context.font = `${theme.size}px ${theme.family}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = theme.muted;
  values.forEach((value, i) => {
    const share = (value - low) / (high - low);
    const y = Math.round(box.top + box.height * (downwards ? share : 1 - share));
    context.fillRect(box.left - 1 - TICK, y, TICK, 1);
    context.fillText(labels[i], box.left - TICK - 4, y + 1);
  });
  context.save();
  context.translate(labelAt, box.top + box.height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.textBaseline = "top";
  context.fillStyle = theme.text;
  context.fillText(power ? `${label}  ${power}` : label, 0, 0, box.height + 30);
  context.restore();
}

/**
 * @param {Context} context
 * @param {Box} bar
 * @param {CanvasImageSource} colours one pixel wide, the highest value on top
 * @param {import("./norm.js").Norm | null} norm
 * @param {Theme} theme
 */
export function colourBar(context, bar, colours, norm, theme) {
  context.drawImage(colours, bar.left, bar.top, bar.width, bar.height);
  if (!norm) return;
  const { values, labels, power } = barTicks(norm, fitting(bar.height, theme.size * 3));
  context.font = `${theme.size}px ${theme.family}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = theme.muted;
  const right = bar.left + bar.width;
  values.forEach((value, i) => {
    const y = Math.round(bar.top + bar.height * (1 - norm.share(value)));
    context.fillRect(right, Math.min(y, bar.top + bar.height - 1), TICK - 1, 1);
    context.fillText(labels[i], right + TICK + 2, y + 1);
  });
  context.textBaseline = "bottom";
  if (power) context.fillText(power, bar.left, bar.top - 4);
}

/**
 * Round values along the colours: where these do not rise evenly, at even distances on the bar.
 * @param {import("./norm.js").Norm} norm
 * @param {number} most about how many
 * @returns {import("./scales.js").Ticks}
 */
export function barTicks(norm, most) {
  const [low, high] = norm.limits;
  if ((norm.scale === "linear" && norm.gamma === 1) || !(high > low)) return ticks(low, high, most);
  const steps = Math.min(most, 6);
  const even = Array.from({ length: steps + 1 }, (_, i) => Number(norm.value(i / steps).toPrecision(2)));
  const values = [...new Set(even)].filter((value) => value >= low && value <= high);
  // Where two digits do not tell them apart, round values are at uneven distances all the same.
  return values.length > 1 ? labelled(values) : ticks(low, high, most);
}
