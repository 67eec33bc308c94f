"""What turns the frames of one point into its values: one number a channel.

A reducer is described by plain values, and so can be sent to a reader process, compared, and named in a cache. The same reducer runs live
and in Dagster, on one point at a time: neither a window's size nor the order in which frames come changes a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.reduction import EXACT_LIMIT, region_sums
from wpb_stream.core.regions import Region

Frame = npt.NDArray[Any]


class Reducer(Protocol):
    """One kind of reduction, with its settings. Immutable, hashable, and picklable by the name of its class."""

    @property
    def size(self) -> int:
        """How many values it gives."""
        ...

    def values(self, frames: Iterable[Frame], /) -> Sequence[float]:
        """The values of one point.

        :param frames: those of one index, at least one, each of shape (rows, columns); a frame is valid until the next is asked for
        :raises FrameBroken: they cannot be reduced
        """
        ...


@dataclass(frozen=True, slots=True)
class RegionSums:
    """The sum over each region, in counts of the detector, of all frames of the point together. Exact for integers."""

    regions: tuple[Region, ...]

    @property
    def size(self) -> int:
        """See :class:`Reducer`."""
        return len(self.regions)

    def values(self, frames: Iterable[Frame]) -> Sequence[float]:
        """See :class:`Reducer`.

        :raises FrameBroken: a sum is above 2**53, or the frames have no numbers
        """
        sums = np.zeros(len(self.regions))
        exact = True
        for frame in frames:
            sums += region_sums(frame, self.regions)
            exact = frame.dtype.kind != "f"
        if exact and (np.abs(sums) > EXACT_LIMIT).any():
            raise FrameBroken("the sum of the frames of one index is more than float64 holds exactly (2**53)")
        return sums.tolist()
