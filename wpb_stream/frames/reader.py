"""Reading and reducing windows of frames, synchronously: in a reader process, or in Dagster.

A file's fault is an answer, not an exception: it becomes the status of the frames it concerns.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from threading import RLock
from time import monotonic
from typing import Any
from weakref import finalize

import numpy as np
import numpy.typing as npt

from wpb_stream.core.dead_time import NeedsBeside
from wpb_stream.core.exceptions import FrameBroken, FrameError, FrameNotYet
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import FrameStatus, StreamFile, WindowRequest, WindowResult
from wpb_stream.frames.beside import beside
from wpb_stream.frames.mimetypes import Frames, open_frames
from wpb_stream.frames.needed import Bindings
from wpb_stream.frames.roots import DataRoots

logger = logging.getLogger(__name__)


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
        values = np.full((len(request.indices), request.reducer.size), np.nan)
        status = np.full(len(request.indices), FrameStatus.READ, np.uint8)
        faults: list[FrameError] = []
        shape: tuple[int, int] | None = None
        with self._lock:
            try:
                frames, reducer = self._frames(request.file), self._bindings.bound(request.reducer)
                for row, index in enumerate(request.indices):
                    try:
                        ready = reducer
                        if isinstance(reducer, NeedsBeside):
                            ready = self._with_beside(reducer, request.file, index)
                            frames = self._frames(request.file)  # so many files were opened for it, perhaps, that this one was closed
                        values[row] = ready.values(self._each(frames, request.file, index))
                    except FrameError as fault:
                        status[row] = _status(fault)
                        faults.append(fault)
                shape = frames.frame_shape
            except FrameError as fault:
                status[:] = _status(fault)
                faults.append(fault)
            if any(not fault.retriable for fault in faults):
                self._forget(request.file)
        return WindowResult(values, status, shape, _reason(faults))

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


def _close_all(files: OrderedDict[StreamFile, Frames]) -> None:
    while files:
        files.popitem()[1].close()


def _status(fault: FrameError) -> FrameStatus:
    return FrameStatus.NOT_YET if isinstance(fault, FrameNotYet) else FrameStatus.BROKEN


def _reason(faults: list[FrameError]) -> str | None:
    """The first fault, one that will not go away before one that may."""
    return next((str(fault) for fault in sorted(faults, key=lambda fault: fault.retriable)), None)
