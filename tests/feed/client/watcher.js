// Watches the latest run and says what happens, an object of JSON a line: node watcher.js FEED [TOKEN...].
// It is told what to do, a word a line: "reopen" with the next token, "close".
import { createInterface } from "node:readline";
import { Maps, watch } from "../../../wpb_stream/feed/viewer/client.js";

const [, , url, ...tokens] = process.argv;
const say = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
let maps, channels;

const feed = watch(url, "latest", {
  run(run, revision, resumed) {
    channels = run.channels.map(({ name }) => name);
    if (!resumed) maps = new Maps(run);
    say("run", { uid: run.uid, shape: run.shape, revision, resumed });
  },
  points(block) {
    maps.add(block);
    say("points", { first: block.firstRow, until: block.firstRow + block.rows });
  },
  revised: (revision) => say("revised", { revision }),
  stopped: (status) => say("stopped", { status, maps: Object.fromEntries(channels.map((name) => [name, [...maps.of(name)]])) }),
  notice: (code, message) => say("notice", { code, message }),
  refused: (code, message) => say("refused", { code, message }),
}, { token: () => tokens[0] ?? "", connection: (state, sentence) => say("connection", { state, sentence }) });

const words = {
  reopen() {
    tokens.shift();
    feed.reopen();
  },
  close: () => feed.close(),
};
createInterface({ input: process.stdin }).on("line", (word) => words[word]());
