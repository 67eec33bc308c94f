"""One NPY file whose first axis holds the frames, read entry by entry."""

from __future__ import annotations

import os
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.entries import EntryFrames, Single
from wpb_stream.frames.images import NPY_SIGNATURE, NpyHeader
from wpb_stream.frames.limits import check_size
from wpb_stream.frames.roots import DataRoots, open_beneath


class NpyArray:
    """The array of one open file. Not thread-safe."""

    grows = False

    def __init__(self, roots: DataRoots, path: Path, single: Single) -> None:
        """Open it.

        :raises FrameNotYet: it is not there yet, or has no header
        :raises FrameRefused: it may not be read
        :raises FrameBroken: it is no array of numbers in C order
        """
        self.path = path
        self._file = open_beneath(roots, path)
        try:
            self._opened = os.fstat(self._file.fileno())
            start = os.pread(self._file.fileno(), len(NPY_SIGNATURE), 0)
            if start.strip(b"\0") and not NPY_SIGNATURE.startswith(start):
                raise FrameBroken(f"{path} is no NPY file: it begins with {start!r}")
            try:
                header = NpyHeader(self._file)
            except ValueError as error:
                raise FrameNotYet(f"{path} has no whole header so far: {error}") from error
            self.shape, self.dtype, self._offset = header.shape, header.dtype, header.offset
            if not self.shape or (header.fortran and len(self.shape) > 1):
                raise FrameBroken(f"{path} has shape {self.shape}; expected [frames, rows, columns], or alike, in C order")
            self._entry = self.shape if single(self.shape, False) else self.shape[1:]
            check_size(self._entry, self.dtype, str(path))
        except BaseException:
            self.close()
            raise

    def entry(self, index: int) -> npt.NDArray[Any]:
        """See :meth:`wpb_stream.frames.entries.Entries.entry`."""
        if not 0 <= index < (1 if self._entry == self.shape else self.shape[0]):
            raise FrameBroken(f"{self.path} cannot have a frame {index}: its array has shape {self.shape}")
        wanted = prod(self._entry) * self.dtype.itemsize
        start = self._offset + index * wanted
        data = os.pread(self._file.fileno(), wanted, start)
        if len(data) < wanted:
            raise FrameNotYet(f"{self.path} ends before its frame {index} so far")
        if self._has_hole(start, start + wanted):
            raise FrameNotYet(f"{self.path} has room for frame {index}, but its data have not been written")
        return np.frombuffer(data, self.dtype).reshape(self._entry)

    def _has_hole(self, start: int, stop: int) -> bool:
        """Whether a part of the file was never written, and reads as zeros: as a whole that is mapped into memory has them at first."""
        descriptor = self._file.fileno()
        try:
            return os.lseek(descriptor, start, os.SEEK_DATA) > start or os.lseek(descriptor, start, os.SEEK_HOLE) < stop
        except OSError:  # no data from there on
            return True

    def current(self) -> bool:
        """See :meth:`wpb_stream.frames.entries.Entries.current`; a file that grows is still the same."""
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        return os.path.samestat(now, self._opened) and now.st_size >= self._opened.st_size

    def close(self) -> None:
        """See :meth:`wpb_stream.frames.entries.Entries.close`."""
        with suppress(OSError):
            self._file.close()


def npy_frames(roots: DataRoots, file: StreamFile) -> EntryFrames:
    """The frames of one NPY file.

    :raises FrameError: as :class:`NpyArray` does
    """
    return EntryFrames(file, lambda single: NpyArray(roots, roots.path(file.uri), single))
