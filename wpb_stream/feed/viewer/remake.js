// "Make the maps again": asks for it with the regions that were drawn, and says what becomes of it.
import { element } from "./page.js";

/** @typedef {import("./client.js").Reprocessing} Reprocessing */
/** @typedef {import("./client.js").Run} Run */
/**
 * Whom it is asked of.
 * @typedef {object} Remaker
 * @property {(run: string, recipe: Record<string, unknown>) => Promise<Reprocessing | string>} ask what was begun, or in words why nothing was
 * @property {(dagsterRun: string) => Promise<string | null>} status Dagster's word for it; null where it cannot be had
 */

/** Between two looks at the Dagster run. */
const LOOK_MS = 2000;
/** Dagster's words for a run. @type {Record<string, string>} */
const WORDS = { QUEUED: "waits its turn", NOT_STARTED: "waits its turn", STARTING: "is being started", STARTED: "is running" };

export class Remake {
  #button = /** @type {HTMLButtonElement} */ (element("remake"));
  #said = element("remake-said");
  #remaker;
  #editor;
  /** @type {string[]} */ #scopes = [];
  /** @type {Run | null} */ #run = null;
  /** What was begun and is not there yet. @type {Reprocessing | null} */ #begun = null;
  #asking = false;
  /** Whether Dagster has done it: the new maps are on their way, if the newest ones are what is shown. */ #done = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #looking;

  /**
   * @param {import("./regionedit.js").RegionEditor} editor
   * @param {Remaker} remaker
   */
  constructor(editor, remaker) {
    this.#editor = editor;
    this.#remaker = remaker;
    this.#button.addEventListener("click", () => void this.#ask());
  }

  /** @param {string[]} scopes what the person may do */
  may(scopes) {
    this.#scopes = scopes;
    this.show(this.#run);
  }

  /**
   * Go with the run on screen, and with what was drawn.
   * @param {Run | null} run
   */
  show(run) {
    if (run?.uid !== this.#run?.uid) this.#end("");
    this.#run = run;
    const why = this.#hindrance();
    this.#button.disabled = why !== "";
    this.#button.title = why || "Have Dagster make the maps of this run again; the ones there are stay";
  }

  /**
   * The run on screen has another revision now.
   * @param {string} revision
   */
  revised(revision) {
    if (revision === this.#begun?.dagsterRun) this.#end("The maps that were made again are on the page.");
  }

  /** Why it cannot be asked for; empty if it can. */
  #hindrance() {
    if (!this.#scopes.includes("admin")) return "It takes a token with scope admin to have maps made again";
    if (!this.#run || this.#run.status === "running") return "The run is not over; its maps can be made again then";
    if (!this.#editor.edited) return "Draw a region for a channel first";
    return this.#asking || (this.#begun && !this.#done) ? "They are being made again" : "";
  }

  async #ask() {
    const run = this.#run;
    if (!run || this.#hindrance()) return;
    this.#asking = true;
    this.show(run);
    this.#say("Asking…");
    const answer = await this.#remaker.ask(run.uid, this.#editor.asked(run.metadata));
    this.#asking = false;
    if (run.uid === this.#run?.uid) {
      if (typeof answer === "string") this.#end(answer);
      else {
        this.#begun = answer;
        this.#done = false;
        this.#tell(answer, "is asked for");
        this.#look(answer);
      }
    }
    this.show(this.#run);
  }

  /** @param {Reprocessing} begun */
  #look(begun) {
    this.#looking = setTimeout(async () => {
      const status = await this.#remaker.status(begun.dagsterRun);
      if (begun !== this.#begun) return;
      if (status === "FAILURE" || status === "CANCELED") {
        this.#begun = null;
        this.#tell(begun, status === "FAILURE" ? "failed: its page says why" : "was cancelled");
        return this.show(this.#run);
      }
      if (status === "SUCCESS") {
        this.#done = true;
        this.#tell(begun, "is done: what it made is the newest revision of this run");
        return this.show(this.#run);
      }
      this.#tell(begun, (status && WORDS[status]) ?? "is under way");
      this.#look(begun);
    }, LOOK_MS);
  }

  /**
   * @param {Reprocessing} begun
   * @param {string} what becomes of it
   */
  #tell({ dagsterRun, link }, what) {
    const page = document.createElement("a");
    page.textContent = `Dagster run ${dagsterRun.slice(0, 8)}`;
    page.target = "_blank";
    page.rel = "noopener";
    if (/^https?:/.test(link)) page.href = link;
    this.#said.replaceChildren(page, ` ${what}.`);
  }

  /** @param {string} sentence */
  #end(sentence) {
    clearTimeout(this.#looking);
    this.#begun = null;
    this.#say(sentence);
  }

  /** @param {string} sentence */
  #say(sentence) {
    if (this.#said.textContent !== sentence) this.#said.textContent = sentence;
  }
}
