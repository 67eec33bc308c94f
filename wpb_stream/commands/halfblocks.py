"""A map in characters: two cells in each, one above the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from wpb_stream.pictures import Map, shaded

SHADES = " ░▒▓█"
"""From nothing measured to the highest value, for terminals without colours; a character is two cells wide there, and one high."""
THINNEST = 4
"""Cells that are drawn of a map's height at least: a line scan is one row."""

Colour = tuple[int, int, int] | None
"""None where nothing was measured."""


def fitted(values: Map, width: int, height: int) -> Map:
    """A map of at most that many columns and rows, its cells still square: repeated as often as fits, or the means of whole blocks.

    :param values: shape (rows, columns), NaN where nothing was measured; a block has the mean of what was
    """
    rows, columns = values.shape
    factor = min(width // columns, height // rows)
    if factor >= 1:
        tall = max(factor, min(THINNEST, height) // rows)
        return values.repeat(tall, 0).repeat(factor, 1)
    step = max(-(-columns // width), -(-rows // height))
    padded = np.pad(values, ((0, -rows % step), (0, -columns % step)), constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // step, step, -1, step)
    known = np.isfinite(blocks)
    counts = known.sum(axis=(1, 3))
    # Divided first: the sum of large values may be infinite.
    means = (np.where(known, blocks, 0.0) / np.maximum(counts, 1)[:, None, :, None]).sum(axis=(1, 3))
    return np.where(counts > 0, means, np.nan)


def in_colours(values: Map, width: int, height: int, colour: str) -> Iterator[list[Segment]]:
    """The lines of a map, at most ``height`` of ``width`` characters; what was not measured stays as the terminal is.

    :param colour: name of a colour map, as a channel has it
    """
    pixels, measured = shaded(fitted(values, width, 2 * height), colour)
    if len(pixels) % 2:
        pixels, measured = np.pad(pixels, ((0, 1), (0, 0), (0, 0))), np.pad(measured, ((0, 1), (0, 0)))
    for top in range(0, len(pixels), 2):
        upper, lower = _colours(pixels[top], measured[top]), _colours(pixels[top + 1], measured[top + 1])
        yield [_half_block(*both) for both in zip(upper, lower, strict=True)]


def in_shades(values: Map, width: int, height: int) -> Iterator[list[Segment]]:
    """The same for terminals without colours."""
    drawn = fitted(values, width // 2, height)
    known = np.isfinite(drawn)
    low, high = (np.min(drawn[known]), np.max(drawn[known])) if known.any() else (0.0, 0.0)
    span = high / 2 - low / 2 or 1.0  # halved: the difference of two large values may be infinite
    parts = (np.where(known, drawn, low) / 2 - low / 2) / span
    levels = np.where(known, 1 + np.rint((len(SHADES) - 2) * parts), 0).astype(int)
    for line in levels:
        yield [Segment("".join(2 * SHADES[level] for level in line))]


def _colours(pixels: npt.NDArray[np.uint8], measured: npt.NDArray[np.bool_]) -> list[Colour]:
    return [(r, g, b) if there else None for (r, g, b), there in zip(pixels.tolist(), measured.tolist(), strict=True)]


@lru_cache(maxsize=2**16)
def _half_block(upper: Colour, lower: Colour) -> Segment:
    if upper is None and lower is None:
        return Segment(" ")
    if upper is None or lower is None:
        return Segment("▀" if upper else "▄", Style(color=Color.from_rgb(*(upper or lower or (0, 0, 0)))))
    return Segment("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
