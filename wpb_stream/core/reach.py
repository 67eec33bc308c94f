"""How far a run has come: which points of its grid have been announced, with which frames; the grid grows with them where it may."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wpb_stream.core.geometry import Grid


@dataclass(slots=True, eq=False)
class Reach:
    """The points of one run as far as documents have announced them; no more than what they hold is kept of documents that come twice."""

    grid: Grid | None
    """None where nothing is reconstructed: then no point is taken."""
    grows: bool
    """Whether nobody knows beforehand how many points there are."""
    _latest: npt.NDArray[np.int64] = field(init=False)
    """For each planned point the version of its newest frame, plus 1; 0 for a point without one."""
    _beyond: int = 0
    """Points of the grid that have been announced, counted from the first."""
    _overrun: int = 0
    """Points that have been announced beyond the grid."""

    def __post_init__(self) -> None:
        # Zeros cost no memory before they are written: a hostile shape is not believed.
        self._latest = np.zeros(self.grid.points if self.grid else 0, np.int64)

    def take(self, first: int, versions: npt.NDArray[np.int64]) -> list[int]:
        """Points were announced, one after the other.

        :param first: the point that the first of ``versions`` is of
        :param versions: of their frames, 0 or more
        :returns: which of ``versions`` are newer than what their points had, counted from 0; none of points beyond the grid
        """
        self._make_room(first + len(versions))
        versions = versions[: max(0, len(self._latest) - first)] + 1
        latest = self._latest[first : first + len(versions)]
        newer = np.flatnonzero(versions > latest)
        latest[newer] = versions[newer]
        return newer.tolist()

    @property
    def overrun(self) -> str | None:
        """What is to be said of points beyond the grid; None if there are none."""
        if not self._overrun:
            return None
        return f"The scan went on beyond the {len(self._latest)} points of its shape; the points after are not on the map."

    def lacks(self, counted: int) -> str | None:
        """What is missing of as many points as the stop document counts, in a sentence; None if nothing is."""
        announced = int(np.count_nonzero(self._latest[: self._beyond]))
        if announced + self._overrun < counted:
            return "The stop document counts more points than were announced: documents were lost on the way."
        if skipped := self._beyond - announced:
            return f"For {skipped} of the {self._beyond} points up to the last one no document announced a frame."
        return None

    def conclude(self) -> None:
        """No point follows: a grid that grew ahead of the points ends with the last of them."""
        if self.grows and self.grid is not None:
            self.grid = self.grid.holding(max(self._beyond, 1), exactly=True)

    def _make_room(self, points: int) -> None:
        if points <= self._beyond or self.grid is None:
            return
        if self.grows and points > len(self._latest):
            self.grid = self.grid.holding(points)
            self._latest = np.concatenate([self._latest, np.zeros(self.grid.points - len(self._latest), np.int64)])
        self._overrun = max(self._overrun, points - len(self._latest))
        self._beyond = min(points, len(self._latest))
