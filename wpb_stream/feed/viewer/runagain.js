// "Run again": says what would be run, asks whether to, and has blueapi run it.
import { element } from "./page.js";

/** @typedef {import("./client.js").Run} Run */
/** @typedef {import("./client.js").Task} Task */

/** The key of a start document by which blueapi names the task that a run is of. */
const TASK_KEY = "blueapi_task_id";

export class RunAgain {
  #button = /** @type {HTMLButtonElement} */ (element("again-open"));
  #dialog = /** @type {HTMLDialogElement} */ (element("again"));
  #begin = /** @type {HTMLButtonElement} */ (element("again-begin"));
  #said = element("again-said");
  #ask;
  /** @type {Run | null} */ #run = null;
  #known = false;
  #may = false;

  /** @param {(run: string, begin: boolean) => Promise<Task | string>} ask gives the task, or in words why there is none */
  constructor(ask) {
    this.#ask = ask;
    this.#button.addEventListener("click", () => void this.#open());
    this.#begin.addEventListener("click", () => void this.#confirmed());
    element("again-close").addEventListener("click", () => this.#dialog.close());
  }

  /**
   * @param {boolean} blueapi whether the server knows one
   * @param {string[]} scopes
   */
  welcome(blueapi, scopes) {
    this.#known = blueapi;
    this.#may = scopes.includes("admin");
    this.show(this.#run);
  }

  /** @param {Run | null} run */
  show(run) {
    this.#run = run;
    this.#button.hidden = !this.#known || typeof run?.metadata[TASK_KEY] !== "string";
    this.#button.disabled = !this.#may;
    this.#button.title = this.#may ? "Have blueapi run this plan once more" : "It takes a token with scope admin to run plans";
  }

  async #open() {
    const run = this.#run;
    if (!run) return;
    this.#begin.disabled = true;
    element("again-plan").textContent = "";
    this.#said.textContent = "Asking blueapi…";
    this.#dialog.showModal();
    this.#begin.dataset.run = run.uid;
    const task = await this.#ask(run.uid, false);
    if (this.#begin.dataset.run !== run.uid) return; // it was asked for another one meanwhile
    if (typeof task === "string") return void (this.#said.textContent = task);
    this.#said.textContent = "Motors will move. Run it?";
    element("again-plan").textContent = `${task.plan}(${Object.entries(task.params).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")})`;
    this.#begin.disabled = false;
    this.#begin.focus();
  }

  async #confirmed() {
    this.#begin.disabled = true;
    this.#said.textContent = "Asking blueapi…";
    // Of the run that was shown when it was asked, whatever is on screen by now.
    const task = await this.#ask(this.#begin.dataset.run ?? "", true);
    this.#said.textContent = typeof task === "string" ? task : `It runs, as task ${task.task?.slice(0, 8)}.`;
  }
}
