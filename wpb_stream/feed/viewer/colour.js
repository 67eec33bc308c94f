// From values to colours. Lightness rises with the value in every colour map, so that all read without colour vision too; only that of
// differences is lightest in its middle, which is zero, and its two ends are told apart by everybody.

/** @typedef {import("./model.js").ChannelMap} ChannelMap */
/** @typedef {import("./norm.js").Norm} Norm */

/** Colours at equal distances from the lowest to the highest value. @type {Record<string, string>} */
const STOPS = {
  viridis: "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
  magma: "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf",
  cividis: "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838",
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
 * @param {boolean} [inverted] the last colour first
 */
export function colourMap(name, inverted = false) {
  const key = `${name} ${inverted}`;
  const known = tables.get(key);
  if (known) return known;
  const stops = STOPS[name].split(" ").map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const table = Uint32Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    const [r, g, b] = stops[below].map((value, part) => Math.round(value + (stops[below + 1][part] - value) * (place - below)));
    return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
  });
  if (inverted) table.reverse();
  tables.set(key, table);
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
 * Draw one channel. Cells that have not been measured stay transparent.
 * @param {Uint32Array} pixels to fill, in the order of the cells
 * @param {ChannelMap} map
 * @param {number} offset the first cell
 * @param {Uint32Array} table
 * @param {Norm} norm
 */
export function paintChannel(pixels, map, offset, table, norm) {
  for (let i = 0; i < pixels.length; i++) {
    const value = map.values[offset + i];
    pixels[i] = value === value ? table[norm.level(value)] : 0;
  }
}

/**
 * Draw up to three channels as red, green and blue.
 * @param {Uint32Array} pixels to fill, in the order of the cells
 * @param {({map: ChannelMap, norm: Norm} | null)[]} parts red, green, blue
 * @param {number} offset the first cell
 */
export function paintComposite(pixels, parts, offset) {
  pixels.fill(0);
  parts.forEach((part, place) => {
    if (!part) return;
    const { map, norm } = part;
    for (let i = 0; i < pixels.length; i++) {
      const value = map.values[offset + i];
      if (value === value) pixels[i] = (pixels[i] | 0xff000000 | (norm.level(value) << (8 * place))) >>> 0;
    }
  });
}
