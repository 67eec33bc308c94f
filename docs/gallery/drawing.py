"""Panels side by side: maps, frames, and lines. White, so that they can be read on dark pages as well."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from wpb_stream.pictures import BACKGROUND, HATCH_DARK, HATCH_LIGHT, HATCH_STEP, INK, composite, shaded

Map = npt.NDArray[np.float64]
Point = tuple[float, float]

WIDTH = 232
"""Pixels of a map or a frame, at most."""
TITLE, FOOT, GAP = 22, 18, 10
FAINT = (120, 126, 136)
COLOURS = ((31, 95, 180), (208, 72, 32), (44, 130, 60))
"""Of the lines of a plot."""
BANDS = ((255, 215, 208), (212, 240, 214), (212, 226, 252))
"""Behind them: red, green, blue, as elements are in the composite."""


@dataclass(frozen=True)
class Panel:
    """A picture with a title above it, and a line below."""

    title: str
    image: Image.Image
    foot: str = ""


@dataclass(frozen=True)
class Line:
    """Points of a plot, joined or not."""

    x: Sequence[float] | Map
    y: Sequence[float] | Map
    colour: int = 0
    dots: bool = False
    errors: Map | None = None


def of_map(title: str, values: Map, units: str = "", colour: str = "viridis") -> Panel:
    """A map of two axes, from its lowest to its highest value."""
    return Panel(title, _enlarged(*shaded(values[::-1], colour)), _span(values, units))


def of_colours(title: str, red: Map, green: Map, blue: Map) -> Panel:
    """Three maps as one."""
    return Panel(title, _enlarged(*composite([red[::-1], green[::-1], blue[::-1]])))


def of_frame(title: str, values: Map, units: str = "", circles: Sequence[tuple[float, float, float]] = ()) -> Panel:
    """A frame, row 0 at the top.

    :param circles: row, column and radius of what is drawn over it
    """
    image = _enlarged(*shaded(values, "viridis"))
    pen, scale = ImageDraw.Draw(image), image.width / values.shape[1]
    for row, column, radius in circles:
        x, y, r = (column + 0.5) * scale, (row + 0.5) * scale, radius * scale
        pen.ellipse((x - r, y - r, x + r, y + r), outline=(255, 255, 255), width=2)
    return Panel(title, image, _span(values, units))


def of_lines(
    title: str,
    lines: Sequence[Line],
    size: tuple[int, int],
    labels: tuple[str, str],
    told: Sequence[tuple[str, int]] = (),
    bands: Mapping[str, Point] | None = None,
) -> Panel:
    """A plot.

    :param labels: of the horizontal and the vertical axis
    :param told: lines of text in its upper left corner, each with its colour
    :param bands: by name, from where to where something lies along the horizontal axis
    """
    image = Image.new("RGB", size, BACKGROUND)
    pen, small = ImageDraw.Draw(image), ImageFont.load_default(size=11)
    left, top, right, bottom = 52, 16, size[0] - 10, size[1] - 34
    known = [(np.asarray(line.x)[ok], np.asarray(line.y)[ok]) for line in lines for ok in [np.isfinite(line.x) & np.isfinite(line.y)]]
    low, high = (np.array([edge([edge(part[axis]) for part in known]) for axis in (0, 1)], float) for edge in (np.min, np.max))
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin

    def at(x: float, y: float) -> Point:
        fx, fy = (np.array([x, y]) - low) / (high - low)
        return left + fx * (right - left), bottom - fy * (bottom - top)

    for number, (name, (first, last)) in enumerate((bands or {}).items()):
        pen.rectangle((at(first, 0)[0], top, at(last, 0)[0], bottom), fill=BANDS[number % len(BANDS)])
        pen.text((at((first + last) / 2, 0)[0], top + 8), name, INK, small, anchor="mm")
    pen.rectangle((left, top, right, bottom), outline=FAINT)
    for value in _ticks(low[0], high[0]):
        pen.text((at(value, 0)[0], bottom + 9), f"{value:g}", INK, small, anchor="mm")
        pen.line((at(value, 0)[0], bottom, at(value, 0)[0], bottom + 3), fill=FAINT)
    for value in _ticks(low[1], high[1]):
        pen.text((left - 6, at(0, value)[1]), f"{value:g}", INK, small, anchor="rm")
        pen.line((left - 3, at(0, value)[1], left, at(0, value)[1]), fill=FAINT)
    pen.text(((left + right) / 2, size[1] - 9), labels[0], INK, small, anchor="mm")
    pen.text((4, 7), labels[1], INK, small, anchor="lm")
    for line, (xs, ys) in zip(lines, known, strict=True):
        points, colour = [at(x, y) for x, y in zip(xs, ys, strict=True)], COLOURS[line.colour]
        if not line.dots:
            pen.line(points, fill=colour, width=2)
            continue
        for number, (x, y) in enumerate(points):
            if line.errors is not None:
                half = line.errors[number] / (high[1] - low[1]) * (bottom - top)
                pen.line((x, y - half, x, y + half), fill=colour)
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
    for number, (text, colour) in enumerate(told):
        pen.text((left + 8, top + 12 + 15 * number), text, COLOURS[colour], small, anchor="lm")
    return Panel(title, image)


def page_of(rows: Sequence[Sequence[Panel]]) -> bytes:
    """The panels, row by row, as PNG: the same panels give the same bytes."""
    heights = [TITLE + max(panel.image.height for panel in row) + FOOT for row in rows]
    width = max(sum(panel.image.width + GAP for panel in row) for row in rows) + GAP
    page = Image.new("RGB", (width, sum(heights) + GAP), BACKGROUND)
    pen, font, small = ImageDraw.Draw(page), ImageFont.load_default(size=13), ImageFont.load_default(size=11)
    top = 2
    for row, height in zip(rows, heights, strict=True):
        left = GAP
        for panel in row:
            pen.text((left, top + TITLE // 2), panel.title, INK, font, anchor="lm")
            page.paste(panel.image, (left, top + TITLE))
            pen.text((left, top + TITLE + panel.image.height + FOOT // 2), panel.foot, FAINT, small, anchor="lm")
            left += panel.image.width + GAP
        top += height
    out = io.BytesIO()
    # Colours beyond 256 are seen by nobody, and cost three times the bytes.
    page.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _enlarged(pixels: npt.NDArray[np.uint8], measured: npt.NDArray[np.bool_]) -> Image.Image:
    factor = max(1, WIDTH // measured.shape[1])
    large, there = (part.repeat(factor, 0).repeat(factor, 1) for part in (pixels, measured))
    stripes = np.add.outer(np.arange(there.shape[0]), np.arange(there.shape[1])) // (HATCH_STEP // 2) % 2
    hatch = np.where(stripes[..., None] == 0, np.array(HATCH_LIGHT, np.uint8), np.array(HATCH_DARK, np.uint8))
    return Image.fromarray(np.where(there[..., None], large, hatch))


def _span(values: Map, units: str) -> str:
    return f"{_short(float(np.nanmin(values)))} to {_short(float(np.nanmax(values)))} {units}".rstrip()


def _short(value: float) -> str:
    """Four digits, without a power of ten."""
    return f"{float(f'{value:.4g}'):,.15g}"


def _ticks(low: float, high: float) -> Map:
    """Some five round numbers."""
    step = 10 ** np.floor(np.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0
