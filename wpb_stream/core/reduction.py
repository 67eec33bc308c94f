"""Frames to values: one number a region.

Integer frames are summed exactly in 64 bits. Values travel as float64, so a sum above 2**53 would lose counts and is refused.
Floating-point frames are summed in float64, always frame by frame in the same order, so that live and batch agree to the bit.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
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
    if frame.ndim != 2 or frame.dtype.kind not in "biuf":
        raise FrameBroken(f"a frame must be two-dimensional numbers, this one is {frame.dtype} of shape {frame.shape}")
    shape = (frame.shape[0], frame.shape[1])
    places = [region.resolve(shape) for region in regions]
    if frame.dtype.kind == "f":
        return [float(frame[place].sum(dtype=np.float64)) for place in places]
    totals = _integer_sums(frame, places)
    for region, total in zip(regions, totals, strict=True):
        if abs(total) > EXACT_LIMIT:
            raise FrameBroken(f"the sum over region {region.name!r} is {total}, more than float64 holds exactly (2**53)")
    return [float(total) for total in totals]


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
