"""What turns the frames of one point into its values: one number a channel.

A reducer is described by plain values, and so can be sent to a reader process, compared, and named in a cache. The same reducer runs live
and in Dagster, on one point at a time: neither a window's size nor the order in which frames come changes a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import NO_BAD_PIXELS, Area, BadPixels, area_of
from wpb_stream.core.reduction import EXACT_LIMIT, area_above, area_maximum, area_sums, as_exact, region_sums, shape_of
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


class Statistic(StrEnum):
    """What is made of the pixels of a region."""

    SUM = "sum"
    MEAN = "mean"
    MAXIMUM = "maximum"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class Measure:
    """One value of a region, of all frames of a point together."""

    region: Region
    statistic: Statistic = Statistic.SUM
    threshold: float | None = None
    """For ``above``, and only for it, in counts."""


@dataclass(frozen=True, slots=True)
class RegionStatistics:
    """A statistic for each region, over its pixels that lie in the frame and are not bad.

    - ``sum``: in counts; 0 for a region without pixels.
    - ``mean``: the sum divided by the number of values summed, in counts a pixel: of F frames a point, ``sum / (F pixels)``.
    - ``maximum``: the largest value in any of the frames, in counts.
    - ``above``: how many pixels are above the threshold, counted frame by frame and added: a pixel above it in two frames counts twice.

    Mean and maximum of a region without pixels are NaN, as is what a NaN of the detector goes into (it is not above anything).
    For frames of integers all are exact, the mean but for the rounding of its one division.
    """

    measures: tuple[Measure, ...]
    bad: BadPixels = NO_BAD_PIXELS

    @property
    def size(self) -> int:
        """See :class:`Reducer`."""
        return len(self.measures)

    @property
    def regions(self) -> tuple[Region, ...]:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return tuple(measure.region for measure in self.measures)

    def masked(self, regions: tuple[Region, ...], bad: BadPixels) -> RegionStatistics:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        measures = (replace(measure, region=region) for measure, region in zip(self.measures, regions, strict=True))
        return RegionStatistics(tuple(measures), bad)

    def values(self, frames: Iterable[Frame]) -> Sequence[float]:
        """See :class:`Reducer`.

        :raises FrameBroken: a sum or a maximum is above 2**53, or the frames have no numbers
        """
        tallies = [_TALLIES[measure.statistic](measure) for measure in self.measures]
        added = [tally for tally in tallies if isinstance(tally, _Sum)]
        for frame in frames:
            shape = shape_of(frame)
            for tally in tallies:
                tally.area = area_of(tally.measure.region, shape, self.bad)
            # Together, as regions share bands.
            for tally, total in zip(added, area_sums(frame, [tally.area for tally in added]), strict=True):
                tally.total += total
            for tally in tallies:
                tally.take(frame)
        return [tally.value() for tally in tallies]


class _Sum:
    """A sum on its way through the frames of a point."""

    area: Area
    """Of the region in the present frame."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.total: int | float = 0

    def take(self, frame: Frame, /) -> None:
        """Take account of a frame, beyond what was summed."""

    def value(self) -> float:
        """The value of the point."""
        return as_exact(self.total, self.measure.region)


class _Mean(_Sum):
    pixels = 0

    def take(self, frame: Frame, /) -> None:
        self.pixels += self.area.pixels

    def value(self) -> float:
        return self.total / self.pixels if self.pixels else float("nan")


class _Above:
    area: Area

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.count = 0

    def take(self, frame: Frame, /) -> None:
        assert self.measure.threshold is not None, "above counts pixels above something"
        self.count += area_above(frame, self.area, self.measure.threshold)

    def value(self) -> float:
        return float(self.count)


class _Maximum:
    area: Area

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.largest: int | float | None = None

    def take(self, frame: Frame, /) -> None:
        found = area_maximum(frame, self.area)
        if self.largest is None or (found is not None and (found > self.largest or found != found)):  # NaN, once found, stays
            self.largest = found

    def value(self) -> float:
        return float("nan") if self.largest is None else as_exact(self.largest, self.measure.region)


_TALLIES: dict[Statistic, type[_Sum | _Above | _Maximum]] = {
    Statistic.SUM: _Sum,
    Statistic.MEAN: _Mean,
    Statistic.ABOVE: _Above,
    Statistic.MAXIMUM: _Maximum,
}
