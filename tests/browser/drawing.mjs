// Runs the viewer's modules that need no browser: reads what to do from its first argument, and says what came of it as JSON.
import { readFileSync } from "node:fs";
import { barTicks } from "../../wpb_stream/feed/viewer/axes.js";
import { Look } from "../../wpb_stream/feed/viewer/look.js";
import { ChannelMap, RunModel } from "../../wpb_stream/feed/viewer/model.js";
import { Norm } from "../../wpb_stream/feed/viewer/norm.js";
import { planned } from "../../wpb_stream/feed/viewer/planned.js";
import { Replay } from "../../wpb_stream/feed/viewer/replay.js";
import { cellsOf, lengthOf, summarise } from "../../wpb_stream/feed/viewer/selection.js";
import { View } from "../../wpb_stream/feed/viewer/view.js";

const asked = JSON.parse(readFileSync(process.argv[2], "utf8"));

const mapOf = (values) => {
  const map = new ChannelMap(values.length);
  values.forEach((value, cell) => map.set(cell, value ?? NaN));
  return map;
};

/** A run of one channel, its rows appended in blocks of seven. */
function model({ shape, axes, cells, values, expected }) {
  const made = new RunModel({ uid: "a", shape, axes, channels: [{ name: "v", label: "", units: "", colour: null }], points_expected: expected ?? cells.length }, "live");
  for (let first = 0; first < cells.length; first += 7) {
    const part = cells.slice(first, first + 7);
    made.append({ firstRow: first, rows: part.length, pointsExpected: null, columns: new Map([
      ["point", Uint32Array.from(part, (_, i) => first + i)], ["cell", Uint32Array.from(part)], ["v", Float64Array.from(values.slice(first, first + 7))],
    ]) });
  }
  return made;
}

const answers = {
  shares: ({ scale, limits, gamma, values }) => {
    const norm = new Norm(scale, limits, gamma);
    return values.map((value) => [norm.share(value), norm.value(norm.share(value))]);
  },
  map: ({ values, share, bins }) => {
    const map = mapOf(values);
    const before = map.percentiles(share);
    map.set(values.length - 1, 1e9);
    if (map.percentiles(share)[1] === before[1] && map.sorted.at(-1) !== 1e9) throw new Error("a value that came was not sorted in");
    map.set(values.length - 1, NaN);
    return [map.limits, map.percentiles(share), map.lowestPositive, [...map.histogram(bins)]];
  },
  limits: ({ values, chosen, locked, signed }) => {
    const look = new Look(false);
    look.choose(chosen);
    if (locked) look.locked.set("v", locked);
    return look.limits("v", Object.assign(mapOf(values), { signed: Boolean(signed) }));
  },
  bar: ({ scale, limits, gamma, most }) => barTicks(new Norm(scale, limits, gamma), most).labels,
  planned: ({ run }) => planned(model(run)),
  replayed: ({ run, steps }) => {
    const replay = new Replay(model(run));
    return steps.map((rows) => {
      replay.to(rows);
      const { shown } = replay;
      return { rows: shown.rows, measured: shown.measured, values: [...shown.maps.get("v").values].map((value) => (value === value ? value : null)) };
    });
  },
  selected: ({ run, selection, orientation }) => {
    const view = new View(model(run), orientation);
    const cells = cellsOf(view, selection);
    return { cells, summary: summarise(view, cells)[0], length: lengthOf(view, selection) };
  },
  places: ({ run, orientation }) => {
    const view = new View(model(run), orientation);
    return run.cells.map((cell) => {
      const { across, up } = view.place(cell);
      return [across, up, view.cellAt(across + 0.5, up + 0.5)];
    });
  },
};
console.log(JSON.stringify(asked.map(({ what, ...rest }) => answers[what](rest))));
