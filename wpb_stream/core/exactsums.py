"""Sums of floating-point images that do not depend on the order in which the images come.

Each value is cut into four whole numbers of fixed units (2**32, 1, 2**-32, 2**-64), which are added as integers: what floating-point
addition would lose differently in each order is kept. A superaccumulator, as U. Kulisch, Computer Arithmetic and Validity (2nd ed.,
2013), chapter 8, describes it, with the range that detectors need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

UNITS = (2.0**32, 1.0, 2.0**-32, 2.0**-64)
LARGEST = 2.0**63
"""Values from here on are not summed, nor are infinite ones and NaN: the sum is NaN there."""


class ExactSums:
    """The sum of images of one shape, to 2**-64; at most 2**31 of them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._parts = np.zeros((len(UNITS), *shape), np.int64)
        self._not_summed = np.zeros(shape, np.bool_)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add an image, float64 of the sums' shape."""
        summable = np.abs(values) < LARGEST
        self._not_summed |= ~summable
        rest = np.where(summable, values, 0.0)
        for part, unit in zip(self._parts[:-1], UNITS[:-1], strict=True):
            whole = np.trunc(rest / unit)  # exact: the unit is a power of 2
            part += whole.astype(np.int64)
            rest -= whole * unit
        self._parts[-1] += np.rint(rest / UNITS[-1]).astype(np.int64)

    def merge(self, other: ExactSums) -> None:
        """Add what another summed."""
        self._parts += other._parts
        self._not_summed |= other._not_summed

    def total(self) -> npt.NDArray[np.float64]:
        """The sums: the same for the same images, however they were ordered and parted."""
        # Carried upwards first, so that each part but the first has one sign and is added to what it cannot change by much.
        parts = self._parts.copy()
        for higher, lower in zip(parts[-2::-1], parts[:0:-1], strict=True):
            carry = lower >> 32
            higher += carry
            lower -= carry << 32
        total = np.zeros(parts.shape[1:])
        for part, unit in zip(parts, UNITS, strict=True):
            total += part * unit
        return np.where(self._not_summed, np.nan, total)
