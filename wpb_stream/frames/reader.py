"""Reading and reducing windows of frames, synchronously: in a reader process, or in Dagster.

A file's fault is an answer, not an exception: it becomes the status of the frames it concerns.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import RLock
from time import monotonic
from typing import Any
from weakref import finalize

import numpy as np
import numpy.typing as npt

from wpb_stream.core.accumulation import Kind, Tally
from wpb_stream.core.blocks import counts_of, means_of, sums_of
from wpb_stream.core.corrected import apart
from wpb_stream.core.dead_time import NeedsBeside
from wpb_stream.core.exceptions import FrameBroken, FrameError, FrameNotYet
from wpb_stream.core.masks import NO_BAD_PIXELS
from wpb_stream.core.reducers import Frame, Reducer
from wpb_stream.core.reduction import shape_of
from wpb_stream.core.window import FrameStatus, StreamFile, WindowRequest, WindowResult
from wpb_stream.frames.beside import beside
from wpb_stream.frames.mimetypes import Frames, open_frames
from wpb_stream.frames.needed import Bindings
from wpb_stream.frames.roots import DataRoots

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Answer:
    """What has come of a request so far."""

    values: npt.NDArray[np.float64]
    status: npt.NDArray[np.uint8]
    faults: list[FrameError] = field(default_factory=list[FrameError])
    spoiled: bool = False
    """Whether frames of a row that failed after them were accumulated."""

    @classmethod
    def to(cls, request: WindowRequest) -> _Answer:
        rows = len(request.indices)
        return cls(np.full((rows, request.reducer.size), np.nan), np.full(rows, FrameStatus.READ, np.uint8))

    def failed(self, row: int, fault: FrameError) -> None:
        self.values[row], self.status[row] = np.nan, _status(fault)
        self.faults.append(fault)


@dataclass(frozen=True, slots=True)
class Looked:
    """A frame to be looked at."""

    values: npt.NDArray[Any]
    """Shape (rows, columns)."""
    shape: tuple[int, int]
    """Rows and columns of the frame before it was made smaller."""


class FrameReader:
    """Reads frames and keeps the last files open. Safe to call from several threads, which wait for each other, as HDF5 has them do."""

    def __init__(self, roots: DataRoots, keep_open: int = 160) -> None:
        """Nothing is opened before it is needed.

        :param keep_open: datasets that are kept open; a detector of many elements has some for each of them
        """
        self.roots = roots
        self.keep_open = keep_open
        self.frames_read = 0
        """Frames given to reductions since the start."""
        self.bytes_read = 0
        """Frame bytes given to reductions since the start."""
        self._open: OrderedDict[StreamFile, Frames] = OrderedDict()
        self._used_at: dict[StreamFile, float] = {}
        self._bindings = Bindings(roots)
        self._lock = RLock()
        finalize(self, _close_all, self._open)  # nobody closes a reader that :func:`reader_of` lets go

    def reduce(self, request: WindowRequest) -> WindowResult:
        """Reduce a window: the reducer's values for each index; never raises for a file's fault."""
        answer = _Answer.to(request)
        shape: tuple[int, int] | None = None
        tally: Tally | None = None
        with self._lock:
            try:
                frames, reducer = self._frames(request.file), self._bindings.bound(request.reducer)
                reducer, correct, bad = apart(reducer)
                tally = Tally(replace(request.accumulation, bad=bad)) if request.accumulation else None

                def each(row: int) -> Iterable[Frame]:
                    return correct(self._each(self._frames(request.file), request.file, request.indices[row]))

                for row, index in enumerate(request.indices):
                    taken = tally.frames if tally else 0
                    try:
                        # First, as so many files may be opened for it that this one is closed.
                        ready = self._with_beside(reducer, request.file, index) if isinstance(reducer, NeedsBeside) else reducer
                        answer.values[row] = ready.values(_taken_in(tally, request.points[row] if tally else 0, each(row)))
                    except FrameError as fault:
                        answer.failed(row, fault)
                        answer.spoiled |= tally is not None and tally.frames != taken
                shape = frames.frame_shape
                if tally is not None:
                    tally = self._accumulate(tally, each, request.points, answer)
            except FrameError as fault:
                for row in range(len(request.indices)):
                    answer.failed(row, fault)
            if any(not fault.retriable for fault in answer.faults):
                self._forget(request.file)
        return WindowResult(answer.values, answer.status, shape, _reason(answer.faults), tally)

    def read(self, file: StreamFile, indices: Sequence[int]) -> npt.NDArray[Any]:
        """Frames as they are: shape (indices, frames an index, rows, columns), in the file's dtype.

        :raises FrameError: any of them cannot be read
        """
        with self._lock:
            frames = self._frames(file)
            read: dict[int, list[npt.NDArray[Any]]] = {}
            for index in sorted(set(indices), reverse=True):  # the last first: one that is not there yet is told before much is read
                read[index] = [frame.copy() for frame in self._each(frames, file, index)]
            if not indices:
                return np.empty((0, 1, *(frames.frame_shape or (0, 0))), frames.dtype)
            shapes = {(len(each), *frame.shape) for each in read.values() for frame in each}
            if len(shapes) != 1:
                raise FrameBroken(f"the frames of {file.uri} have different shapes, or indices different numbers of them: {sorted(shapes)}")
            return np.stack([np.stack(read[index]) for index in indices])

    def look(self, file: StreamFile, index: int, max_size: tuple[int, int] | None) -> Looked:
        """The frames of one index, added up, made smaller until they fit.

        :param max_size: rows, columns; None for as they are
        :returns: in the file's dtype if it is one frame and fits, else int64 or float64 for a sum; float32, or float64 for wide numbers,
            for means over blocks of n x n pixels, n the smallest that fits
        :raises FrameError: they cannot be read
        """
        try:
            return self._look(file, index, max_size)
        except MemoryError as error:
            raise FrameBroken(f"index {index} of {file.uri} takes more memory than a reader may have") from error

    def _look(self, file: StreamFile, index: int, max_size: tuple[int, int] | None) -> Looked:
        with self._lock:
            total: npt.NDArray[Any] | None = None
            for frame in self._each(self._frames(file), file, index):
                if total is not None and total.shape != frame.shape:
                    raise FrameBroken(f"index {index} of {file.uri} holds frames of different shapes: {total.shape}, {frame.shape}")
                wide = np.float64 if frame.dtype.kind == "f" else np.int64
                total = frame.copy() if total is None else total.astype(wide) + frame
            if total is None:
                raise FrameBroken(f"index {index} of {file.uri} holds no frame")
            rows, columns = shape_of(total)
            block = max(1, -(-rows // max_size[0]), -(-columns // max_size[1])) if max_size else 1
            if block == 1:
                return Looked(total, (rows, columns))
            counts = counts_of((rows, columns), NO_BAD_PIXELS, (block, block))
            means = means_of(sums_of(total.astype(np.float64), None, (block, block)), counts)
            return Looked(means.astype(np.result_type(total, np.float32)), (rows, columns))

    def close_idle(self, idle_s: float) -> None:
        """Close the files that nobody asked for in the last ``idle_s`` seconds; they are opened anew when somebody does."""
        with self._lock:
            for file in [file for file, used_at in self._used_at.items() if monotonic() - used_at >= idle_s]:
                self._forget(file)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for file in list(self._open):
                self._forget(file)

    def _accumulate(self, tally: Tally, each: Callable[[int], Iterable[Frame]], points: Sequence[int], answer: _Answer) -> Tally:
        """What is accumulated of the frames that were read, and of these alone; a frame that cannot be read again was not read.

        :param each: gives the frames of a row
        """
        anew = answer.spoiled
        while True:
            row, made = 0, Tally(tally.of) if anew else tally
            try:
                read: list[int] = np.flatnonzero(answer.status == FrameStatus.READ).tolist()
                for row in read if anew else ():
                    for frame in each(row):
                        made.take(points[row], frame)
                if read and Kind.LAST in tally.of.kinds:
                    row = max(read, key=lambda row: (points[row], row))
                    for frame in each(row):
                        made.take_last(points[row], frame)
            except FrameError as fault:
                answer.failed(row, fault)
                anew = True
            else:
                made.pack()
                return made

    def _each(self, frames: Frames, file: StreamFile, index: int) -> Iterator[npt.NDArray[Any]]:
        try:
            for frame in frames.frames_of(index):
                self.frames_read += 1
                self.bytes_read += frame.nbytes
                yield frame
        except FrameError:
            raise
        except Exception as error:  # a damaged file makes HDF5 raise nearly anything
            logger.warning("index %d of %s", index, file.uri, exc_info=True)
            raise FrameBroken(f"index {index} of {file.uri} cannot be read: {type(error).__name__}: {error}") from error

    def _with_beside(self, reducer: NeedsBeside, file: StreamFile, index: int) -> Reducer:
        try:
            return reducer.with_beside([beside(self._frames, file, datasets, index) for datasets in reducer.beside])
        except FrameError as fault:
            raise type(fault)(f"{reducer.key}: {fault}") from fault
        except Exception as error:  # as in _each
            raise FrameBroken(f"{reducer.key}: index {index} of {file.uri}: {type(error).__name__}: {error}") from error

    def _frames(self, file: StreamFile) -> Frames:
        frames = self._open.get(file)
        if frames is not None and frames.current():
            self._open.move_to_end(file)
            self._used_at[file] = monotonic()
            return frames
        self._forget(file)
        try:
            frames = open_frames(self.roots, file)
        except FrameError:
            raise
        except Exception as error:  # as above
            logger.warning("opening %s", file.uri, exc_info=True)
            raise FrameBroken(f"{file.uri} cannot be opened: {type(error).__name__}: {error}") from error
        self._open[file], self._used_at[file] = frames, monotonic()
        while len(self._open) > self.keep_open:
            self._forget(next(iter(self._open)))
        return frames

    def _forget(self, file: StreamFile) -> None:
        frames = self._open.pop(file, None)
        self._used_at.pop(file, None)
        if frames is not None:
            frames.close()


def reduce_window(request: WindowRequest, roots: DataRoots) -> WindowResult:
    """Reduce a window of frames of one file; see :meth:`FrameReader.reduce`."""
    return reader_of(roots).reduce(request)


def read_frames(file: StreamFile, indices: Sequence[int], roots: DataRoots) -> npt.NDArray[Any]:
    """Frames as they are; see :meth:`FrameReader.read`."""
    return reader_of(roots).read(file, indices)


@lru_cache(maxsize=8)
def reader_of(roots: DataRoots) -> FrameReader:
    """This process's reader for ``roots``, with the files it keeps open."""
    return FrameReader(roots)


def _taken_in(tally: Tally | None, point: int, frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames, each of which ``tally`` takes in on its way."""
    for frame in frames:
        if tally is not None:
            tally.take(point, frame)
        yield frame


def _close_all(files: OrderedDict[StreamFile, Frames]) -> None:
    while files:
        files.popitem()[1].close()


def _status(fault: FrameError) -> FrameStatus:
    return FrameStatus.NOT_YET if isinstance(fault, FrameNotYet) else FrameStatus.BROKEN


def _reason(faults: list[FrameError]) -> str | None:
    """The first fault, one that will not go away before one that may."""
    return next((str(fault) for fault in sorted(faults, key=lambda fault: fault.retriable)), None)
