// Regions and lines that the person draws on the maps: what their cells come to, in words.
import { element, showSelection } from "./page.js";
import { number } from "./scales.js";
import { cellsOf, lengthOf, summarise } from "./selection.js";
import { PROFILE } from "./stage.js";

export class Sums {
  #stage;
  #tool = /** @type {HTMLSelectElement} */ (element("tool"));

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.#stage = stage;
    this.#tool.addEventListener("change", () => this.#choose());
    this.#choose(); // some browsers keep what was chosen when the page is loaded again
    element("selection-clear").addEventListener("click", () => {
      stage.selection = null;
      this.show(true);
      stage.redraw(false);
    });
  }

  #choose() {
    const { value } = this.#tool;
    this.#stage.tool = value === "region" || value === "line" ? value : null;
    element("plots").dataset.tool = value;
  }

  /** There are other values, of the same cells. */
  renew() {
    if (this.#stage.selection) this.show(false);
  }

  /**
   * Say what the cells come to that the person has drawn around.
   * @param {boolean} done whether the person has let go: a profile is drawn then, as it makes other pictures move
   */
  show(done) {
    const { view, selection, model } = this.#stage;
    element("selection").hidden = !view || !selection;
    if (!view || !selection) return this.#stage.removeArray(PROFILE);
    const cells = cellsOf(view, selection);
    const isLine = selection.kind === "line";
    const found = isLine ? lengthOf(view, selection) : null;
    const length = found ? `${number(Number(found.length.toPrecision(4)))} ${found.units}`.trim() : "";
    showSelection(`${isLine ? "Line" : "Region"} of ${cells.length} cells${length ? `, ${length}` : ""}`, summarise(view, cells));
    if (isLine && (done || model?.arrays.has(PROFILE))) this.#stage.showProfile(cells, length);
    else if (!isLine) this.#stage.removeArray(PROFILE);
  }
}
