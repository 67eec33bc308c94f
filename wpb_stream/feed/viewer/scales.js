// Numbers for people: ticks at round values, positions along an axis, times.

/** @typedef {{values: number[], labels: string[], power: string}} Ticks */

/**
 * An axis of a map. Positions always ascend to the right and upwards: an axis that was scanned downwards is `flipped`.
 * @typedef {object} Scale
 * @property {number} count points along it
 * @property {number} low edge of the lowest point: half a step below it
 * @property {number} high edge of the highest point
 * @property {boolean} flipped whether the first point lies at the high end
 * @property {boolean} known whether positions are known; else they are indices
 * @property {string} name
 * @property {string | null} units
 * @property {(index: number) => number} at position of a point
 */

/**
 * @param {import("./client.js").Axis | undefined} axis
 * @param {number} count
 * @returns {Scale}
 */
export function scaleOf(axis, count) {
  const { start = null, stop = null } = axis ?? {};
  const known = Number.isFinite(start) && Number.isFinite(stop) && (count === 1 || start !== stop);
  const first = known ? Number(start) : 0;
  const step = count === 1 ? 1 : ((known ? Number(stop) : count - 1) - first) / (count - 1);
  const last = first + step * (count - 1);
  return {
    count,
    low: Math.min(first, last) - Math.abs(step) / 2,
    high: Math.max(first, last) + Math.abs(step) / 2,
    flipped: step < 0,
    known,
    name: axis?.name ?? "point",
    units: known ? axis?.units ?? null : "index",
    at: (index) => first + step * index,
  };
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** @param {number} power */
export function tenTo(power) {
  return `10${power < 0 ? "⁻" : ""}${[...String(Math.abs(power))].map((digit) => SUPERSCRIPT[Number(digit)]).join("")}`;
}

/** @param {number} power */
function powerOfTen(power) {
  return `×${tenTo(power)}`;
}

/**
 * The power of ten that values between these are written in: 0 for those that are short as they are.
 * @param {number} low
 * @param {number} high
 */
function sharedPower(low, high) {
  const magnitude = Math.floor(Math.log10(Math.max(Math.abs(low), Math.abs(high)) || 1));
  return magnitude >= 5 || magnitude <= -4 ? 3 * Math.floor(magnitude / 3) : 0;
}

/**
 * Values as they are, of two digits, which share a power of ten as those of {@link ticks} do.
 * @param {number[]} values
 * @returns {Ticks}
 */
export function labelled(values) {
  const power = sharedPower(Math.min(...values), Math.max(...values));
  return { values, labels: values.map((value) => number(Number((value / 10 ** power).toPrecision(2)))), power: power ? powerOfTen(power) : "" };
}

/**
 * Round values between `low` and `high`: multiples of 1, 2 or 5 times a power of ten.
 * Very large or small values share a power of ten, given beside.
 * @param {number} low
 * @param {number} high
 * @param {number} most about how many
 * @returns {Ticks}
 */
export function ticks(low, high, most) {
  const span = high - low;
  const power = sharedPower(low, high);
  const unit = 10 ** power;
  if (!(span > 0) || span < 1e-12 * Math.abs(high)) return { values: [low], labels: [number(low / unit)], power: power ? powerOfTen(power) : "" };
  const raw = span / Math.max(1, most);
  const decade = 10 ** Math.floor(Math.log10(raw));
  const step = decade * ([1, 2, 5].find((factor) => factor * decade >= raw * 0.9) ?? 10);
  const decimals = Math.min(20, Math.max(0, power - Math.floor(Math.log10(step) + 1e-9)));
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) values.push(i * step);
  return { values, labels: values.map((value) => minus((value / unit).toFixed(decimals))), power: power ? powerOfTen(power) : "" };
}

/** @param {string} text */
function minus(text) {
  return text.replace(/^-(?=0(\.0+)?$)/, "").replace("-", "−");
}

/**
 * A value to read: whole numbers in groups of three, others to six digits.
 * @param {number} value
 */
export function number(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return minus(String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f"));
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : minus(value > 0 ? "∞" : "-∞");
  const size = Math.abs(value);
  return minus(size >= 1e7 || size < 1e-4 ? value.toExponential(4) : String(Number(value.toPrecision(6))));
}

/**
 * Lowest and highest value, to three digits.
 * @param {[number, number]} limits
 */
export function range(limits) {
  return limits.map((limit) => number(Number(limit.toPrecision(3)))).join(" to ");
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  return (parts[0] ? parts : parts.slice(1)).map((part, i) => (i ? String(part).padStart(2, "0") : part)).join(":");
}
