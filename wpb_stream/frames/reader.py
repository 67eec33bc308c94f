"""Reading and reducing windows of frames, synchronously: in a reader process, or in Dagster.

A file's fault is an answer, not an exception: it becomes the status of the frames it concerns.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from threading import RLock
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken, FrameError, FrameNotYet
from wpb_stream.core.reduction import EXACT_LIMIT, region_sums
from wpb_stream.core.window import FrameStatus, StreamFile, WindowRequest, WindowResult
from wpb_stream.frames.hdf5 import Hdf5Frames
from wpb_stream.frames.roots import DataRoots

logger = logging.getLogger(__name__)


class Frames(Protocol):
    """An open file of frames; what each mimetype's module offers. See :class:`~wpb_stream.frames.hdf5.Hdf5Frames`."""

    frame_shape: tuple[int, int]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of one frame."""
        ...

    def frame(self, index: int) -> npt.NDArray[Any]:
        """One frame, a view that is valid until the next call."""
        ...

    def current(self) -> bool:
        """Whether what lies at the path is still what was opened."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def _open_hdf5(descriptor: int, path: Path, file: StreamFile) -> Frames:
    dataset = file.parameters.get("dataset") or file.parameters.get("path")  # `path` until event-model 1.21
    if not isinstance(dataset, str):
        os.close(descriptor)
        raise FrameBroken(f"the stream resource of {path} does not say which dataset: its parameters are {sorted(file.parameters)}")
    return Hdf5Frames(descriptor, path, dataset)


READERS: Mapping[str, Callable[[int, Path, StreamFile], Frames]] = MappingProxyType({"application/x-hdf5": _open_hdf5})
"""How to open each mimetype; the callable takes over the descriptor."""


class FrameReader:
    """Reads frames and keeps the last files open. Safe to call from several threads, which wait for each other, as HDF5 has them do."""

    def __init__(self, roots: DataRoots, keep_open: int = 16) -> None:
        self.roots = roots
        self.keep_open = keep_open
        self.bytes_read = 0
        """Frame bytes given to reductions since the start."""
        self._open: OrderedDict[tuple[str, str, str], Frames] = OrderedDict()
        self._lock = RLock()

    def reduce(self, request: WindowRequest) -> WindowResult:
        """Reduce a window: sums over the regions, of ``request.frames`` frames each; never raises for a file's fault."""
        values = np.full((len(request.firsts), len(request.regions)), np.nan)
        status = np.full(len(request.firsts), FrameStatus.READ, np.uint8)
        faults: list[FrameError] = []
        shape: tuple[int, int] | None = None
        with self._lock:
            try:
                frames = self._frames(request.file)
                shape = frames.frame_shape
                for row, first in enumerate(request.firsts):
                    try:
                        values[row] = self._point(frames, request, first)
                    except FrameError as fault:
                        status[row] = _status(fault)
                        faults.append(fault)
            except FrameError as fault:
                status[:] = _status(fault)
                faults.append(fault)
            if any(not fault.retriable for fault in faults):
                self._forget(request.file)
        return WindowResult(values, status, shape, _reason(faults))

    def read(self, file: StreamFile, first: int, stop: int) -> npt.NDArray[Any]:
        """Frames ``first`` to ``stop`` (exclusive) as they are: shape (stop - first, rows, columns), in the file's dtype.

        :raises FrameError: any of them cannot be read
        """
        with self._lock:
            frames = self._frames(file)
            last = self._frame(frames, file, stop - 1) if stop > first else None  # before memory is taken for frames that are not there
            out = np.empty((max(stop - first, 0), *frames.frame_shape), frames.dtype)
            if last is not None:
                out[-1] = last
            for row in range(len(out) - 1):
                out[row] = self._frame(frames, file, first + row)
        return out

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _point(self, frames: Frames, request: WindowRequest, first: int) -> list[float]:
        sums = region_sums(self._frame(frames, request.file, first), request.regions)
        for index in range(first + 1, first + request.frames):
            more = region_sums(self._frame(frames, request.file, index), request.regions)
            sums = [one + other for one, other in zip(sums, more, strict=True)]
        if frames.dtype.kind != "f" and any(abs(total) > EXACT_LIMIT for total in sums):
            raise FrameBroken(f"the sum of {request.frames} frames from {first} on is more than float64 holds exactly (2**53)")
        return sums

    def _frame(self, frames: Frames, file: StreamFile, index: int) -> npt.NDArray[Any]:
        try:
            frame = frames.frame(index)
        except FrameError:
            raise
        except Exception as error:  # a damaged file makes HDF5 raise nearly anything
            logger.warning("frame %d of %s", index, file.uri, exc_info=True)
            raise FrameBroken(f"frame {index} of {file.uri} cannot be read: {type(error).__name__}: {error}") from error
        self.bytes_read += frame.nbytes
        return frame

    def _frames(self, file: StreamFile) -> Frames:
        key = _key(file)
        frames = self._open.get(key)
        if frames is not None and frames.current():
            self._open.move_to_end(key)
            return frames
        self._forget(file)
        opener = READERS.get(file.mimetype)
        if opener is None:
            raise FrameBroken(f"files of type {file.mimetype!r} are not read ({file.uri}); known: {', '.join(READERS)}")
        path = self.roots.path(file.uri)
        try:
            frames = opener(self.roots.open(file.uri), path, file)
        except FrameError:
            raise
        except Exception as error:  # as above
            logger.warning("opening %s", file.uri, exc_info=True)
            raise FrameBroken(f"{file.uri} cannot be opened: {type(error).__name__}: {error}") from error
        self._open[key] = frames
        while len(self._open) > self.keep_open:
            self._open.popitem(last=False)[1].close()
        return frames

    def _forget(self, file: StreamFile) -> None:
        frames = self._open.pop(_key(file), None)
        if frames is not None:
            frames.close()


def reduce_window(request: WindowRequest, roots: DataRoots) -> WindowResult:
    """Reduce a window of frames of one file; see :meth:`FrameReader.reduce`."""
    return reader_of(roots).reduce(request)


def read_frame(file: StreamFile, index: int, roots: DataRoots) -> npt.NDArray[Any]:
    """One frame, shape (rows, columns), in the file's dtype.

    :raises FrameError: it cannot be read
    """
    return read_frames(file, index, index + 1, roots)[0]


def read_frames(file: StreamFile, first: int, stop: int, roots: DataRoots) -> npt.NDArray[Any]:
    """Frames ``first`` to ``stop`` (exclusive); see :meth:`FrameReader.read`."""
    return reader_of(roots).read(file, first, stop)


@lru_cache(maxsize=8)
def reader_of(roots: DataRoots) -> FrameReader:
    """This process's reader for ``roots``, with the files it keeps open."""
    return FrameReader(roots)


def _key(file: StreamFile) -> tuple[str, str, str]:
    return file.uri, file.mimetype, str(file.parameters.get("dataset") or file.parameters.get("path"))


def _status(fault: FrameError) -> FrameStatus:
    return FrameStatus.NOT_YET if isinstance(fault, FrameNotYet) else FrameStatus.BROKEN


def _reason(faults: list[FrameError]) -> str | None:
    """The first fault, one that will not go away before one that may."""
    return next((str(fault) for fault in sorted(faults, key=lambda fault: fault.retriable)), None)
