"""Counts that a fluorescence detector missed while it was busy, made up for with what it says of each of its elements at each point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import BadPixels, area_of
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.reduction import shape_of
from wpb_stream.core.regions import Region
from wpb_stream.core.spectra import ElementCounts

Numbers = npt.NDArray[np.float64]
Datasets = tuple[str, ...]
"""Paths in the detector's file, of one quantity: one of all elements, or one for each."""


@runtime_checkable
class NeedsBeside(Protocol):
    """A reducer that needs what lies beside the frames of a point, in the same file, for the same index."""

    @property
    def key(self) -> str:
        """Of the start document's entry that asks for it, to be told of."""
        ...

    @property
    def beside(self) -> tuple[Datasets, ...]:
        """Where each quantity lies."""
        ...

    def with_beside(self, found: Sequence[Numbers], /) -> Reducer:
        """The reducer for the frames of one point.

        :param found: each quantity, a number for each row of the frames of the point, in their order
        :raises FrameBroken: they are none that can be used
        """
        ...


class Measure(StrEnum):
    """What a detector says of its dead time."""

    FACTOR = "factor"
    PERCENT = "percent"
    TIMES = "times"
    RATES = "rates"


@dataclass(frozen=True, slots=True)
class DeadTime:
    """Where the dead time of each element is told, and how."""

    measure: Measure
    datasets: tuple[Datasets, ...]
    """Of ``times`` real before live, of ``rates`` input before output."""

    def factors(self, found: Sequence[Numbers]) -> Numbers:
        """What counts are to be multiplied by; not finite, or not above 0, where that cannot be told."""
        with np.errstate(all="ignore"):
            match self.measure:
                case Measure.FACTOR:
                    return found[0]
                case Measure.PERCENT:
                    return 100 / (100 - found[0])
                case Measure.TIMES | Measure.RATES:
                    return found[0] / found[1]


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Net counts of elements whose spectra are corrected for dead time first.

    At each point the spectrum of each element of the detector is multiplied, in float64, by its factor: as it was told, or
    ``100 / (100 - percent)``, ``real time / live time``, ``input rate / output rate`` (G. F. Knoll, Radiation Detection and
    Measurement, 4th edition, 2010, chapters 4 and 17; Quantum Detectors' Xspress 3 calls the first two DTFactor and DTPercent).

    A factor that is no finite number above 0 breaks the point, unless there is nothing that it could change: an element that counted
    nothing, or all of whose channels are bad.
    """

    counts: ElementCounts
    dead_time: DeadTime

    @property
    def size(self) -> int:
        """See :class:`wpb_stream.core.reducers.Reducer`."""
        return self.counts.size

    @property
    def regions(self) -> tuple[Region, ...]:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return self.counts.regions

    @property
    def bad(self) -> BadPixels:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return self.counts.bad

    def masked(self, regions: tuple[Region, ...], bad: BadPixels) -> LiveCounts:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return replace(self, counts=self.counts.masked(regions, bad))

    @property
    def key(self) -> str:
        """See :class:`NeedsBeside`."""
        return "wpb.dead_time"

    @property
    def beside(self) -> tuple[Datasets, ...]:
        """See :class:`NeedsBeside`."""
        return self.dead_time.datasets

    def with_beside(self, found: Sequence[Numbers]) -> Reducer:
        """See :class:`NeedsBeside`.

        :raises FrameBroken: two quantities tell of different numbers of elements
        """
        if len({one.shape for one in found}) > 1:
            raise FrameBroken(f"{' and '.join(str(len(one)) for one in found)} numbers cannot be divided one by one")
        return _Scaled(self.counts, self.dead_time.factors(found))

    def values(self, frames: Iterable[npt.NDArray[Any]]) -> Sequence[float]:
        """Not known without what lies beside the frames.

        :raises FrameBroken: always
        """
        raise FrameBroken("wpb.dead_time was not read before it was needed")


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    """The counts of one point, each row of its frames multiplied by a number."""

    counts: ElementCounts
    factors: Numbers

    @property
    def size(self) -> int:
        return self.counts.size

    def values(self, frames: Iterable[npt.NDArray[Any]]) -> Sequence[float]:
        return self.counts.values(self._each(frames))

    def _each(self, frames: Iterable[npt.NDArray[Any]]) -> Iterator[Numbers]:
        used = 0
        for frame in frames:
            rows = shape_of(frame)[0]
            factors, used = self.factors[used : used + rows], used + rows
            if len(factors) == rows:
                yield frame * self._checked(frame, factors)[:, np.newaxis]
        if used != len(self.factors):
            raise FrameBroken(f"wpb.dead_time tells of {len(self.factors)} elements at a point that has {used} spectra")

    def _checked(self, frame: npt.NDArray[Any], factors: Numbers) -> Numbers:
        useless = ~(np.isfinite(factors) & (factors > 0))
        if not useless.any():
            return factors
        area = area_of(Region("total"), shape_of(frame), self.counts.bad)
        counted = frame if area.mask is None else np.where(area.mask, frame, 0)
        if (counted.any(axis=1) & useless).any():
            row = int(np.flatnonzero(counted.any(axis=1) & useless)[0])
            raise FrameBroken(f"wpb.dead_time: the factor of element {row} is {factors[row]:g}, and expected is a number above 0")
        return np.where(useless, 1.0, factors)
