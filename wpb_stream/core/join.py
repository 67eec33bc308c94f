"""Frames, and the numbers beside them, joined by the number of the point, in whatever order their documents come.

A point is asked for once all of it has been announced, and again when any part of it was measured again: with the newest of each part.
The version of a row counts how often the run has asked for any, so that of two rows of a point the one with more of the documents counts.
What is held is a few numbers a point and part, however often documents come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.companions import Companions, Origins
from wpb_stream.core.detectors import Key
from wpb_stream.core.window import IN_THE_EVENT, Beside, FrameRef, StreamFile

ABSENT = float("nan")
"""Stands for a number that did not come."""
_PLACE = np.dtype([("version", "<i8"), ("index", "<i8"), ("file", "<i4"), ("value", "<f8")])


@dataclass(slots=True)
class _Part:
    """The newest of one part of each point."""

    newest: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, _PLACE))
    """``version`` is 1 more than that of the document, 0 for a point without this part; ``file`` -1 where ``value`` is the number."""

    def __contains__(self, point: int) -> bool:
        return point < len(self.newest) and bool(self.newest["version"][point])

    @property
    def points(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.newest["version"])

    def at(self, point: int) -> tuple[int, int, float]:
        """File, index and value of a point that has this part."""
        newest = self.newest[point]
        return int(newest["file"]), int(newest["index"]), float(newest["value"])

    def take(self, ref: FrameRef, file: int) -> bool:
        """Keep this if it is newer than what its point has; gives whether it is."""
        if ref.point >= len(self.newest):
            grown = np.zeros(max(ref.point + 1, 2 * len(self.newest)), _PLACE)
            grown[: len(self.newest)] = self.newest
            self.newest = grown
        if ref.version + 1 <= self.newest["version"][ref.point]:
            return False
        self.newest[ref.point] = (ref.version + 1, ref.index, file, ref.values[0] if ref.values and file < 0 else ABSENT)
        return True


class Join:
    """The parts of the points of one run; where nothing is joined, frames go through as they are."""

    def __init__(self, companions: Companions | None, stream: str, limit: int) -> None:
        """Nothing has come yet.

        :param stream: of the frames, until another is known
        :param limit: points from here on are not believed
        """
        self._limit, self._stream = limit, stream
        self._origins = Origins()
        self._streams: dict[str, str | None] = {}
        self._frames = _Part()
        self._parts: dict[str, _Part] = {}
        self._carried: dict[int, tuple[float, ...]] = {}
        """Values of points that are events themselves."""
        self._numbers: dict[StreamFile, int] = {}
        self._files: list[StreamFile] = []
        self._waiting: set[int] = set()
        self._turns = count()
        self.want(companions)

    def want(self, companions: Companions | None) -> None:
        """Join these data keys; what has come of those that were joined before is kept."""
        self.companions = companions or Companions()
        for data_key in self.companions.data_keys:
            self._parts.setdefault(data_key, _Part())
        self._settle()

    def see(self, descriptor: Mapping[str, Any], stream: str) -> bool:
        """Take in one descriptor.

        :param stream: of the frames, as far as it is known
        :returns: whether numbers were taken from another stream than is meant, as it turns out
        """
        self._stream = stream
        self._origins.see(descriptor)
        return self._settle()

    def _settle(self) -> bool:
        mistaken = False
        for data_key in self.companions.data_keys:
            stream = self._origins.stream(data_key, self._stream)
            mistaken |= stream != self._streams.get(data_key) and bool(len(self._parts[data_key].newest))
            self._streams[data_key] = stream
        return mistaken

    def __contains__(self, key: Key) -> bool:
        """Whether a data key of a stream is joined."""
        stream, data_key = key
        return self._streams.get(data_key) == stream and data_key in self.companions.data_keys

    def stream_of(self, data_key: str) -> str | None:
        """The stream that a data key is taken from; None while no descriptor tells of such numbers."""
        return self._streams.get(data_key)

    @property
    def waiting(self) -> bool:
        """Whether there are points whose frame is there, and not all that belongs to it."""
        return bool(self._waiting)

    def frames(self, refs: Iterable[FrameRef]) -> list[FrameRef]:
        """Frames were announced; gives the points that are whole with them."""
        if not self.companions.data_keys:
            return list(refs)
        asked: list[FrameRef] = []
        for ref in refs:
            if self._take(self._frames, ref):
                if ref.values is not None:
                    self._carried[ref.point] = ref.values
                self._waiting.add(ref.point)
                asked += self._whole(ref.point)
        return asked

    def numbers(self, data_key: str, refs: Iterable[FrameRef]) -> list[FrameRef]:
        """Numbers of a data key came, or were announced; gives the points that are whole with them."""
        part = self._parts[data_key]
        return [row for ref in refs if self._take(part, ref) for row in self._whole(ref.point)]

    def releasable(self) -> list[int]:
        """Points that wait for nothing but numbers without which they can be shown."""
        required = [self._parts[data_key] for data_key in self.companions.required]
        return sorted(point for point in self._waiting if all(point in part for part in required))

    def release(self) -> list[FrameRef]:
        """Nothing is expected any more: the points that can be shown as they are, with NaN for what did not come."""
        return [self._row(point) for point in self.releasable()]

    def lacking(self) -> dict[str, list[int]]:
        """By data key the points that have a frame, and no number of it."""
        framed = self._frames.points
        lacks = {data_key: np.setdiff1d(framed, self._parts[data_key].points) for data_key in self.companions.data_keys}
        return {data_key: points.tolist() for data_key, points in lacks.items() if points.size}

    def _take(self, part: _Part, ref: FrameRef) -> bool:
        if ref.point >= self._limit:
            return False
        file = -1 if ref.values is not None else self._numbers.setdefault(ref.file, len(self._files))
        if file == len(self._files):
            self._files.append(ref.file)
        return part.take(ref, file)

    def _whole(self, point: int) -> list[FrameRef]:
        """The row of a point that waits for nothing, as a list of one: what is not required is waited for if a descriptor tells of it."""
        if point not in self._frames:
            return []
        required = self.companions.required
        for data_key in self.companions.data_keys:
            described = self._streams[data_key] is not None
            if point not in self._parts[data_key] and (described or data_key in required):
                return []
        return [self._row(point)]

    def _row(self, point: int) -> FrameRef:
        self._waiting.discard(point)
        number, index, _ = self._frames.at(point)
        beside = tuple(self._beside(self._parts[data_key], point) for data_key in self.companions.data_keys)
        file = IN_THE_EVENT if number < 0 else self._files[number]
        return FrameRef(point, file, index, next(self._turns), self._carried.get(point), beside)

    def _beside(self, part: _Part, point: int) -> Beside:
        if point not in part:
            return ABSENT
        number, index, value = part.at(point)
        return value if number < 0 else (self._files[number], index)
