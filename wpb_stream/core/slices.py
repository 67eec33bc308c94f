"""Slices of a sample that turns, from the rows of its projections: sinograms, and what filtered back-projection makes of them.

The rows are gathered where frames are read, one for each point; slices are made of them where arrays are made, projection by projection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.blocks import Frame, means_of, sums_of
from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.tomography import BackProjection, Filter, absorption

MAX_COLUMNS = 512
"""Of a sinogram, and rows and columns of a slice, at most."""


@dataclass(frozen=True, slots=True)
class Slices:
    """Which slices are made, and how."""

    rows: tuple[int, ...]
    """Of the detector."""
    first: float
    """Angle of the first point, in radians."""
    step: float
    """From one point to the next, in radians."""
    centre: float | None = None
    """Column of the detector that the axis is in; None for the one in the middle."""
    filter_name: Filter = "ramp"
    flat: float = 1.0
    """Counts a pixel without the sample."""
    dark: float = 0.0
    """Counts a pixel without the beam."""

    @property
    def names(self) -> tuple[str, ...]:
        """``sinogram.ROW``: absorption, a row for each point, NaN for points without a frame. ``slice.ROW``: absorption by a pixel's width.

        Both are float32. Detectors wider than ``MAX_COLUMNS`` are made narrower by the means of whole blocks of columns.
        """
        return tuple(f"{kind}.{row}" for row in self.rows for kind in ("sinogram", "slice"))


@dataclass(slots=True, eq=False)
class Sinograms:
    """The rows gathered so far, and the slices as far as they were made of them."""

    of: Slices
    _rows: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict[int, npt.NDArray[np.float64]])
    """By point: counts a pixel, summed over its frames, shape (slices, columns)."""
    _frames: dict[int, int] = field(default_factory=dict[int, int])
    _columns: int = 0
    """Of the detector."""
    _projected: dict[int, BackProjection] = field(default_factory=dict[int, BackProjection])
    """By slice."""
    _in_slices: set[int] = field(default_factory=set[int])
    """Points that the slices are made of already."""

    def take(self, point: int, frame: Frame, good: npt.NDArray[np.bool_] | None) -> None:
        """Take the rows out of a frame of a point; of several frames the mean is taken.

        :param good: which pixels count; a block without any absorbs nothing
        :raises FrameBroken: the frame has no such row: its point is missing then, on the maps as well
        """
        if max(self.of.rows) >= frame.shape[0]:
            raise FrameBroken(f"wpb.tomography.slices: there is no row {max(self.of.rows)} in frames of {frame.shape[0]} rows")
        self._columns = frame.shape[1]
        blocks = 1, self._block
        rows = list(self.of.rows)
        counted = good[rows] if good is not None else np.ones((len(rows), self._columns), np.bool_)
        means = means_of(sums_of(frame[rows].astype(np.float64), counted, blocks), sums_of(counted, None, blocks))
        self._rows[point] = self._rows[point] + means if point in self._rows else means
        self._frames[point] = self._frames.get(point, 0) + 1

    def merge(self, other: Sinograms) -> None:
        """Take over the rows of other points."""
        self._columns = self._columns or other._columns
        self._rows |= other._rows
        self._frames |= other._frames

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """All that :attr:`Slices.names` names, as far as there are projections; none before the first."""
        if not self._rows:
            return {}
        made: dict[str, npt.NDArray[np.float32]] = {}
        absorbed = {point: self._absorbed(point) for point in self._rows}
        for number, row in enumerate(self.of.rows):
            sinogram = np.full((max(absorbed) + 1, -(-self._columns // self._block)), np.nan, np.float32)
            sinogram[list(absorbed)] = [each[number] for each in absorbed.values()]
            made[f"sinogram.{row}"] = sinogram
            made[f"slice.{row}"] = self._slice(number, absorbed)
        self._in_slices |= absorbed.keys()
        return made

    def _slice(self, number: int, absorbed: Mapping[int, npt.NDArray[np.float64]]) -> npt.NDArray[np.float32]:
        if number not in self._projected:
            centre = None if self.of.centre is None else (self.of.centre + 0.5) / self._block - 0.5
            self._projected[number] = BackProjection(-(-self._columns // self._block), centre, self.of.filter_name)
        for point in absorbed.keys() - self._in_slices:
            self._projected[number].add(absorbed[point][number], self.of.first + self.of.step * point)
        return (self._projected[number].image() / self._block).astype(np.float32)

    def _absorbed(self, point: int) -> npt.NDArray[np.float64]:
        return absorption(self._rows[point] / self._frames[point], self.of.flat, self.of.dark)

    @property
    def _block(self) -> int:
        return max(1, -(-self._columns // MAX_COLUMNS))

    def __getstate__(self) -> Any:
        """Without the slices: they are made where they are shown."""
        return self.of, self._rows, self._frames, self._columns

    def __setstate__(self, state: Any) -> None:
        self.of, self._rows, self._frames, self._columns = state
        self._projected, self._in_slices = {}, set()
