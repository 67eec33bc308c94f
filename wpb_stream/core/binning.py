"""Maps of points that are where they were measured: each counts in the nearest bin, whose value is the mean of its points.

Rows are only appended, and a later row for a cell replaces an earlier one: with each point its bin gets a row with the mean of all that are
in it by then. Sums are exact fractions, so that the last row of a bin is the same in whatever order its points came, and a point that is
measured again is taken out again without a trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isfinite

import numpy as np
import numpy.typing as npt

from wpb_stream.core.geometry import MAX_CELLS, Grid

COUNT = "count"
"""The channel that tells how many points are in a bin."""
FIRST_POINTS = 1024

Rows = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Binned(Grid):
    """A grid of bins: nobody knows beforehand which points are in which.

    ``start`` and ``stop`` of its axes are the middles of the outermost bins.
    """

    data_keys: tuple[str, ...]
    """What each axis' positions are measured by."""
    room: int = FIRST_POINTS
    """Points there is room for so far."""

    @property
    def points(self) -> int:
        """See :attr:`Grid.points`; here more than are planned."""
        return self.room

    def holding(self, points: int, *, exactly: bool = False) -> Binned:
        """The same bins, with room for so many points, but for ``MAX_CELLS``.

        :param exactly: makes no difference: room is not shown
        """
        return replace(self, room=min(max(points, 2 * self.room), MAX_CELLS))

    def bin_of(self, position: Sequence[float]) -> int | None:
        """The bin whose middle is nearest to a position, the one further on of two as near; None outside all."""
        cell = 0
        for length, axis, value in zip(self.shape, self.axes, position, strict=True):
            first, last = axis.start or 0.0, axis.stop or 0.0
            steps = (value - first) / (last - first) * (length - 1) + 0.5
            if not 0 <= steps < length:  # neither is NaN
                return None
            cell = cell * length + int(steps)
        return cell


@dataclass(slots=True)
class _Bin:
    """What is in one bin."""

    sums: list[Fraction]
    counts: list[int]
    """Finite values of each channel."""
    points: int = 0

    def add(self, values: Sequence[float], sign: int) -> None:
        self.points += sign
        for channel, value in enumerate(values):
            if isfinite(value):
                self.sums[channel] += sign * Fraction(value)
                self.counts[channel] += sign

    def row(self) -> list[float]:
        """The mean of each channel, rounded once, and the number of points; NaN in a bin that has none any more, as if it never had."""
        if not self.points:
            return [float("nan")] * (len(self.sums) + 1)
        means = [float(total / count) if count else float("nan") for total, count in zip(self.sums, self.counts, strict=True)]
        return [*means, float(self.points)]


@dataclass(slots=True)
class Bins:
    """The bins of one reconstruction, filling."""

    grid: Binned
    columns: tuple[int, ...]
    """The channel that holds the position along each axis."""
    outside: set[int] = field(default_factory=set[int])
    """Points that are in no bin."""
    _bins: dict[int, _Bin] = field(default_factory=dict[int, _Bin])
    _held: dict[int, tuple[int, tuple[float, ...]]] = field(default_factory=dict[int, tuple[int, tuple[float, ...]]])
    """By point its bin, and its values there."""

    def rows(self, points: Sequence[int], values: npt.NDArray[np.float64]) -> Rows:
        """The rows that points make, in their order: one for the bin that a point is in, and one for the bin it was in before.

        :param values: of the points, shape (points, channels)
        :returns: point, cell and values of each row, shape (rows, channels + 1): the last is the count
        """
        made = [row for point, told in zip(points, values.tolist(), strict=True) for row in self._place(point, tuple(told))]
        means = np.array([row for _, _, row in made], np.float64).reshape(len(made), values.shape[1] + 1)
        return np.array([point for point, _, _ in made], np.int64), np.array([cell for _, cell, _ in made], np.int64), means

    def _place(self, point: int, values: tuple[float, ...]) -> Iterator[tuple[int, int, list[float]]]:
        cell = self.grid.bin_of([values[column] for column in self.columns])
        before = self._held.pop(point, None)
        self.outside.discard(point)
        if before is not None:
            self._bins[before[0]].add(before[1], -1)
            if before[0] != cell:
                yield point, before[0], self._bins[before[0]].row()
        if cell is None:
            self.outside.add(point)
            return
        held = self._bins.setdefault(cell, _Bin([Fraction(0)] * len(values), [0] * len(values)))
        held.add(values, 1)
        self._held[point] = cell, values
        yield point, cell, held.row()
