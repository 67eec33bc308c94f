// The browser client on a real streaming process, with runs that are over: test_browser_client.py starts it and says what is to be expected.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import { Feed, FeedError, Maps, watch } from "../../../wpb_stream/feed/viewer/client.js";

const { url, scans } = JSON.parse(process.env.WPB_EXPECTED);
const [oldest, aborted] = scans;
const newest = scans.at(-1);

/** A run watched to its end: what was told of it. */
function watched(feed, target, options) {
  return new Promise((resolve, reject) => {
    const told = {};
    const subscription = feed.watch(target, {
      run: (run, revision) => Object.assign(told, { run, revision, maps: new Maps(run) }),
      points(block) {
        told.last = block;
        told.maps.add(block);
      },
      stopped: (status, reason) => resolve(Object.assign(told, { status, reason, subscription })),
      refused: (code, message) => reject(new FeedError(code, message)),
    }, options);
  });
}

/** A WebSocket that remembers where it leads, and the types of what is sent. */
class Recorded extends WebSocket {
  constructor(address, protocol) {
    super(address, protocol);
    Object.assign(Recorded, { address: address.href, sent: [] });
  }

  send(text) {
    Recorded.sent.push(JSON.parse(text).type);
    super.send(text);
  }
}

/** Do something over a feed that is closed afterwards. */
async function over(something, options) {
  const feed = new Feed(url, options);
  try {
    await something(feed);
  } finally {
    feed.close();
  }
}

function assertMaps(maps, { channels }) {
  for (const [name, values] of Object.entries(channels)) assert.deepEqual([...maps.of(name)], values, name);
}

test("the maps of a run are those of a batch reconstruction", () => over(async (feed) => {
  const { run, maps, status } = await watched(feed, oldest.uid);
  assert.deepEqual([run.uid, run.shape, status], [oldest.uid, [3, 4], "success"]);
  assertMaps(maps, oldest);
}));

test("runs are watched side by side over one connection, each with its own listener", () => over(async (feed) => {
  const [one, other, latest] = await Promise.all([watched(feed, oldest.uid), watched(feed, aborted.uid), watched(feed, "latest")]);
  assertMaps(one.maps, oldest);
  assertMaps(other.maps, aborted);
  assertMaps(latest.maps, newest);
  assert.deepEqual([other.status, other.reason, latest.run.uid], ["abort", "the beam was lost", newest.uid]);
}));

test("a subscription watches another run when told to", () => over(async (feed) => {
  const found = [];
  const done = Promise.withResolvers();
  const subscription = feed.watch(oldest.uid, {
    run: ({ uid }) => found.push(uid),
    stopped: () => (found.length === 1 ? subscription.watch(newest.uid) : done.resolve()),
  });
  await done.promise;
  assert.deepEqual(found, [oldest.uid, newest.uid]);
}));

test("only the channels that are asked for come", () => over(async (feed) => {
  const { last } = await watched(feed, oldest.uid, { channels: ["green"], maxRate: 60 });
  assert.deepEqual([...last.columns.keys()], ["point", "cell", "green"]);
}));

test("what cannot be watched is refused with the feed's code", () => over(async (feed) => {
  await assert.rejects(watched(feed, "nobody"), { code: "unknown_run" });
  await assert.rejects(watched(feed, oldest.uid, { channels: ["nothing"] }), { code: "unknown_channel" });
  await assert.rejects(watched(feed, oldest.uid, { revision: "never" }), { code: "unknown_revision" });
  await assert.rejects(watched(feed, oldest.uid, { maxRate: 61 }), { code: "bad_message" });
}));

test("a closed subscription asks for nothing any more, and the connection goes on", () => over(async (feed) => {
  const { subscription } = await watched(feed, oldest.uid);
  subscription.close();
  subscription.watch(newest.uid);
  await feed.listRuns();
  assert.deepEqual(Recorded.sent, ["authenticate", "subscribe", "unsubscribe", "list_runs"]);
}, { WebSocket: Recorded }));

test("runs are listed page by page, and by what they are", () => over(async (feed) => {
  const first = await feed.listRuns({ limit: 2 });
  const second = await feed.listRuns({ limit: 3, before: first.before });
  assert.deepEqual([...first.runs, ...second.runs].map(({ uid }) => uid), scans.map(({ uid }) => uid).reverse());
  assert.deepEqual((await feed.listRuns({ planName: "fly", until: second.runs.at(-1).started })).runs, []);
  assert.deepEqual((await feed.listRuns({ status: "abort" })).runs.map(({ uid }) => uid), [aborted.uid]);
  assert.deepEqual((await feed.listRuns({ scanId: 7, text: newest.uid.slice(0, 9) })).runs.map(({ uid }) => uid), [newest.uid]);
  assert.deepEqual((await feed.listRuns({ scanId: 8 })).runs, []);
  await assert.rejects(feed.listRuns({ limit: 0 }), { code: "bad_message" });
}));

test("the frame of a point is the detector's, as large as is asked for", () => over(async (feed) => {
  const { name, shape, values } = await feed.frame(oldest.uid, 3);
  assert.deepEqual([name, shape, values.constructor, [...values]], ["frame", oldest.frame.shape, Uint16Array, oldest.frame.values]);
  assert.deepEqual((await feed.frame(oldest.uid, 3, { maxSize: [3, 2] })).shape, [3, 2]);
  await assert.rejects(feed.frame(oldest.uid, 99), { code: "frame_unavailable" });
  await assert.rejects(feed.frame(oldest.uid, 3, { dataKey: "nothing" }), { code: "frame_unavailable" });
}));

test("a run is fetched whole, with its arrays", () => over(async (feed) => {
  const found = await feed.fetch(newest.uid);
  const maps = new Maps(found.run);
  found.blocks.forEach((block) => maps.add(block));
  assertMaps(maps, newest);
  assert.deepEqual([found.rows, [...found.arrays.keys()]], [12, ["mean_frame"]]);
  const { shape, values } = found.arrays.get("mean_frame");
  assert.deepEqual([shape, [...values]], [newest.mean.shape, newest.mean.values]);
  assert.equal((await feed.fetch(newest.uid, { revision: found.revision, channels: ["red"] })).arrays.size, 0);
  await assert.rejects(feed.fetch(oldest.uid, { revision: "never" }), { code: "unknown_revision" });
  await assert.rejects(feed.fetch("nobody"), { code: "unknown_run" });
}));

test("what is asked and not answered fails when the feed is closed, as does what is asked then", async () => {
  const states = [];
  const feed = new Feed(url, { connection: (state) => states.push(state) });
  const asked = [feed.listRuns(), feed.frame(oldest.uid, 0), feed.fetch(oldest.uid)];
  feed.close();
  feed.reopen();
  for (const request of [...asked, feed.listRuns(), feed.fetch(oldest.uid)]) await assert.rejects(request, { name: "FeedError", code: "closed" });
  assert.throws(() => feed.watch("latest", {}), { code: "closed" });
  assert.deepEqual(states, ["closed"]);
});

test("an http address is that of the feed, too", async () => {
  const told = Promise.withResolvers();
  const feed = watch(url.replace("ws:", "http:"), oldest.uid, { stopped: told.resolve }, { WebSocket: Recorded });
  assert.equal(await told.promise, "success");
  assert.equal(Recorded.address, url, "older browsers take no other");
  feed.close();
});

test("where there is no WebSocket, one is asked for, and the one that is given is used", async (t) => {
  const { WebSocket } = createRequire(new URL("../../../npm/", import.meta.url))("ws");
  const own = globalThis.WebSocket;
  delete globalThis.WebSocket;
  t.after(() => (globalThis.WebSocket = own));
  assert.throws(() => new Feed(url), /no WebSocket here/);
  await over(async (feed) => assertMaps((await watched(feed, oldest.uid)).maps, oldest), { WebSocket });
  // That class fails, if nobody listens, when it is closed before it is open.
  new Feed(url, { WebSocket }).close();
});
