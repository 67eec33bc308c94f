// Buttons that stay pressed, and those that show and hide what they control.
import { element } from "./page.js";

/** @param {string} id */
export function pressed(id) {
  return element(id).getAttribute("aria-pressed") === "true";
}

/**
 * @param {string} id
 * @param {boolean} on
 */
export function press(id, on) {
  element(id).setAttribute("aria-pressed", String(on));
}

/**
 * Have a button show and hide what it controls.
 * @param {string} id of what it controls
 * @param {() => void} done
 */
export function unfold(id, done) {
  const button = element(`${id}-open`);
  button.addEventListener("click", () => {
    const target = element(id);
    target.hidden = !target.hidden;
    button.setAttribute("aria-expanded", String(!target.hidden));
    done();
  });
}
