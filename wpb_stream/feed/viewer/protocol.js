// The messages of the feed, protocol wpb.v1: what they look like, and how the binary ones are read.

/**
 * One dimension of a scan. `start` and `stop` are the positions of the first and last point, in `units`.
 * @typedef {{name: string, units: string | null, start: number | null, stop: number | null, snaking: boolean}} Axis
 */

/** @typedef {{name: string, label: string, units: string, colour: string | null, region: unknown}} Channel */

/** @typedef {"running" | "success" | "abort" | "fail" | "lost"} Status */

/**
 * A run, as the server describes it. `shape` and `axes` have the slow axis first.
 * @typedef {{uid: string, scan_id: number | null, plan_name: string | null, status: Status, started: string | null,
 *   stopped: string | null, recipe: string | null, shape: number[] | null, axes: Axis[] | null, channels: Channel[] | null,
 *   arrays: string[], points_expected: number | null, rows: number, metadata: Record<string, unknown>, plan?: Plan}} Run
 */

/**
 * The task of blueapi that a run is part of: the state of its worker, and the motors that are on their way.
 * @typedef {{task: string, state: string, failed?: boolean,
 *   moving?: {name: string, current: number | null, target: number, units: string | null}[]}} Plan
 */

/** @typedef {{name: string, dtype: string, offset: number}} ColumnHeader */

/**
 * @typedef {{type: string, id: number, run: string, revision: string, first_row: number, rows: number,
 *   points_expected: number | null, columns: ColumnHeader[],
 *   name: string, dtype: string, shape: number[], offset: number}} BinaryHeader the last line is an array's, that before it of rows
 */

/** @typedef {Float64Array | Float32Array | Uint32Array | Int32Array | Uint16Array | Int16Array | Uint8Array | Int8Array} Column */

/**
 * A slice of rows. Each column is a view of the received message, of length `rows`.
 * @typedef {{firstRow: number, rows: number, pointsExpected: number | null, columns: Map<string, Column>}} Block
 */

/**
 * An array, of which the latest version counts; its values are a view of the received message, in C order.
 * @typedef {{name: string, shape: number[], values: Column, title?: string}} ArrayBlock
 */

/** @type {Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => Column>} */
const VIEWS = {
  "<f8": Float64Array, "<f4": Float32Array, "<u4": Uint32Array, "<i4": Int32Array,
  "<u2": Uint16Array, "<i2": Int16Array, "|u1": Uint8Array, "|i1": Int8Array,
};

/**
 * Split a binary message into its header and the offset of its payload.
 * @param {ArrayBuffer} buffer
 * @returns {{header: BinaryHeader, payload: number}}
 */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, payload: 4 + length };
}

/**
 * The rows of a `points` message from row `from` on, without copying: rows before it are held already.
 * @param {ArrayBuffer} buffer
 * @param {BinaryHeader} header
 * @param {number} payload
 * @param {number} from
 * @returns {Block}
 */
export function rowsFrom(buffer, header, payload, from) {
  const skip = Math.max(0, from - header.first_row);
  const columns = new Map();
  for (const { name, dtype, offset } of header.columns) {
    const View = VIEWS[dtype];
    if (!View) throw new TypeError(`column ${name} has the unknown type ${dtype}`);
    columns.set(name, new View(buffer, payload + offset, header.rows).subarray(skip));
  }
  return { firstRow: header.first_row + skip, rows: header.rows - skip, pointsExpected: header.points_expected ?? null, columns };
}

/**
 * The array of an `array` message, without copying.
 * @param {ArrayBuffer} buffer
 * @param {BinaryHeader} header
 * @param {number} payload
 * @returns {ArrayBlock}
 */
export function arrayOf(buffer, { name, dtype, shape, offset }, payload) {
  const View = VIEWS[dtype];
  if (!View) throw new TypeError(`array ${name} has the unknown type ${dtype}`);
  return { name, shape, values: new View(buffer, payload + offset, shape.reduce((product, length) => product * length, 1)) };
}
