// From values to colours. Lightness rises with the value in every colour map, so that all read without colour vision too; only that of
// differences is lightest in its middle, which is zero, and its two ends are told apart by everybody.

/** @typedef {import("./model.js").ChannelMap} ChannelMap */

/** Colours at equal distances from the lowest to the highest value. @type {Record<string, string>} */
const STOPS = {
  viridis: "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
  grey: "0c0c0c fafafa",
  difference: "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
  red: "1a0609 55101c 97202c d63a36 f7705a ffac92 ffe9dc",
  green: "04150d 0a3d26 10693d 2b9656 5fc078 a2e2a2 e6fbdf",
  blue: "070d26 122a63 1d4aa3 2f73dd 5fa2fb a4cbff e6f3ff",
};

/** @type {Map<string, Uint32Array>} */
const tables = new Map();

/**
 * The colour map of that name as 256 packed pixels (red in the lowest byte, as ImageData has them on every browser's machine).
 * @param {string} name
 */
export function colourMap(name) {
  const known = tables.get(name);
  if (known) return known;
  const stops = STOPS[name].split(" ").map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const table = Uint32Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    const [r, g, b] = stops[below].map((value, part) => Math.round(value + (stops[below + 1][part] - value) * (place - below)));
    return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
  });
  tables.set(name, table);
  return table;
}

/**
 * Which colour map a channel is drawn with.
 * @param {string} choice "hue" for the channel's own, else the name of a colour map
 * @param {string | null} colour the channel's
 */
export function mapFor(choice, colour) {
  return choice === "hue" ? (isPrimary(colour) ? colour : "viridis") : choice;
}

/**
 * @param {string | null} colour
 * @returns {colour is "red" | "green" | "blue"}
 */
export function isPrimary(colour) {
  return colour === "red" || colour === "green" || colour === "blue";
}

/**
 * Value to 0..255: `round(255 (value - low) / (high - low))`; 128 where low equals high.
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function level(value, low, high) {
  if (!(high > low)) return 128;
  return Math.min(255, Math.max(0, Math.round((255 * (value - low)) / (high - low))));
}

/**
 * Draw one channel. Cells that have not been measured stay transparent.
 * @param {Uint32Array} pixels to fill, in the order of the cells
 * @param {ChannelMap} map
 * @param {number} offset the first cell
 * @param {Uint32Array} table
 */
export function paintChannel(pixels, map, offset, table) {
  const [low, high] = map.limits ?? [0, 0];
  for (let i = 0; i < pixels.length; i++) {
    const value = map.values[offset + i];
    pixels[i] = value === value ? table[level(value, low, high)] : 0;
  }
}

/**
 * Draw up to three channels as red, green and blue, each from its lowest to its highest value.
 * @param {Uint32Array} pixels to fill, in the order of the cells
 * @param {(ChannelMap | undefined)[]} maps red, green, blue
 * @param {number} offset the first cell
 */
export function paintComposite(pixels, maps, offset) {
  pixels.fill(0);
  maps.forEach((map, part) => {
    const limits = map?.limits;
    if (!map || !limits) return;
    const [low, high] = limits;
    for (let i = 0; i < pixels.length; i++) {
      const value = map.values[offset + i];
      if (value === value) pixels[i] = (pixels[i] | 0xff000000 | (level(value, low, high) << (8 * part))) >>> 0;
    }
  });
}
