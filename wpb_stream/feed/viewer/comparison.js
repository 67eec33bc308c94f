// "Subtract": another revision of the run on screen, taken away from it cell by cell.
import { FeedError } from "./client.js";
import { incomparable } from "./difference.js";
import { RunModel, obstacle } from "./model.js";
import { addNotice, element, showRevisions } from "./page.js";
import { fetchWithToken } from "./token.js";

export class Comparison {
  #select = /** @type {HTMLSelectElement} */ (element("compared"));

  /**
   * @param {import("./stage.js").Stage} stage
   * @param {(run: string, revision: string) => Promise<import("./client.js").Fetched | FeedError>} fetch gives a whole revision, or why there is none
   * @param {() => void} changed other maps are on the stage
   */
  constructor(stage, fetch, changed) {
    this.stage = stage;
    this.fetch = fetch;
    this.changed = changed;
    this.#select.addEventListener("change", () => void this.#compare(this.#select.value));
  }

  /** Offer the run's other revisions: called once all of its rows are here. */
  async offer() {
    const { model } = this.stage;
    if (!model) return;
    const answer = await fetchWithToken(`api/runs/${encodeURIComponent(model.run.uid)}/revisions`).catch(() => null);
    /** @type {{revisions: {revision: string, produced_by: string, created_at: string}[]} | null} */
    const found = answer?.ok ? await answer.json().catch(() => null) : null;
    if (found && this.stage.model === model) showRevisions(found.revisions.filter(({ revision }) => revision !== model.revision));
  }

  /**
   * Subtract a revision from the one on screen.
   * @param {string} revision empty for none
   */
  async #compare(revision) {
    const { model } = this.stage;
    if (!model) return;
    const found = revision ? await this.fetch(model.run.uid, revision) : null;
    if (this.stage.model !== model || this.#select.value !== revision) return;
    const other = found && "blocks" in found && !obstacle(found.run) ? new RunModel(found.run, revision) : null;
    if (found && "blocks" in found) for (const block of found.blocks) other?.append(block);
    const why = found instanceof FeedError ? found.message : other && incomparable(model, other);
    if (why) addNotice("not_compared", `Revision ${revision.slice(0, 8)} cannot be subtracted. ${why}`, true);
    const subtracted = why ? null : other;
    if (!subtracted) this.#select.value = "";
    this.stage.show(model, subtracted);
    this.changed();
  }
}
