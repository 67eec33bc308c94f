// Something made on the page, as a file for the person to keep.

/** How long what is saved is kept for the browser to read it. */
const KEPT_MS = 60_000;

/**
 * @param {Blob} content
 * @param {string} name of the file; empty for one that the browser chooses
 */
export function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
