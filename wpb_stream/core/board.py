"""What is being reconstructed now: written by the pipeline, read by the feed.

One writer, many readers: a reader holds a position (the next row, the next notice) and pulls; it is only woken, never handed anything.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from wpb_stream.core.counts import Counts
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable
from wpb_stream.core.window import FrameRef


@dataclass(frozen=True, slots=True, eq=False)
class Versioned:
    """An array of which only the latest version counts."""

    values: npt.NDArray[Any]
    version: int = 1


@dataclass(slots=True, eq=False)
class Reconstruction:
    """One revision of one run: its table of points, and what is to be said of it."""

    run: RunInfo
    """The run object; ``rows`` and ``status`` are kept up to date."""
    revision: str
    table: PointTable
    produced_by: str
    notices: Sequence[Notice] = ()
    """Grows only."""
    reason: str = ""
    """Why the run ended, in the words of its stop document."""
    described: int = 0
    """Counts how often the run's description grew (units, regions in pixels) since it began."""
    ended: bool = False
    """No row follows, and ``run.status`` says how the run ended."""
    trailing: bool = False
    """Whether another process makes it: clients who come from there may hold rows that have not come here yet."""
    frames: Mapping[int, FrameRef] = field(default_factory=dict[int, FrameRef])
    """Of each point that has a row, where its frames are; empty where the run is not in memory."""
    arrays: dict[str, Versioned] = field(default_factory=dict[str, Versioned])
    """What is accumulated, and made of the maps, by name; each is replaced as it grows."""
    arrived: array[float] = field(default_factory=lambda: array("d"))
    """Of each row, when the document came that announced it, by the walk's clock; empty where the run is not in memory."""

    _versions: dict[str, int] = field(default_factory=dict[str, int])
    """The latest of each array, also of one that is not there any more: two that differ never have the same."""

    def show(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """These are the arrays now: one that is what it was keeps its version."""
        held = self.arrays
        self.arrays = {
            name: before if (before := held.get(name)) and _same(before.values, values) else self._next(name, values)
            for name, values in arrays.items()
        }

    def _next(self, name: str, values: npt.NDArray[Any]) -> Versioned:
        self._versions[name] = self._versions.get(name, 0) + 1
        return Versioned(values, self._versions[name])


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@dataclass(slots=True)
class Board:
    """The reconstructions that are live in this process."""

    live: dict[str, Reconstruction] = field(default_factory=dict[str, Reconstruction])
    """By run uid; a run stays a while after it ended."""
    latest: str | None = None
    """Uid of the run that started last."""
    counts: Counts = field(default_factory=Counts)
    _watchers: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def forget_ended(self, keep: int) -> list[str]:
        """Let go of all ended runs but the last ``keep``, which clients may watch still; the uids of those that went."""
        gone = [uid for uid, made in self.live.items() if made.ended][:-keep]
        for uid in gone:
            del self.live[uid]
        return gone

    def watch(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called after every change; it must return at once."""
        self._watchers.append(wake)

    def changed(self) -> None:
        """Something grew, began or ended: wake all who watch."""
        for wake in self._watchers:
            wake()
