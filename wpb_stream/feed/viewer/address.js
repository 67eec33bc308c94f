// The address of the page says what is on it, so that it can be shared: which run, which revision, which channel is the large one.

export const LATEST = "latest";

/** Where the viewer is served: its addresses are relative to it. Taken at once, before the page's own address changes. */
const ROOT = new URL(".", document.baseURI);

/**
 * What an address says. `run` is a uid or "latest"; `list` whether the list of runs is open, and `search` what it is searched for; `beside` a
 * second run that is shown beside the first.
 * @typedef {{run: string, revision: string, channel: string, beside: string, embed: boolean, list: boolean, search: Record<string, string>}} Address
 */

/** What the list of runs can be searched for. */
export const SEARCHES = ["text", "plan", "scan", "session", "status", "since", "until"];

/**
 * @param {string} href
 * @returns {Address}
 */
export function read(href) {
  const { pathname, searchParams } = new URL(href);
  const [first, uid = ""] = pathname.startsWith(ROOT.pathname) ? pathname.slice(ROOT.pathname.length).split("/") : [];
  const get = (/** @type {string} */ name) => searchParams.get(name) ?? "";
  const list = first === "runs" && !uid;
  return {
    // An older form of it is ?run=UID.
    run: (first === "runs" && decoded(uid)) || get("run") || LATEST,
    revision: get("revision"),
    channel: get("channel"),
    beside: get("beside"),
    embed: get("embed") === "1",
    list,
    search: list ? Object.fromEntries(SEARCHES.map((name) => [name, get(name)]).filter(([, value]) => value)) : {},
  };
}

/**
 * @param {Partial<Address>} address
 * @returns {string} relative to the page's base
 */
export function write({ run = LATEST, revision = "", channel = "", beside = "", embed = false, list = false, search = {} }) {
  const said = list ? search : { revision, channel, beside, embed: embed ? "1" : "" };
  const query = new URLSearchParams(Object.entries(said).filter(([, value]) => value));
  const path = list ? "runs" : run === LATEST ? "./" : `runs/${encodeURIComponent(run)}`;
  return query.size ? `${path}?${query}` : path;
}

/**
 * The whole address, of this server.
 * @param {Partial<Address>} address
 */
export function hrefOf(address) {
  return new URL(write(address), ROOT).href;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // "%" alone: an address that somebody typed.
  }
}
