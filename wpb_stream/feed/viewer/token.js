// The token that the server may ask for: kept until the tab is closed, and shown wherever something is fetched.

import { save } from "./save.js";

const KEY = "wpb.token";
let held = "";
try {
  held = sessionStorage.getItem(KEY) ?? "";
} catch {
  // A browser that keeps nothing for this page: the token lasts until it is reloaded.
}

/** The token; empty if there is none. */
export function token() {
  return held;
}

/** @param {string} value */
export function keepToken(value) {
  held = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // As above.
  }
}

/**
 * @param {string} path
 * @returns {Promise<Response>}
 */
export function fetchWithToken(path) {
  return fetch(path, held ? { headers: { Authorization: `Bearer ${held}` } } : {});
}

/**
 * Take away what a link leads to: a browser that follows it by itself shows no token.
 * @param {HTMLAnchorElement} link
 * @returns {Promise<string>} why not; empty if it was saved
 */
export async function takeAway(link) {
  const answer = await fetchWithToken(link.href).catch(() => null);
  if (!answer?.ok) return answer ? `The server refuses it (${answer.status}).` : "The server does not answer.";
  const content = await answer.blob().catch(() => null);
  if (!content) return "The connection ended before all of it was here.";
  save(content, /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "");
  return "";
}
