// The words on the page. Whatever comes from a run is hostile: it is only ever set as text.
import { write } from "./address.js";
import { duration, number } from "./scales.js";

/** @typedef {import("./client.js").Run} Run */
/** @typedef {import("./view.js").View} View */

/** @type {Record<string, string>} */
export const STATUS_WORDS = { running: "Running", success: "Finished", abort: "Aborted", fail: "Failed", lost: "Lost" };
/** @type {Record<string, string>} */
const STATUS_MEANING = {
  running: "The scan is running", success: "The scan ended as planned", abort: "The scan was aborted",
  fail: "The scan ended with an error", lost: "The scan's documents stopped coming, and none said that it ended",
};

/** What can be taken away of a run: title and file. @type {Record<string, string>} */
const DOWNLOADS = { CSV: "map.csv", NumPy: "map.npz", NeXus: "map.nxs", PNG: "map.png" };

/** @param {string} id */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/** @param {string} id */
export function input(id) {
  return /** @type {HTMLInputElement} */ (element(id));
}

/**
 * @param {string} id
 * @param {string} value
 */
export function text(id, value) {
  const target = element(id);
  if (target.textContent !== value) target.textContent = value;
}

/**
 * @param {string} tag
 * @param {string} content
 * @param {Record<string, string>} [data]
 */
export function make(tag, content, data = {}) {
  const made = document.createElement(tag);
  made.textContent = content;
  Object.assign(made.dataset, data);
  return made;
}

/**
 * Put other children into an element, unless they are as those that are there: one of them may have the focus.
 * @param {HTMLElement} host
 * @param {HTMLElement[]} children
 */
function renew(host, ...children) {
  const same = children.length === host.children.length && children.every((child, i) => child.isEqualNode(host.children[i]));
  if (!same) host.replaceChildren(...children);
}

/** @param {Run} run */
export function nameOf({ plan_name: plan, scan_id: scan }) {
  return `${plan || "run"}${scan === null || scan === undefined ? "" : ` #${scan}`}`;
}

/**
 * @param {string | null} iso
 * @param {boolean} dated
 */
export function clock(iso, dated) {
  const time = new Date(iso ?? NaN);
  if (Number.isNaN(time.getTime())) return "–";
  const hours = time.toLocaleTimeString([], { hourCycle: "h23" });
  return dated && time.toDateString() !== new Date().toDateString() ? `${time.toLocaleDateString()} ${hours}` : hours;
}

/** @param {Run} run */
export function sampleOf({ metadata }) {
  const sample = metadata?.sample ?? metadata?.sample_name;
  const name = typeof sample === "object" && sample !== null && "name" in sample ? sample.name : sample;
  return typeof name === "string" || typeof name === "number" ? String(name) : "";
}

/**
 * @param {Run} run
 * @param {string} revision
 */
export function showRun(run, revision) {
  text("title", nameOf(run));
  const shape = run.recipe && run.points_expected === null && run.status === "running" ? "of unknown length" : (run.shape ?? []).join(" × ");
  const parts = [sampleOf(run), shape, run.recipe ?? "", revision === "live" ? "" : `revision ${revision.slice(0, 12)}`, ...planOf(run)];
  const subtitle = element("subtitle");
  const uid = /** @type {HTMLAnchorElement} */ (make("a", run.uid.slice(0, 8)));
  uid.title = `A link to this run alone: ${run.uid}`;
  uid.className = "uid";
  uid.href = write({ run: run.uid });
  renew(subtitle, ...parts.filter(Boolean).map((part) => make("span", part)), uid);
  text("started", clock(run.started, true));
  renew(element("downloads"), ...Object.entries(DOWNLOADS).map(([title, file]) => {
    const link = /** @type {HTMLAnchorElement} */ (make("a", title));
    // While a run goes on its revision may yet be begun anew.
    const shown = run.status === "running" ? "" : `?revision=${encodeURIComponent(revision)}`;
    link.href = `api/runs/${encodeURIComponent(run.uid)}/${file}${shown}`;
    link.download = ""; // Also of what a browser would show.
    return link;
  }));
  element("progress").hidden = false;
  element("replay-open").hidden = !run.shape?.length;
}

/**
 * Which revisions a run can be compared with. One that is chosen stays so.
 * @param {{revision: string, produced_by: string, created_at: string}[]} others
 */
export function showRevisions(others) {
  const choices = others.map(({ revision, produced_by: by, created_at: at }) => {
    const name = revision === "live" || revision.startsWith("live.") ? revision : revision.slice(0, 8);
    const choice = /** @type {HTMLOptionElement} */ (make("option", `${name} of ${clock(at, true)}`));
    choice.value = revision;
    choice.title = by;
    return choice;
  });
  const none = /** @type {HTMLOptionElement} */ (make("option", "nothing"));
  none.value = "";
  const select = /** @type {HTMLSelectElement} */ (element("compared"));
  const { value } = select;
  select.replaceChildren(none, ...choices);
  select.value = others.some(({ revision }) => revision === value) ? value : "";
  element("comparison").hidden = others.length === 0;
}

/**
 * What blueapi says of the run's plan, where that is more than that it runs.
 * @param {Run} run
 */
function planOf({ plan, status }) {
  if (!plan || status !== "running") return [];
  const state = plan.state === "RUNNING" ? [] : [`plan ${plan.state.toLowerCase()}`];
  return [...state, ...(plan.moving ?? []).map(({ name, target, units }) => `${name} → ${number(Number(target.toPrecision(5)))} ${units ?? ""}`.trim())];
}

/**
 * @param {string} status
 * @param {string} reason
 */
export function showStatus(status, reason) {
  const badge = element("status");
  badge.hidden = false;
  badge.dataset.status = status;
  text("status", STATUS_WORDS[status] ?? status);
  badge.title = `${STATUS_MEANING[status] ?? status}${reason ? `: ${reason}` : ""}.`;
}

/**
 * @param {Run} run
 * @param {{measured: number, expected: number, rate: number | null, silence: number | null, stale: boolean, lag: number | null, missing: number, now: number}} state `now` by the server's clock, in ms
 */
export function showProgress(run, { measured, expected, rate, silence, stale, lag, missing, now }) {
  const share = expected > 0 ? Math.min(1, measured / expected) : 0;
  const percent = `${Math.floor(share * 100)} %`;
  const running = run.status === "running";
  text("points", expected > 0 ? `${number(measured)} of ${number(expected)} · ${percent}` : number(measured));
  element("bar").style.transform = `scaleX(${share})`;
  const bar = /** @type {HTMLElement} */ (element("bar").parentElement);
  bar.setAttribute("aria-valuemax", String(expected));
  bar.setAttribute("aria-valuenow", String(measured));
  const seconds = ((run.stopped ? Date.parse(run.stopped) : now) - Date.parse(run.started ?? "")) / 1000;
  text("elapsed", Number.isFinite(seconds) && (running || run.stopped) ? duration(seconds) : "–");
  const speed = running ? rate : run.stopped && seconds > 0 ? measured / seconds : null;
  const shown = stale ? `none for ${duration(silence ?? 0)}` : speed === null ? "–" : `${number(Number(speed.toPrecision(speed < 100 ? 2 : 3)))} /s`;
  text("rate", shown);
  element("rate").dataset.stale = String(stale);
  element("freshness").hidden = !stale;
  text("freshness", `No data for ${duration(silence ?? 0)}`);
  text("lag", running && lag !== null ? duration(lag) : "–");
  element("missing-stat").hidden = missing <= 0;
  text("missing", number(missing));
  text("left", running ? (rate && !stale && expected > 0 ? duration((expected - measured) / rate) : "–") : "–");
  document.title = `${running && expected > 0 ? `${percent} ` : ""}${nameOf(run)} · ${STATUS_WORDS[run.status] ?? run.status}`;
}

/**
 * What was measured at a cell.
 * @param {View} view
 * @param {number} cell
 * @param {boolean} pointed whether somebody points at it; else it is the latest
 */
export function showReadout(view, cell, pointed) {
  const { model, scales } = view;
  const indices = view.indices(cell);
  text("readout-title", pointed ? "Under the cursor" : "Latest point");
  const slabs = scales.slice(0, -2).map((scale, i) => `${scale.name} ${number(scale.at(indices[i]))} (${indices[i] + 1} of ${scale.count})`);
  text("slab", slabs.join(", "));
  const point = model.pointAt[cell];
  /** @type {[string, string, string, string][]} */
  const rows = [...scales.keys()].reverse().map((i) => [scales[i].name, number(scales[i].at(indices[i])), scales[i].units ?? "", ""]);
  rows.push(["point", point < 0 ? "not measured" : number(point), "", ""]);
  rows.push(["cell", indices.join(", "), "", ""]);
  for (const { name, label, units, colour } of model.channels) rows.push([label || name, number(model.maps.get(name)?.values[cell] ?? NaN), units, colour ?? "none"]);
  const values = element("values");
  values.style.setProperty("--half", String(Math.ceil(rows.length / 2)));
  if (values.childElementCount !== rows.length) values.replaceChildren(...rows.map(readoutRow));
  rows.forEach(([name, value, units, colour], i) => {
    const [term, shown, unit] = values.children[i].children;
    if (term.textContent !== name) term.textContent = name;
    /** @type {HTMLElement} */ (term).dataset.colour = colour;
    if (shown.textContent !== value) shown.textContent = value;
    if (unit.textContent !== units) unit.textContent = units;
  });
  element("readout").hidden = false;
}

/**
 * @param {string} title
 * @param {import("./selection.js").Summary[]} summaries
 */
export function showSelection(title, summaries) {
  text("selection-title", title);
  element("sums").replaceChildren(...summaries.map(({ name, units, sum, mean, low, high }) => {
    const row = make("tr", "");
    const heading = make("th", name);
    heading.setAttribute("scope", "row");
    heading.title = units;
    row.append(heading, ...[sum, mean, low, high].map((value) => make("td", number(value))));
    return row;
  }));
}

function readoutRow() {
  const row = make("div", "");
  row.append(make("dt", ""), make("dd", ""), make("dd", ""));
  return row;
}

/**
 * @param {string} title
 * @param {string} explanation
 */
export function showEmpty(title, explanation) {
  text("empty-title", title);
  text("empty-text", explanation);
}

const MOST_NOTICES = 50;
/** @type {Map<string, {item: HTMLElement, times: number}>} */
const notices = new Map();

/**
 * @param {string} code
 * @param {string} message
 * @param {boolean} isError
 */
export function addNotice(code, message, isError) {
  const key = `${code} ${message}`;
  const before = notices.get(key);
  // The server tells a run's notices again after each interruption.
  if (before && !isError) return;
  const times = (before?.times ?? 0) + 1;
  before?.item.remove();
  notices.delete(key);
  const item = make("li", message, isError ? { kind: "error" } : {});
  item.title = code;
  if (times > 1) item.append(make("small", ` ${times} times`));
  item.prepend(make("time", clock(new Date().toISOString(), false)));
  element("notices").prepend(item);
  notices.set(key, { item, times });
  for (const [oldest, { item: old }] of notices) {
    if (notices.size <= MOST_NOTICES) break;
    old.remove();
    notices.delete(oldest);
  }
  element("no-notices").hidden = true;
}

export function clearNotices() {
  notices.clear();
  element("notices").replaceChildren();
  element("no-notices").hidden = false;
}

let listed = "";

/**
 * @param {Run[]} runs newest first
 * @param {string | undefined} current uid of the run on screen
 */
export function showRuns(runs, current) {
  const summary = JSON.stringify([current, runs.map(({ uid, status }) => [uid, status])]);
  if (summary === listed) return;
  listed = summary;
  const focused = document.activeElement instanceof HTMLAnchorElement ? document.activeElement.dataset.run : undefined;
  const items = runs.map((run) => {
    const link = /** @type {HTMLAnchorElement} */ (make("a", "", { run: run.uid, status: run.status }));
    link.href = write({ run: run.uid });
    if (run.uid === current) link.setAttribute("aria-current", "true");
    link.append(make("b", nameOf(run)), make("span", (run.shape ?? []).join(" × ")), make("time", clock(run.started, true)), make("em", STATUS_WORDS[run.status] ?? run.status));
    const item = document.createElement("li");
    item.append(link);
    return item;
  });
  element("runs").replaceChildren(...items);
  element("no-runs").hidden = runs.length > 0;
  items.map((item) => /** @type {HTMLAnchorElement} */ (item.firstChild)).find((link) => link.dataset.run === focused)?.focus();
}
