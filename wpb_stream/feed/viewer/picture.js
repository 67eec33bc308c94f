// A figure as a picture to take away: as it is seen, with its axes and what it is of.
import { save } from "./save.js";

/** A figure on the page. @typedef {{figure: HTMLElement, heading: HTMLElement, note: HTMLElement, canvas: HTMLCanvasElement, name: string}} Shown */

/**
 * A button that saves a figure.
 * @param {Shown} shown
 */
export function pictureButton(shown) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "save";
  button.textContent = "⤓";
  button.title = button.ariaLabel = `Save ${shown.heading.textContent} as a picture`;
  button.addEventListener("click", async () => save(await pictureOf(shown), `${fileName(shown)}.png`));
  return button;
}

/** What is on screen, in a line. */
function runTitle() {
  return document.getElementById("title")?.textContent ?? "";
}

/** @param {Shown} shown */
function fileName({ name }) {
  // Names of plans are the facility's: nothing of them may be a path.
  return [runTitle(), name].join("-").replace(/[^\p{L}\p{N}_.-]+/gu, "-").replace(/^[-.]+/, "");
}

/**
 * @param {Shown} shown
 * @returns {Promise<Blob>} PNG, in the pixels of the screen
 */
function pictureOf({ figure, heading, note, canvas }) {
  const style = getComputedStyle(figure);
  const size = parseFloat(style.fontSize);
  const ratio = canvas.width / (canvas.clientWidth || canvas.width);
  const head = Math.round(size * 3.4 * ratio);
  const picture = new OffscreenCanvas(canvas.width, canvas.height + head);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (picture.getContext("2d"));
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(canvas, 0, head);
  context.scale(ratio, ratio);
  context.fillStyle = style.color;
  context.textBaseline = "top";
  context.font = `600 ${size}px ${style.fontFamily}`;
  const width = canvas.width / ratio - size;
  context.fillText([runTitle(), heading.textContent].filter(Boolean).join(" · "), size / 2, size * 0.5, width);
  context.font = `${size * 0.8}px ${style.fontFamily}`;
  context.fillText([...note.childNodes].map(({ textContent }) => textContent).join("   "), size / 2, size * 1.9, width);
  return picture.convertToBlob({ type: "image/png" });
}
