// Binary messages and maps, without a server: the files of tests/core/golden are read as Python reads them.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { FeedError, Maps, decode } from "../../../wpb_stream/feed/viewer/client.js";

const golden = new URL("../../core/golden/", import.meta.url);
const names = readdirSync(golden).filter((name) => name.endsWith(".bin")).map((name) => name.slice(0, -4));
const read = (file) => JSON.parse(readFileSync(new URL(file, golden), "utf8"));
const TYPES = { "<f8": Float64Array, "<f4": Float32Array, "<u4": Uint32Array, "<i4": Int32Array, "<u2": Uint16Array, "<i2": Int16Array, "|u1": Uint8Array, "|i1": Int8Array };

/** A message as a socket gives it: in a buffer of its own. */
const buffer = (bytes) => Uint8Array.from(bytes).buffer;

function assertIs(values, { dtype, values: expected }) {
  assert.equal(values.constructor, TYPES[dtype]);
  assert.equal(values.length, expected.length);
  // Object.is tells -0 from 0, and knows NaN.
  expected.forEach((value, index) => assert.ok(Object.is(values[index], Number(value)), `${values[index]} for ${value}`));
}

test("there are messages to read", () => assert.ok(names.length >= 24));

for (const name of names) {
  test(`${name} says what it says in Python, without a copy`, () => {
    const message = buffer(readFileSync(new URL(`${name}.bin`, golden)));
    const said = read(`${name}.json`);
    const { header, columns, values } = decode(message);
    for (const key of ["type", "id", "run", "revision", "first_row", "points_expected", "name", "version", "shape"]) assert.deepEqual(header[key], said[key], key);
    if (said.type === "array") {
      assertIs(values, said);
      assert.equal(values.buffer, message);
      return;
    }
    assert.deepEqual([...columns.keys()], Object.keys(said.columns));
    for (const [column, each] of columns) {
      assertIs(each, said.columns[column]);
      assert.equal(each.buffer, message);
    }
  });
}

for (const { why, hex } of read("broken.json")) {
  test(`a message with ${why} is refused in a sentence`, () => {
    assert.throws(() => decode(buffer(Buffer.from(hex, "hex"))), (error) => error instanceof FeedError && error.code === "bad_message" && /^A binary message is damaged: .+\.$/.test(error.message));
  });
}

test("a message in another byte order is refused", () => {
  const message = Buffer.from(readFileSync(new URL("points-first.bin", golden)).toString("latin1").replace("<f8", ">f8"), "latin1");
  assert.throws(() => decode(buffer(message)), /unknown type >f8/);
});

test("rows are put into their cells, a later one in place of an earlier one", () => {
  const maps = new Maps({ shape: [2, 3], channels: [{ name: "red" }, { name: "not asked for" }] });
  const rows = (cell, red) => ({ rows: cell.length, columns: new Map([["cell", Uint32Array.from(cell)], ["red", Float64Array.from(red)]]) });
  const red = maps.of("red");
  maps.add(rows([0, 5], [1, 2]));
  maps.add(rows([5, 1], [3, 4]));
  assert.deepEqual([...red], [1, 4, NaN, NaN, NaN, 3]);
  assert.equal(maps.of("red"), red);
  assert.ok(maps.of("not asked for").every(Number.isNaN));
  assert.throws(() => maps.of("green"), /no channel green; it has red, not asked for/);
});
