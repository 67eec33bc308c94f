// One revision of a run minus another: what another choice of regions, say, made of it.
import { ChannelMap, RunModel } from "./model.js";

/** @typedef {import("./client.js").Channel} Channel */

/** Values of both signs, shown with zero in the middle. */
class DifferenceMap extends ChannelMap {
  signed = true;

  /** @returns {[number, number] | null} */
  get limits() {
    const limits = super.limits;
    if (!limits) return null;
    const most = Math.max(...limits.map(Math.abs));
    return [-most, most];
  }
}

/**
 * Channels of both, as they are in the first.
 * @param {RunModel} model
 * @param {RunModel} other
 * @returns {Channel[]}
 */
function common(model, other) {
  return model.channels.filter(({ name }) => other.maps.has(name));
}

/**
 * Why two revisions cannot be compared, in a sentence.
 * @param {RunModel} model
 * @param {RunModel} other
 * @returns {string | null} null if they can be
 */
export function incomparable(model, other) {
  if (model.shape.join() !== other.shape.join()) return `The shapes differ: ${model.shape.join(" × ")} and ${other.shape.join(" × ")}.`;
  return common(model, other).length ? null : "They have no channel of the same name.";
}

/** The points of a revision, with the differences of its values to those of another one; NaN where either has none. */
export class Difference extends RunModel {
  /**
   * @param {RunModel} model
   * @param {RunModel} other one that is not {@link incomparable}
   */
  constructor(model, other) {
    const channels = common(model, other).map((channel) => ({ ...channel, label: `Δ ${channel.label || channel.name}`, colour: null }));
    super({ ...model.run, channels }, model.revision);
    const { pointAt, cells, points, arrays, rows, measured, furthest, seen, pointsExpected } = model;
    Object.assign(this, { pointAt, cells, points, arrays, rows, measured, furthest, seen, pointsExpected });
    for (const { name } of channels) {
      const map = new DifferenceMap(this.size);
      const [minuend, subtrahend] = [model, other].map((each) => each.maps.get(name)?.values ?? new Float64Array());
      minuend.forEach((value, cell) => map.set(cell, value - subtrahend[cell]));
      this.maps.set(name, map);
    }
  }
}
