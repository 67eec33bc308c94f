// The page: wires the feed to the model, and the model to what is drawn and said.
import { Acts } from "./acts.js";
import { LATEST, hrefOf, read } from "./address.js";
import { Archive } from "./archive.js";
import { Beside } from "./beside.js";
import { press, pressed, unfold } from "./buttons.js";
import { Feed, FeedError } from "./client.js";
import { Comparison } from "./comparison.js";
import { LevelsList, wireLook } from "./display.js";
import { FrameWindow } from "./framewindow.js";
import { Look } from "./look.js";
import { RunModel, obstacle } from "./model.js";
import * as page from "./page.js";
import { Rate } from "./rate.js";
import { Remake } from "./remake.js";
import { ReplayBar } from "./replaybar.js";
import { RunAgain } from "./runagain.js";
import { Stage } from "./stage.js";
import { Sums } from "./sums.js";
import { fetchWithToken, keepToken, takeAway, token } from "./token.js";

/** @typedef {import("./client.js").Run} Run */

const LISTED_RUNS = 30;
const LIST_EVERY_S = 10;
/** A running scan is stale after so long without a point, and as many times what it took from point to point. */
const STALE_S = 10;
const OVERDUE = 5;

/** @type {Run[]} */ let runs = [];
/** The run on screen. @type {Run | null} */ let shown = null;
let rate = new Rate();
/** Whether the next rows are those that were there before: they say nothing about the rate. */
let catchingUp = true;
let reason = "";
/** When the document arrived that announced the newest row not drawn yet, by the server's clock, in s; null if all are drawn. @type {number | null} */
let newest = null;
/** How long the newest row took from there to the screen, in s; null while none has come. @type {number | null} */
let lag = null;
/** The server's clock minus this machine's, in ms. */
let clockOffset = 0;

/** What the address says, and the page shows. */
let here = read(location.href);
history.replaceState(null, "", hrefOf(here));
const { embed } = here;
if (embed) document.body.dataset.embed = "1";

const look = new Look(!embed);
if (embed && here.channel) look.choose({ layout: "one" });
const stage = new Stage(page.element("plots"), look, {
  running: () => shown?.status === "running",
  selected: (done) => sums.show(done),
  drawn() {
    const { view, cursor } = stage;
    const cell = cursor ?? view?.model.latestCell ?? null;
    if (view && cell !== null) page.showReadout(view, cell, cursor !== null);
    frames.follow(stage.model, view, cursor);
    if (newest !== null) lag = Math.max(0, (Date.now() + clockOffset) / 1000 - newest);
    newest = null;
    // Told last: whoever waits for a row finds it drawn.
    const { dataset } = document.documentElement;
    dataset.rows = String(stage.model?.rows ?? 0);
    dataset.run = shown?.uid ?? "";
    dataset.status = shown?.status ?? "";
    dataset.compared = stage.compared?.revision ?? "";
  },
  pick: (cell) => !embed && frames.open(cell),
  pointed: (cell) => beside.point(cell),
  enlarged(channel) {
    here = { ...here, channel };
    history.replaceState(null, "", hrefOf(here));
  },
  emptied(empty) {
    page.element("empty").hidden = !empty;
    if (empty) page.element("readout").hidden = page.element("selection").hidden = true;
  },
});

stage.large = here.channel || null;

/**
 * Why a request failed, as a value; whatever is no refusal goes on.
 * @param {unknown} error
 */
function refusal(error) {
  if (error instanceof FeedError) return error;
  throw error;
}

const sums = new Sums(stage);
const frames = new FrameWindow({
  async frame(run, point, options) {
    const answer = await feed.frame(run, point, options).catch(refusal);
    return answer instanceof FeedError ? answer.message : answer;
  },
  async detectors(run) {
    const answer = await fetchWithToken(`api/runs/${encodeURIComponent(run)}/detectors`).catch(() => null);
    return answer?.ok ? answer.json() : null;
  },
}, (cell) => {
  stage.marked = cell;
  stage.redraw(false);
});

const remake = new Remake(frames.editor, {
  async ask(run, recipe) {
    const answer = await feed.reprocess(run, recipe).catch(refusal);
    return answer instanceof FeedError ? answer.message : answer;
  },
  async status(dagsterRun) {
    const answer = await fetchWithToken(`api/dagster/${encodeURIComponent(dagsterRun)}`).catch(() => null);
    return answer?.ok ? answer.json().then(({ status }) => status, () => null) : null;
  },
});

const again = new RunAgain(async (run, begin) => {
  const answer = await feed.runAgain(run, { begin }).catch(refusal);
  return answer instanceof FeedError ? answer.message : answer;
});

const comparison = new Comparison(stage, (run, revision) => feed.fetch(run, { revision }).catch(refusal), () => {
  replay.end(null);
  tick();
});

// ---- the run on screen

/**
 * Show a run from its first row on.
 * @param {Run} run
 * @param {string} revision
 */
function begin(run, revision) {
  if (shown?.uid !== run.uid) page.clearNotices();
  shown = run;
  page.showRevisions([]);
  rate = new Rate();
  reason = "";
  page.showRun(run, revision);
  acts.show(run, revision);
  page.showStatus(run.status, "");
  const why = obstacle(run);
  if (why) {
    stage.clear();
    page.showEmpty("Nothing to draw", why);
    stage.redraw(true);
  } else stage.show(new RunModel(run, revision));
  lag = newest = null;
  replay.end(null);
}

/**
 * Take a new description of the run whose rows are held, of the same shape.
 * @param {Run} run
 * @param {string} revision
 */
function describe(run, revision) {
  shown = run;
  page.showRun(run, revision);
  acts.show(run, revision);
  page.showStatus(run.status, reason);
  if (!stage.take(run)) replay.end(null);
}

function showProgress() {
  if (!shown) return;
  const { model } = stage;
  const now = performance.now() / 1000;
  const perSecond = rate.perSecond(now);
  const silence = rate.silence(now);
  const stale = shown.status === "running" && silence !== null && silence > Math.max(STALE_S, OVERDUE * (rate.interval ?? STALE_S));
  const expected = model?.pointsExpected ?? shown.points_expected ?? 0;
  const measured = model?.measured ?? shown.rows;
  page.showProgress(shown, { measured, expected, rate: perSecond, silence, stale, lag, missing: model?.missing ?? 0, now: Date.now() + clockOffset });
  stage.describe(measured, expected);
}

/** Bring all words up to date: several times a second, and when something has happened. */
function tick() {
  remake.show(shown);
  again.show(shown);
  if (!shown) return;
  showProgress();
  showLevels();
  beside.level();
  if (shown.status === "running") sums.renew();
  replay.grown();
}

/** @param {import("./client.js").Status} status */
function setStatus(status) {
  if (!shown) return;
  if (shown.status === "running") shown.stopped ??= new Date(Date.now() + clockOffset).toISOString();
  shown.status = status;
  page.showStatus(status, reason);
  tick();
  sums.renew();
  stage.redraw(false);
}

async function listRuns() {
  if (feed.state !== "connected") return;
  const answer = await feed.listRuns({ limit: LISTED_RUNS }).catch(refusal);
  if (answer instanceof FeedError) return;
  runs = answer.runs;
  const current = runs.find(({ uid }) => uid === shown?.uid);
  if (current && shown && current.status !== "running") {
    setStatus(current.status);
    shown.stopped = current.stopped ?? shown.stopped;
  }
  page.showRuns(runs, shown?.uid);
}

// ---- which run: the address says it, so that it can be shared

/** @param {Partial<import("./address.js").Address>} there */
function go(there) {
  const href = hrefOf(there);
  if (href !== location.href) history.pushState(null, "", href);
  arrive();
}

/** Show what the address says. */
function arrive() {
  const { run, revision } = here;
  const there = read(location.href);
  // The list lies over what was there before.
  here = there.list ? { ...here, list: true, search: there.search } : there;
  archive.show(here.list ? here.search : null);
  press("follow", here.run === LATEST);
  beside.show(here.beside);
  if (stage.large !== (here.channel || null)) {
    stage.large = here.channel || null;
    stage.arrange();
  }
  if (here.revision !== revision) {
    watched.close();
    watched = watch();
  } else if (here.run !== run) watched.watch(here.run);
}

// ---- controls

const levels = new LevelsList(page.element("levels"), look, () => {
  stage.redraw(true);
  beside.arrange();
  showLevels();
});

/** Bring histograms and limits up to date, if they are on the page. */
function showLevels() {
  if (stage.view && !page.element("display").hidden) levels.show(stage.view);
}

wireLook(look, () => {
  stage.arrange();
  beside.arrange();
  showLevels();
});
const replay = new ReplayBar((model) => {
  stage.present(model);
  sums.renew();
});
unfold("display", showLevels);
unfold("replay", () => (page.element("replay").hidden ? replay.end(stage.model) : stage.model && replay.begin(stage.model)));

const acts = new Acts(new URL("ws", document.baseURI));

page.element("follow").addEventListener("click", () => {
  if (!pressed("follow")) go({ channel: here.channel });
  else if (shown) go({ ...here, run: shown.uid });
});
page.element("runs").addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link?.dataset.run || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ run: link.dataset.run, channel: here.channel });
});
page.element("downloads").addEventListener("click", async (event) => {
  const link = event.target instanceof HTMLAnchorElement ? event.target : null;
  if (!link || !token()) return;
  event.preventDefault();
  const why = await takeAway(link);
  if (why) page.addNotice("not_saved", `${link.textContent} cannot be taken away. ${why}`, true);
});
page.element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = /** @type {HTMLInputElement} */ (page.element("token"));
  keepToken(input.value.trim());
  input.value = "";
  feed.reopen();
});
page.element("all-runs").addEventListener("click", (event) => {
  event.preventDefault();
  go({ list: true });
});
addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key !== "/" || typing || embed || document.querySelector(":modal")) return;
  event.preventDefault();
  go({ list: true });
});
addEventListener("popstate", arrive);

// ---- the feed

press("follow", here.run === LATEST);

const feed = new Feed(new URL("ws", document.baseURI), {
  token,
  connection(state, sentence) {
    page.element("connection").dataset.state = state;
    page.text("connection-text", sentence);
    document.documentElement.dataset.connection = state;
    page.element("ask").hidden = state !== "unauthenticated";
    if (state === "unauthenticated") {
      shown = null;
      stage.clear();
      stage.redraw(true);
      page.showEmpty("A token is needed", `${sentence} Whoever runs it makes one with “wpb token”.`);
      page.element("status").hidden = page.element("progress").hidden = true;
      page.element("token").focus();
    } else if (!shown && state !== "connected") page.showEmpty(state === "connecting" ? "Connecting…" : "No connection", state === "connecting" ? "" : sentence);
  },
  welcome(time, { scopes, dagster, blueapi }) {
    again.welcome(blueapi, scopes);
    remake.may(scopes);
    acts.welcome(dagster);
    const server = Date.parse(time);
    clockOffset = Number.isFinite(server) ? server - Date.now() : 0;
    catchingUp = true;
    if (!shown) page.showEmpty("Waiting for a scan…", "Its maps appear here as soon as a run starts.");
    listRuns();
  },
});

/** @type {import("./client.js").Listener} */
const listener = {
  run(run, revision, resumed) {
    // Of a run that is only described anew, as its plan came, the next rows are new ones.
    catchingUp ||= !resumed;
    if (resumed && stage.model) describe(run, revision);
    else begin(run, revision);
    tick();
    page.showRuns(runs, run.uid);
    if (!resumed) listRuns();
  },
  revised(revision, producedBy) {
    remake.revised(revision);
    if (shown) begin(shown, revision);
    page.addNotice("revised", `Reconstructed again${producedBy ? ` by ${producedBy}` : ""}.`, false);
  },
  points(block) {
    const { model } = stage;
    if (!model) return;
    model.append(block);
    if (!catchingUp || block.firstRow === 0) rate.add(model.measured, performance.now() / 1000);
    // Rows that were there before did not lag: nobody waited for them.
    if (!catchingUp && !replay.open) newest = block.arrived;
    catchingUp = false;
    showProgress();
    if (replay.open) replay.grown();
    else stage.redraw(true);
  },
  array(array) {
    stage.showArray(array);
  },
  stopped(exit, why) {
    const known = why === reason;
    reason = why;
    setStatus(exit);
    void comparison.offer();
    if (!known) page.addNotice("run_stopped", `${page.STATUS_WORDS[exit] ?? exit}: ${why}`, exit === "fail");
    listRuns();
  },
  notice: page.addNotice,
  refused(_, message) {
    shown = null;
    stage.clear();
    page.showEmpty("This run cannot be shown", message);
    page.element("status").hidden = page.element("progress").hidden = true;
    page.text("title", "Scan viewer");
    page.text("subtitle", "");
    stage.redraw(true);
  },
};

function watch() {
  return feed.watch(here.run, listener, { maxRate: 60, revision: here.revision || undefined });
}
let watched = watch();

const archive = new Archive(/** @type {HTMLDialogElement} */ (page.element("archive")), {
  list: (conditions) => feed.listRuns(conditions),
  searched: (search) => history.replaceState(null, "", hrefOf({ list: true, search })),
  chosen: (run) => go({ run, channel: here.channel }),
  beside: (run) => go({ ...here, list: false, beside: run }),
  closed: () => go({ ...here, list: false }),
  current: () => shown?.uid ?? "",
});
if (here.list) archive.show(here.search);

const beside = new Beside(stage, look, feed);
beside.show(here.beside);
page.element("beside-close").addEventListener("click", () => go({ ...here, beside: "" }));

setInterval(tick, 250);
setInterval(listRuns, LIST_EVERY_S * 1000);

/** For tests, and for debugging in the console. */
Object.assign(window, {
  wpb: {
    feed,
    get model() {
      return stage.model;
    },
    cellRect: stage.cellRect.bind(stage),
    pixelAt: frames.picture.at.bind(frames.picture),
  },
});
