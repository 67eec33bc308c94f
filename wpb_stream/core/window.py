"""Frames asked for, the windows they are read in, and what comes back.

A window is a set of frames read and reduced together, closed by count or by time; its size never changes a value.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.accumulation import Accumulation, Tally
from wpb_stream.core.reducers import Reducer


@dataclass(frozen=True, slots=True)
class StreamFile:
    """What a StreamResource document says of a file; the file itself is the authority."""

    uid: str
    data_key: str
    mimetype: str
    uri: str
    parameters: dict[str, Any] = field(default_factory=dict[str, Any], hash=False)
    shape: tuple[int, ...] | None = None
    """Of what the file holds for one index, as the descriptor says: ``[F, rows, columns]`` for F frames, ``[]`` for a number. None if it
    does not say."""


IN_THE_EVENT = StreamFile("", "", "application/x-bluesky-event", "")
"""Stands where a frame has its file, if an event carries the values."""

Beside = float | tuple[StreamFile, int]
"""A number that belongs to a point: itself, or the file and the index where it is."""


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Where the frames of one point of the scan are: what ``file`` holds for ``index``, one frame or several, which are summed."""

    point: int
    """0-based number in the scan: ``seq_num - 1``."""
    file: StreamFile
    index: int
    """0-based place in the file, as ``indices`` of the StreamDatum counts; how many frames that is, the file's reader knows."""
    version: int = 0
    """Of two frames for one point the one with the higher version counts: the scan was rewound in between."""
    values: tuple[float, ...] | None = None
    """The point's values themselves, where an event carries them: there is nothing to read."""
    beside: tuple[Beside, ...] = ()
    """The numbers that are joined to it, in the order of the recipe's companions."""


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """What a reader process is asked: reduce these frames of one file."""

    file: StreamFile
    indices: tuple[int, ...]
    reducer: Reducer
    """Gives its values for each of ``indices``."""
    accumulation: Accumulation | None = None
    """What is made of all of them together, besides."""
    points: tuple[int, ...] = ()
    """Of each of ``indices``, where there is something to accumulate."""


def window_request(refs: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None = None) -> WindowRequest:
    """What is asked for frames of one file, at least one."""
    points = tuple(ref.point for ref in refs) if accumulation else ()
    return WindowRequest(refs[0].file, tuple(ref.index for ref in refs), reducer, accumulation, points)


class FrameStatus(IntEnum):
    """What became of one requested frame."""

    READ = 0
    NOT_YET = 1
    """Late: ask again."""
    BROKEN = 2
    """Will not come: refused, damaged, or contradicting the documents."""


@dataclass(frozen=True, slots=True)
class WindowResult:
    """A reader's answer to a :class:`WindowRequest`, in its order."""

    values: npt.NDArray[np.float64]
    """Shape (requested, values of the reducer); rows that were not read hold NaN."""
    status: npt.NDArray[np.uint8]
    """Shape (requested,): a :class:`FrameStatus` each."""
    frame_shape: tuple[int, int] | None = None
    """Rows, columns, as the file has them; None if it could not be opened."""
    reason: str | None = None
    """One sentence on the frames that were not read, if there are any."""
    tally: Tally | None = None
    """What was accumulated of the frames that were read, and of no other; None where nothing was asked for."""
    unjoined: str | None = None
    """One sentence on numbers beside them that cannot be read, and are NaN, if there are any."""


def carried(refs: Sequence[FrameRef]) -> WindowResult | None:
    """The values of points whose events carry them; None if any of these is to be read from a file."""
    values = [ref.values for ref in refs if ref.values is not None]
    if not refs or len(values) < len(refs):
        return None
    return WindowResult(np.array(values, np.float64), np.full(len(refs), FrameStatus.READ, np.uint8))


class Window:
    """Frames of one run waiting to be read; closed by count or by age. Holds no clock: it is told the time."""

    def __init__(self, max_frames: int, max_age_s: float) -> None:
        self.max_frames = max_frames
        self.max_age_s = max_age_s
        self._waiting: deque[FrameRef] = deque()
        self._opened_at: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, refs: Sequence[FrameRef], now: float) -> None:
        """Take in more frames; the window's age counts from the first of them."""
        if refs and self._opened_at is None:
            self._opened_at = now
        self._waiting.extend(refs)

    def closes_in(self, now: float) -> float | None:
        """Seconds until the window must be read: 0 if it is full or old enough, None while it is empty."""
        if self._opened_at is None:
            return None
        if len(self._waiting) >= self.max_frames:
            return 0.0
        return max(0.0, self._opened_at + self.max_age_s - now)

    def take(self, now: float) -> list[FrameRef]:
        """The frames of the closed window, oldest first, at most ``max_frames``; what is left opens the next."""
        taken = [self._waiting.popleft() for _ in range(min(self.max_frames, len(self._waiting)))]
        self._opened_at = now if self._waiting else None
        return taken
