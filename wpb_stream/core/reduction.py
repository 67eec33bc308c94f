"""Frames to values: one number a region, of those pixels that lie in it and are not bad.

Integer frames are summed exactly in 64 bits. Values travel as float64, so a sum above 2**53 would lose counts and is refused.
Floating-point frames are summed in float64, always frame by frame in the same order, so that live and batch agree to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import Area, area_of
from wpb_stream.core.regions import Region

try:
    from numkong import sum as _vector_sum  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
except ImportError:  # no wheel for this machine: numpy gives the same integers, more slowly
    _vector_sum = None

EXACT_LIMIT = 2**53
"""Largest count that float64 holds exactly."""

_VECTORISED = frozenset({"uint8", "uint16"})
"""Where numkong is many times faster than numpy; its 64-bit accumulators cannot overflow on a frame of 1 GiB."""


def region_sums(frame: npt.NDArray[np.generic], regions: tuple[Region, ...]) -> list[float]:
    """Sum of each region of one frame.

    :param frame: shape (rows, columns), integer, boolean or floating point; any strides and byte order
    :returns: one sum a region, in counts of the detector; 0 for a region outside the frame
    :raises FrameBroken: the frame has no numbers to sum, or a sum is above 2**53
    """
    shape = shape_of(frame)
    totals = area_sums(frame, [area_of(region, shape) for region in regions])
    return [as_exact(total, region) for region, total in zip(regions, totals, strict=True)]


def shape_of(frame: npt.NDArray[np.generic]) -> tuple[int, int]:
    """Rows and columns of a frame.

    :raises FrameBroken: it is not two-dimensional, or has no numbers
    """
    if frame.ndim != 2 or frame.dtype.kind not in "biuf":
        raise FrameBroken(f"a frame must be two-dimensional numbers, this one is {frame.dtype} of shape {frame.shape}")
    return frame.shape[0], frame.shape[1]


def as_exact(value: int | float, region: Region) -> float:
    """A value of a region as it travels.

    :raises FrameBroken: it is an integer that float64 does not hold exactly
    """
    if isinstance(value, int) and abs(value) > EXACT_LIMIT:
        raise FrameBroken(f"the value of region {region.name!r} is {value}, more than float64 holds exactly (2**53)")
    return float(value)


def area_sums(frame: npt.NDArray[Any], areas: Sequence[Area]) -> list[int] | list[float]:
    """Sum over each area: exact integers, or float64 for floating-point frames.

    A rectangle is read once, at the speed of memory for 8 and 16 bits; bad pixels in it are subtracted. A mask is multiplied with its
    rectangle first, which costs three to four times as much (docs/reference/recipes.md has figures). Floating-point pixels that do
    not count are replaced by 0 instead, as they may be infinite or no number.
    """
    if frame.dtype.kind == "f":
        return [_float_sum(frame[area.box], area) for area in areas]
    rectangles = iter(_integer_sums(frame, [area.box for area in areas if area.mask is None or area.holes]))
    sums: list[int] = []
    for area in areas:
        if area.mask is None:
            sums.append(next(rectangles))
        elif area.holes:
            sums.append(next(rectangles) - _exact_sum(frame[area.holes]))
        else:
            sums.append(_exact_sum(frame[area.box] * area.mask))
    return sums


def _float_sum(part: npt.NDArray[Any], area: Area) -> float:
    chosen = part if area.mask is None else np.where(area.mask, part, 0)  # three times as fast as to pick them out
    return float(chosen.sum(dtype=np.float64))


def area_maximum(frame: npt.NDArray[Any], area: Area) -> int | float | None:
    """Largest value in the area; NaN if a pixel there is, None if it has no pixels."""
    if not area.pixels:
        return None
    if area.mask is not None and frame.dtype.kind in "bu":
        return int((frame[area.box] * area.mask).max())  # five times as fast as to pick them out; 0 is never above them
    largest = counted(frame, area).max()
    return float(largest) if frame.dtype.kind == "f" else int(largest)


def area_above(frame: npt.NDArray[Any], area: Area, threshold: float) -> int:
    """How many pixels in the area are above ``threshold``, compared without rounding either; NaN is not."""
    # numpy would round the threshold to the frame's own precision, or a 64-bit pixel to float64.
    limit = np.float64(threshold) if frame.dtype.kind == "f" else floor(threshold)
    part = frame[area.box]
    above = (part.view(np.uint8) if part.dtype.kind == "b" else part) > limit  # numpy compares no boolean with a large integer
    return int(np.count_nonzero(above if area.mask is None else above & area.mask))


def counted(frame: npt.NDArray[Any], area: Area) -> npt.NDArray[Any]:
    """The pixels of the area: the rectangle as it is, or what the mask picks out of it, row by row."""
    part = frame[area.box]
    return part if area.mask is None else part[area.mask]


def _integer_sums(frame: npt.NDArray[Any], places: list[tuple[slice, slice]]) -> list[int]:
    """Exact sums; regions as wide as the frame share the bands they have in common, so that each row is read once."""
    width = frame.shape[1]
    bands = [rows for rows, columns in places if (columns.start, columns.stop) == (0, width)]
    edges = sorted({edge for rows in bands for edge in (rows.start, rows.stop)})
    below = dict.fromkeys(edges[:1], 0)  # sum of all counted rows above each edge
    for top, bottom in pairwise(edges):
        wanted = any(rows.start <= top and bottom <= rows.stop for rows in bands)
        below[bottom] = below[top] + (_exact_sum(frame[top:bottom]) if wanted else 0)
    return [
        below[rows.stop] - below[rows.start] if (columns.start, columns.stop) == (0, width) else _exact_sum(frame[rows, columns])
        for rows, columns in places
    ]


def _exact_sum(part: npt.NDArray[Any]) -> int:
    if not part.size:
        return 0
    if _vector_sum is not None and part.dtype.isnative and part.dtype.name in _VECTORISED:
        return int(_vector_sum(part))
    wide = np.int64 if part.dtype.kind == "i" else np.uint64
    if part.dtype.itemsize < 8:
        return int(part.sum(dtype=wide))
    # 64-bit values can overflow their own sum and then look small: add the halves apart.
    high, low = part >> 32, part & 0xFFFFFFFF
    return (int(high.sum(dtype=wide)) << 32) + int(low.sum(dtype=np.uint64))
