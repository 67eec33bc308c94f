"""The picture of a run, as PNG: the composite and every channel side by side, each under its title.

It looks as the viewer does: positions ascend to the right and upwards, each channel from its lowest to its highest value,
in the same colours; a cell that was not measured is hatched.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from wpb_stream.core.messages import RunInfo

PANEL = 216
"""Pixels of a panel's longer side, at least for small maps; larger maps are enlarged by whole numbers only."""
LARGEST = 432
"""Larger maps are thinned out to at most this many pixels a side."""
THINNEST = 24
"""Pixels of a map's height, at least."""
TITLE = 22
GAP = 10
BACKGROUND, INK = (255, 255, 255), (40, 44, 52)
HATCH_LIGHT, HATCH_DARK = (224, 226, 230), (190, 194, 200)
HATCH_STEP = 6
COLOURS = ("red", "green", "blue")
THUMBNAIL = 96
"""Pixels of a thumbnail's longer side, at most."""
LINE = (88, 140, 220)
"""Told from a light ground as from a dark one."""

_STOPS = {
    "viridis": "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
    "red": "1a0609 55101c 97202c d63a36 f7705a ffac92 ffe9dc",
    "green": "04150d 0a3d26 10693d 2b9656 5fc078 a2e2a2 e6fbdf",
    "blue": "070d26 122a63 1d4aa3 2f73dd 5fa2fb a4cbff e6f3ff",
}
Map = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


def draw(info: RunInfo, maps: Mapping[str, Map]) -> bytes:
    """The picture of a run.

    :param maps: channel name to values of ``info.shape``, NaN where nothing was measured; only the last two dimensions are drawn,
        of a scan with more the last slab that was measured
    :returns: PNG
    """
    flat = {name: upright(info, values) for name, values in maps.items()}
    panels: list[tuple[str, Pixels, npt.NDArray[np.bool_]]] = []
    coloured = {c.colour: flat[c.name] for c in info.channels if c.colour in COLOURS and c.name in flat}
    if len(coloured) > 1:
        panels.append(("RGB", *composite([coloured.get(colour) for colour in COLOURS])))
    for channel in info.channels:
        if channel.name in flat:
            panels.append((channel.label, *shaded(flat[channel.name], channel.colour or "viridis")))
    return as_png(_side_by_side(panels))


def thumbnail(info: RunInfo, maps: Mapping[str, Map]) -> bytes:
    """The run at a glance: the three colours together, or else its first channel; of a scan along one axis a line.

    :param maps: as in :func:`draw`, of at least one channel
    :returns: PNG, transparent where nothing was measured
    """
    coloured = {c.colour: maps[c.name] for c in info.channels if c.colour in COLOURS and c.name in maps}
    first = next(channel for channel in info.channels if channel.name in maps)
    if len(info.shape) == 1:
        return as_png(_curve(maps[first.name]))
    if len(coloured) > 1:
        flat = {colour: upright(info, values) for colour, values in coloured.items()}
        pixels, measured = composite([flat.get(colour) for colour in COLOURS])
    else:
        pixels, measured = shaded(upright(info, maps[first.name]), first.colour or "viridis")
    pixels, measured = _scaled(pixels, measured, THUMBNAIL // 2, THUMBNAIL)
    return as_png(Image.fromarray(np.dstack([pixels, np.where(measured, 255, 0).astype(np.uint8)])))


def draw_images(images: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Images as they are, row 0 at the top, in shades from the lowest to the highest value.

    :param images: name to shape (rows, columns)
    :returns: PNG
    """
    return as_png(_side_by_side([(name, *shaded(values.astype(np.float64), "viridis")) for name, values in images.items()]))


def composite(channels: list[Map | None]) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Up to three maps as red, green and blue.

    :returns: pixels of shape (rows, columns, 3), and where anything was measured
    """
    shape = next(values.shape for values in channels if values is not None)
    pixels, measured = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.bool_)
    for part, values in enumerate(channels):
        if values is not None:
            known = np.isfinite(values)
            pixels[known, part] = _levels(values)[known]
            measured |= known
    return pixels, measured


def shaded(values: Map, colour: str) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """One map in shades of its colour; as :func:`composite`."""
    return _table(colour)[_levels(values)], np.isfinite(values)


def upright(info: RunInfo, values: Map) -> Map:
    """The last two dimensions with positions ascending to the right and upwards (row 0 of an image is at its top)."""
    slabs = values.reshape(-1, *((1,) if values.ndim == 1 else ()), *values.shape[-2:])
    measured = [number for number, slab in enumerate(slabs) if np.isfinite(slab).any()]
    plane: Map = slabs[measured[-1] if measured else 0]
    descending = [axis.start is not None and axis.stop is not None and axis.stop < axis.start for axis in info.axes[-2:]]
    if descending and descending[-1]:
        plane = plane[:, ::-1]
    if not (len(descending) == 2 and descending[0]):
        plane = plane[::-1]
    return plane


def _levels(values: Map) -> Pixels:
    """0..255 from the lowest to the highest finite value; 128 where all are the same; 0 where not finite."""
    known = np.isfinite(values)
    levels = np.zeros(values.shape, np.uint8)
    if known.any():
        low = values[known].min() / 2  # halved: the difference of two large values may be infinite
        span = values[known].max() / 2 - low
        levels[known] = np.rint(255 * ((values[known] / 2 - low) / span)).astype(np.uint8) if span > 0 else 128
    return levels


def _table(colour: str) -> Pixels:
    words = _STOPS.get(colour, _STOPS["viridis"]).split()
    stops = np.array([[int(word[at : at + 2], 16) for at in (0, 2, 4)] for word in words], np.float64)
    places = np.linspace(0, len(stops) - 1, 256)
    return np.stack([np.rint(np.interp(places, np.arange(len(stops)), stops[:, part])) for part in range(3)], axis=-1).astype(np.uint8)


def _side_by_side(panels: list[tuple[str, Pixels, npt.NDArray[np.bool_]]]) -> Image.Image:
    images = [(title, _enlarge(pixels, measured)) for title, pixels, measured in panels]
    width = sum(max(image.width, TITLE * 3) + GAP for _, image in images) + GAP
    height = max((image.height for _, image in images), default=0) + TITLE + GAP
    page = Image.new("RGB", (width, height), BACKGROUND)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=13)
    left = GAP
    for title, image in images:
        pen.text((left, TITLE // 2), title, INK, font, anchor="lm")
        page.paste(image, (left, TITLE))
        left += max(image.width, TITLE * 3) + GAP
    return page


def _curve(values: Map) -> Image.Image:
    """Values along one axis, as a line from the lowest to the highest."""
    image = Image.new("RGBA", (THUMBNAIL, THUMBNAIL * 2 // 3))
    known = np.flatnonzero(np.isfinite(values))
    across = 2 + known / max(1, len(values) - 1) * (image.width - 5)
    up = image.height - 3 - _levels(values)[known] / 255 * (image.height - 5)
    pen = ImageDraw.Draw(image)
    places = list(zip(across.tolist(), up.tolist(), strict=True))
    pen.line(places, LINE, 2, "curve")
    for x, y in places if len(places) < THUMBNAIL // 4 else ():
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), LINE)
    return image


def _scaled(pixels: Pixels, measured: npt.NDArray[np.bool_], least: int, largest: int) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Whole pixels a cell, cells kept sharp: the longer side has at least so many pixels, and at most."""
    step = -(-max(measured.shape) // largest)
    pixels, measured = pixels[::step, ::step], measured[::step, ::step]
    factor = max(1, -(-least // max(measured.shape)))
    tall = max(factor, -(-THINNEST // measured.shape[0]))  # a line scan is one row
    return pixels.repeat(tall, 0).repeat(factor, 1), measured.repeat(tall, 0).repeat(factor, 1)


def _enlarge(pixels: Pixels, measured: npt.NDArray[np.bool_]) -> Image.Image:
    """As :func:`_scaled`; cells that were not measured are hatched."""
    large, there = _scaled(pixels, measured, PANEL, LARGEST)
    if there.all():
        return Image.fromarray(large)
    stripes = np.add.outer(np.arange(there.shape[0]), np.arange(there.shape[1])) // (HATCH_STEP // 2) % 2
    hatch = np.where(stripes[..., None] == 0, np.array(HATCH_LIGHT, np.uint8), np.array(HATCH_DARK, np.uint8))
    return Image.fromarray(np.where(there[..., None], large, hatch))


def as_png(image: Image.Image) -> bytes:
    """A picture, packed as tightly as zlib does by default: Pillow's ``optimize`` takes eight times as long for two hundredths."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
