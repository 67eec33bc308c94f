"""Where on the detector the counts of a point lie: their centre of mass, the first moment of the frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.masks import NO_BAD_PIXELS, Area, BadPixels, area_of
from wpb_stream.core.reduction import as_exact, shape_of
from wpb_stream.core.regions import Region

Sums = tuple[int | float, int | float, int | float]
"""Of counts, of row times counts, of column times counts."""

_FAST_BITS = 32
"""Sums that fit into so many are twice as fast."""


@dataclass(frozen=True, slots=True)
class CentreOfMass:
    """Row and column of the centre of mass in pixels of the whole frame, and the counts it was made of.

    ``row = sum(r I[r, c]) / sum(I[r, c])``, ``column = sum(c I[r, c]) / sum(I[r, c])``, over the pixels of the region that are not bad,
    the pixel at the upper left having its centre at (0, 0): what LiberTEM calls ``raw_com`` (libertem.udf.com.CoMUDF, with the masks 1,
    gradient_y and gradient_x, each times the mask asked for), after H. Rose, Ultramicroscopy 2 (1976) 251.

    Of several frames a point, that of their sum. Counts may be negative, where a background was taken off; where they sum up to 0 there
    is no centre: row and column are NaN.

    Integer frames: all three sums are exact, whatever their size, and only the two quotients are rounded, once. Floating-point frames
    are summed in float64.
    """

    region: Region
    bad: BadPixels = NO_BAD_PIXELS

    @property
    def size(self) -> int:
        """See :class:`wpb_stream.core.reducers.Reducer`."""
        return 3

    @property
    def regions(self) -> tuple[Region, ...]:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return (self.region,)

    def masked(self, regions: tuple[Region, ...], bad: BadPixels) -> CentreOfMass:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return CentreOfMass(regions[0], bad)

    def values(self, frames: Iterable[npt.NDArray[Any]]) -> Sequence[float]:
        """Row, column, counts; see :class:`wpb_stream.core.reducers.Reducer`.

        :raises FrameBroken: there are more than 2**53 counts, or the frames have no numbers
        """
        total, by_row, by_column = 0, 0, 0
        for frame in frames:
            sums = moments(frame, area_of(self.region, shape_of(frame), self.bad))
            total, by_row, by_column = total + sums[0], by_row + sums[1], by_column + sums[2]
        counts = as_exact(total, self.region)
        if not total:
            return float("nan"), float("nan"), counts
        return by_row / total, by_column / total, counts


def moments(frame: npt.NDArray[Any], area: Area) -> Sums:
    """The sums over an area of counts, row times counts, column times counts: integers, and exact, for frames of integers.

    Each pixel is added once along each axis, and once multiplied with the mask if there is one.
    """
    part = frame[area.box]
    rows, columns = (range(side.start, side.stop) for side in area.box)
    if frame.dtype.kind == "f":
        chosen = part if area.mask is None else np.where(area.mask, part, 0)  # not multiplied: a bad pixel may be infinite
        with np.errstate(invalid="ignore", over="ignore"):
            of_rows, of_columns = chosen.sum(axis=1, dtype=np.float64), chosen.sum(axis=0, dtype=np.float64)
            return float(of_rows.sum()), float((of_rows * rows).sum()), float((of_columns * columns).sum())
    chosen = part if area.mask is None else part * area.mask
    row_sums, column_sums = exact_axis_sums(chosen, 1), exact_axis_sums(chosen, 0)
    return sum(row_sums), sum(map(mul, rows, row_sums)), sum(map(mul, columns, column_sums))


def exact_axis_sums(part: npt.NDArray[Any], axis: int) -> list[int]:
    """Exact sums of integers along an axis."""
    bits = 8 * part.dtype.itemsize
    if bits == 64:
        high, low = part >> 32, part & 0xFFFFFFFF  # lest their sum overflow
        return [(a << 32) + b for a, b in zip(_axis_sums(high, axis), _axis_sums(low, axis), strict=True)]
    return _axis_sums(part, axis)


def _axis_sums(part: npt.NDArray[Any], axis: int) -> list[int]:
    """Sums of integers along an axis that are known to fit into 64 bits."""
    fits = 8 * part.dtype.itemsize + part.shape[axis].bit_length() <= _FAST_BITS
    if part.dtype.kind == "i":
        return part.sum(axis=axis, dtype=np.int32 if fits else np.int64).tolist()
    return part.sum(axis=axis, dtype=np.uint32 if fits else np.uint64).tolist()
