// The list of all runs: searched, paged, walked through by keys. Those that are running go on in it.
import { SEARCHES, write } from "./address.js";
import { STATUS_WORDS, clock, make, nameOf, sampleOf } from "./page.js";
import { Thumbnails } from "./thumbnails.js";

/** @typedef {import("./client.js").Run} Run */
/** @typedef {Record<string, string>} Search by the names of the form's fields */
/** @typedef {NonNullable<Parameters<import("./client.js").Feed["listRuns"]>[0]>} Conditions */

/**
 * What the list asks of the page, and tells it.
 * @typedef {object} ArchiveListener
 * @property {(conditions: Conditions) => Promise<{runs: Run[], before: string | null}>} list
 * @property {(search: Search) => void} searched the search was changed
 * @property {(run: string) => void} chosen
 * @property {(run: string) => void} beside one is to be shown beside the run on screen
 * @property {() => void} closed the person closed it
 * @property {() => string} current uid of the run on screen; empty if there is none
 */

const PAGE = 50;
const MOST = 500;
const REFRESH_S = 3;
/** From the last key to the question. */
const PAUSE_MS = 150;

export class Archive {
  #dialog;
  #form;
  #list;
  #none;
  #more;
  #listener;
  #thumbnails;
  /** @type {Map<string, {item: HTMLElement, update: (run: Run) => void, image: HTMLImageElement}>} */ #items = new Map();
  /** Of the last question: answers to earlier ones come too late. */ #asked = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /**
   * @param {HTMLDialogElement} dialog with a form, a list, a paragraph and a button for more
   * @param {ArchiveListener} listener
   */
  constructor(dialog, listener) {
    this.#dialog = dialog;
    this.#listener = listener;
    const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (dialog.querySelector(selector));
    this.#form = /** @type {HTMLFormElement} */ (part("form"));
    this.#list = part("ol");
    this.#none = part("p");
    this.#more = /** @type {HTMLButtonElement} */ (part("[data-more]"));
    this.#thumbnails = new Thumbnails(part("[data-found]"));
    this.#listen(part("[data-close]"));
  }

  /**
   * Open it with a search, or close it.
   * @param {Search | null} search
   */
  show(search) {
    if (!search) return this.#dialog.close();
    for (const name of SEARCHES) this.#field(name).value = search[name] ?? "";
    if (this.#dialog.open) return;
    this.#dialog.showModal();
    this.#field("text").focus();
    void this.#ask(PAGE);
  }

  /** @param {string} name */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }

  /** @returns {Search} */
  get #search() {
    return Object.fromEntries(SEARCHES.map((name) => [name, this.#field(name).value.trim()]).filter(([, value]) => value));
  }

  /** @param {HTMLElement} close */
  #listen(close) {
    const again = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        if (!this.#form.checkValidity()) return;
        this.#listener.searched(this.#search);
        void this.#ask(PAGE);
      }, PAUSE_MS);
    };
    this.#form.addEventListener("input", again);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      again();
    });
    this.#more.addEventListener("click", async () => {
      const there = this.#items.size;
      await this.#ask(there + PAGE);
      // The button may be gone: the keys go on with the first run that came.
      this.#links[there]?.focus();
    });
    close.addEventListener("click", () => this.#listener.closed());
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#listener.closed();
    });
    this.#dialog.addEventListener("close", () => clearTimeout(this.#timer));
    this.#list.addEventListener("click", (event) => {
      const link = event.target instanceof Element ? event.target.closest("a") : null;
      const { run, beside } = link?.dataset ?? {};
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (run) this.#listener.chosen(run);
      else if (beside) this.#listener.beside(beside);
    });
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { key, target } = event;
    const field = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    // A search field would take it for itself, and empty itself.
    if (key === "Escape") this.#listener.closed();
    else if (key === "/" && !field) this.#field("text").focus();
    else if (field && !(key === "ArrowDown" && target === this.#field("text"))) return;
    else if (!this.#step(key)) return;
    event.preventDefault();
  }

  get #links() {
    return /** @type {HTMLElement[]} */ ([...this.#list.querySelectorAll("a[data-run]")]);
  }

  /**
   * Move to another run in the list.
   * @param {string} key
   */
  #step(key) {
    const links = this.#links;
    const at = links.findIndex((link) => link.parentElement?.contains(document.activeElement));
    /** @type {Record<string, number>} */
    const places = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: links.length - 1 };
    if (!(key in places) || !links.length) return false;
    if (key === "ArrowUp" && at <= 0) this.#field("text").focus();
    else links[Math.min(links.length - 1, Math.max(0, places[key]))].focus();
    return true;
  }

  /**
   * Ask for the newest runs that the search fits.
   * @param {number} limit
   */
  async #ask(limit) {
    const asked = ++this.#asked;
    clearTimeout(this.#timer);
    const conditions = conditionsOf(this.#search);
    /** @type {Run[]} */ const runs = [];
    /** @type {string | undefined} */ let before;
    try {
      do {
        const page = await this.#listener.list({ ...conditions, limit: Math.min(MOST, limit - runs.length), before });
        runs.push(...page.runs);
        before = page.before ?? undefined;
      } while (before && runs.length < limit);
    } catch (error) {
      if (asked === this.#asked) this.#say(error instanceof Error ? error.message : String(error));
      return;
    }
    if (asked !== this.#asked || !this.#dialog.open) return;
    this.#show(runs);
    this.#more.hidden = !before;
    this.#say(runs.length ? "" : Object.keys(conditions).length ? "No run fits." : "No runs yet.");
    this.#timer = setTimeout(() => void this.#ask(Math.max(PAGE, limit)), REFRESH_S * 1000);
  }

  /** @param {string} sentence */
  #say(sentence) {
    this.#none.textContent = sentence;
    this.#none.hidden = !sentence;
  }

  /** @param {Run[]} runs */
  #show(runs) {
    const same = runs.length === this.#items.size && [...this.#items.keys()].every((uid, i) => uid === runs[i].uid);
    const before = this.#items;
    if (!same) this.#items = new Map(runs.map((run) => [run.uid, before.get(run.uid) ?? this.#item(run)]));
    for (const run of runs) this.#items.get(run.uid)?.update(run);
    if (same) return;
    for (const [uid, { image }] of before) if (!this.#items.has(uid)) this.#thumbnails.forget(image);
    const focused = document.activeElement;
    this.#list.replaceChildren(...[...this.#items.values()].map(({ item }) => item));
    if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus();
  }

  /** @param {Run} run */
  #item(run) {
    const item = document.createElement("li");
    const link = /** @type {HTMLAnchorElement} */ (make("a", "", { run: run.uid }));
    link.href = write({ run: run.uid });
    const image = document.createElement("img");
    image.alt = "";
    const picture = make("span", "");
    picture.append(image);
    const [about, status] = [make("small", ""), make("em", "")];
    const words = make("span", "");
    words.append(make("b", nameOf(run)), about);
    const when = make("span", "");
    when.append(status, make("time", clock(run.started, true)));
    link.append(picture, words, when);
    const beside = /** @type {HTMLAnchorElement} */ (make("a", "Beside", { beside: run.uid }));
    beside.title = "Show it beside the run on screen";
    beside.setAttribute("aria-label", `${nameOf(run)} beside the run on screen`);
    item.append(link, beside);
    const update = (/** @type {Run} */ now) => {
      const current = this.#listener.current();
      link.dataset.status = now.status;
      if (now.uid === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      about.textContent = [sampleOf(now), sessionOf(now), (now.shape ?? []).join(" × "), now.uid.slice(0, 8)].filter(Boolean).join(" · ");
      status.textContent = statusOf(now);
      beside.href = write({ run: current, beside: now.uid });
      beside.hidden = !current || current === now.uid;
      this.#thumbnails.show(image, now);
    };
    return { item, update, image };
  }
}

/** @param {Run} run */
function statusOf({ status, rows, points_expected: expected }) {
  const share = status === "running" && expected ? ` ${Math.floor((100 * Math.min(rows, expected)) / expected)} %` : "";
  return `${STATUS_WORDS[status] ?? status}${share}`;
}

/** @param {Run} run */
function sessionOf({ metadata }) {
  const session = metadata?.data_session ?? metadata?.instrument_session;
  return typeof session === "string" ? session : "";
}

/**
 * What the feed is asked for. Days are those of the person who reads.
 * @param {Search} search
 * @returns {Conditions}
 */
function conditionsOf({ text, plan, scan, session, status, since, until }) {
  const day = (/** @type {string} */ date, /** @type {number} */ later) => {
    const [year, month, number] = date.split("-").map(Number);
    return new Date(year, month - 1, number + later).toISOString();
  };
  return {
    ...(text && { text }),
    ...(plan && { planName: plan }),
    ...(scan && { scanId: Number(scan) }),
    ...(session && { session }),
    ...(status && { status: /** @type {import("./client.js").Status} */ (status) }),
    ...(since && { since: day(since, 0) }),
    ...(until && { until: day(until, 1) }),
  };
}
