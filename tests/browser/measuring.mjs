// Runs the viewer's modules that measure frames, and need no browser: reads what to do from its first argument, and says what came of it as JSON.
import { readFileSync } from "node:fs";
import { percentilesOf, profileOf, rangeOf } from "../../wpb_stream/feed/viewer/framestats.js";
import { asAsked, statisticsOf } from "../../wpb_stream/feed/viewer/regionshape.js";
import { snippet } from "../../wpb_stream/feed/viewer/snippet.js";

const { frame, regions, lines, shares, runs } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const shape = [frame.length, frame[0].length];
const values = Float64Array.from(frame.flat(), (value) => value ?? NaN);

console.log(JSON.stringify({
  statistics: regions.map((region) => statisticsOf(values, shape, region)),
  asked: regions.map((region) => asAsked(region, shape)),
  profiles: lines.map(([from, to]) => [...profileOf(values, shape, from, to)]),
  percentiles: percentilesOf(values, shares),
  range: rangeOf(values),
  snippets: runs.map(({ run, revision, token }) => snippet(run, revision, new URL("ws://127.0.0.1:8000/ws"), token)),
}));
