// What one does with the run on screen: take it into Python, go to its pages in Dagster.
import { element } from "./page.js";
import { snippet } from "./snippet.js";
import { token } from "./token.js";

/** @typedef {import("./client.js").Run} Run */

/** @param {string} host */
function isLoopback(host) {
  return host === "localhost" || host === "[::1]" || host.startsWith("127.");
}

/**
 * Dagster's page of what was made of a run; null where a browser that has this page cannot reach it.
 * @param {string | null} dagster its web server
 * @param {string} uid
 */
export function dagsterPage(dagster, uid) {
  const url = dagster && /^https?:/.test(dagster) ? new URL(`${dagster.replace(/\/$/, "")}/assets/maps`) : null;
  if (!url || (isLoopback(url.hostname) && !isLoopback(location.hostname))) return null;
  url.searchParams.set("view", "partitions");
  url.searchParams.set("partition", uid);
  return url.href;
}

export class Acts {
  #feed;
  /** @type {Run | null} */ #run = null;
  #revision = "";
  /** @type {string | null} */ #dagster = null;
  #dialog = /** @type {HTMLDialogElement} */ (element("python"));
  #code = /** @type {HTMLTextAreaElement} */ (element("python-code"));

  /** @param {URL} feed */
  constructor(feed) {
    this.#feed = new URL(feed);
    this.#feed.protocol = this.#feed.protocol.replace("http", "ws");
    element("python-open").addEventListener("click", () => void this.#copy());
    element("python-close").addEventListener("click", () => this.#dialog.close());
  }

  /** @param {string | null} dagster Dagster's web server; null where none is known */
  welcome(dagster) {
    this.#dagster = dagster;
    if (this.#run) this.show(this.#run, this.#revision);
  }

  /**
   * @param {Run} run
   * @param {string} revision
   */
  show(run, revision) {
    this.#run = run;
    this.#revision = revision;
    const link = /** @type {HTMLAnchorElement} */ (element("dagster-link"));
    const page = dagsterPage(this.#dagster, run.uid);
    link.hidden = page === null;
    if (page) link.href = page;
  }

  async #copy() {
    if (!this.#run) return;
    this.#code.value = snippet(this.#run, this.#revision, this.#feed, token() !== "");
    this.#dialog.showModal();
    this.#code.select();
    // Browsers give the clipboard to pages of https and of this machine only.
    const copied = await navigator.clipboard?.writeText(this.#code.value).then(() => true, () => false);
    element("python-said").textContent = copied ? "Copied to the clipboard." : "Copy it with Ctrl+C.";
  }
}
