"""Frames of an HDF5 file, also while a detector is writing it.

The file is the authority: dtype and shape come from it, never from the documents. It may also be hostile: what HDF5 would follow to
other files (external links, raw external storage, virtual datasets) is refused before anything is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import h5py.h5l
import hdf5plugin  # noqa: F401  its import registers the compression filters
import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet, FrameRefused
from wpb_stream.frames.slabs import Slabs, open_slabs

FRAME_LIMIT_BYTES = 2**30
"""Largest frame, and largest chunk, that is read: a few bytes of header can declare terabytes."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LINK_LIMIT = 16


class Hdf5Frames:
    """One dataset of one open file: frames along the first axis of ``[n, rows, columns]``.

    A dataset of two dimensions is a single frame, index 0. More dimensions are not read yet. Not thread-safe.
    """

    def __init__(self, descriptor: int, path: Path, dataset: str, per_index: int = 1) -> None:
        """Take over ``descriptor`` (closed by :meth:`close`, or here if this raises).

        :param path: where ``descriptor`` came from: for messages, and to notice that the file was replaced
        :param dataset: path of the dataset inside the file
        :param per_index: frames that make one index
        :raises FrameNotYet: the file or the dataset is not readable yet
        :raises FrameRefused: the dataset leads out of the file
        :raises FrameBroken: this is no HDF5 file, or no frames of numbers
        """
        self.path = path
        self.per_index = per_index
        self._descriptor = descriptor
        self._opened = os.fstat(descriptor)
        self._size = self._opened.st_size
        self._file: h5py.File | None = None
        try:
            self._file, self.swmr = self._open()
            self._dataset = self._find(self._file, dataset)
            self.frame_shape, self.dtype = self._check(dataset)
            self._slabs = self._make_slabs()
        except BaseException:
            self.close()
            raise
        self._count = self._frames()

    def close(self) -> None:
        """Close the file; the frames handed out stay valid memory."""
        with suppress(RuntimeError, OSError):  # a damaged file may not even close
            if self._file is not None:
                self._file.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def current(self) -> bool:
        """Whether this is still what lies at the path: not replaced, not truncated, and not rewritten behind a plain (not SWMR) opening."""
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        if not os.path.samestat(now, self._opened) or now.st_size < self._size:
            return False
        return self.swmr or (now.st_size, now.st_mtime_ns) == (self._opened.st_size, self._opened.st_mtime_ns)

    def frames_of(self, index: int) -> Iterator[npt.NDArray[Any]]:
        """See :meth:`wpb_stream.frames.reader.Frames.frames_of`."""
        for entry in range(index * self.per_index, (index + 1) * self.per_index):
            yield self.frame(entry)

    def frame(self, index: int) -> npt.NDArray[Any]:
        """One frame, shape ``frame_shape``: a view, valid until the next call.

        :raises FrameNotYet: it is beyond the dataset's end, its chunk does not exist, or the writer may not have come to it yet
        :raises FrameBroken: it cannot be decoded, or the dataset can never have it
        """
        if index >= self._count:
            self._dataset.refresh()
            self._count = self._frames()
        if index < 0 or (index >= self._count and self._dataset.ndim == 2):
            raise FrameBroken(f"{self.path} cannot have a frame {index}: the dataset has shape {self._dataset.shape}")
        if index >= self._count:
            raise FrameNotYet(f"{self.path} has {self._count} frames so far, frame {index} is not among them")
        frame = self._read(index)
        size = os.fstat(self._descriptor).st_size
        if size < self._size:  # HDF5 hands out zeros beyond the end of a file
            raise FrameNotYet(f"{self.path} was cut from {self._size} to {size} bytes while frame {index} was read")
        self._size = size
        return frame

    def _read(self, index: int) -> npt.NDArray[Any]:
        frame = self._slabs.frame(index, self._count)
        if frame is None:
            self._dataset.refresh()  # the index of chunks is cached as well as the shape
            frame = self._slabs.frame(index, self._count)
        if frame is None:
            raise FrameNotYet(f"{self.path} has room for frame {index}, but its data have not been written")
        if self._slabs.proves_written or not self._is_fill(frame):
            return frame
        # Nothing but the fill value, in storage that exists as a whole before its frames do. Look again (the writer may have added to the
        # chunk since it was read); then believe it only once no writer can still be about to fill it in.
        self._dataset.refresh()
        frame = self._slabs.frame(index, self._count, again=True)
        if frame is None or (self._is_fill(frame) and self._being_written() and not self._slabs.follows(index)):
            raise FrameNotYet(f"{self.path} holds only the fill value in frame {index} so far")
        return frame

    def _is_fill(self, frame: npt.NDArray[Any]) -> bool:
        return any(self._all_fill(frame[tile]) for tile in self._slabs.tiles)

    def _all_fill(self, part: npt.NDArray[Any]) -> bool:
        fill = self._slabs.fill
        if part[0, 0] != fill and not np.isnan(fill):
            return False
        return bool(np.array_equal(part, np.broadcast_to(fill, part.shape), equal_nan=True))

    def _being_written(self) -> bool:
        return bool(_superblock_flags(self._descriptor) & 0x01)

    def _frames(self) -> int:
        return int(self._dataset.shape[0]) if self._dataset.ndim == 3 else 1

    def _open(self) -> tuple[h5py.File, bool]:
        # Opened SWMR, HDF5 does not compare the file's length with what its header says, and truncated data read as zeros. So SWMR
        # only where the header says that a SWMR writer is (or was killed) at it; it may close the file before we have opened it.
        live = bool(_superblock_flags(self._descriptor) & 0x04)
        name = f"/proc/self/fd/{self._descriptor}"
        failure: OSError | None = None
        for swmr in (True, False) if live else (False,):
            try:
                # Without locks, we are never the reason why a detector cannot open its file. Without a chunk cache, a chunk is
                # never stale, and a slice costs 0.4 ms, not 2.5.
                return h5py.File(name, "r", swmr=swmr, libver="latest", locking=False, rdcc_nbytes=0), swmr
            except OSError as error:
                failure = failure or error
        start = os.pread(self._descriptor, len(_SIGNATURE), 0)
        if start.strip(b"\0") and start != _SIGNATURE:
            raise FrameBroken(f"{self.path} is not an HDF5 file: it begins with {start!r}") from failure
        raise FrameNotYet(f"{self.path} cannot be opened while its writer is not in SWMR mode, or is incomplete: {failure}") from failure

    def _find(self, file: h5py.File, dataset: str) -> h5py.Dataset:
        group: Any = file
        names = _components(dataset)
        links = 0
        while names:
            name = names.pop()
            try:
                kind = group.id.links.get_info(name.encode()).type
            except (KeyError, RuntimeError, AttributeError) as error:
                raise FrameNotYet(f"{self.path} has no dataset {dataset!r} (yet): nothing is called {name!r} in {group.name!r}") from error
            if kind == h5py.h5l.TYPE_HARD:
                group = group[name]
                continue
            links += 1
            if kind != h5py.h5l.TYPE_SOFT or links > _LINK_LIMIT:
                raise FrameRefused(
                    f"{dataset!r} in {self.path} leads out of the file (or nowhere) at {name!r}: such links are not followed"
                )
            target = group.id.links.get_val(name.encode()).decode()
            names += _components(target)
            if target.startswith("/"):
                group = file
        if not isinstance(group, h5py.Dataset):
            raise FrameBroken(f"{dataset!r} in {self.path} is not a dataset")
        return group

    def _check(self, dataset: str) -> tuple[tuple[int, int], np.dtype[Any]]:
        where = f"{dataset!r} in {self.path}"
        plist = self._dataset.id.get_create_plist()
        if plist.get_layout() == h5py.h5d.VIRTUAL:
            raise FrameRefused(f"{where} is a virtual dataset: its parts lie in other files, which is not read yet")
        if plist.get_external_count():
            raise FrameRefused(f"{where} keeps its data in raw external files, which are never read")
        for k in range(plist.get_nfilters()):
            code, _, _, name = plist.get_filter(k)
            if not h5py.h5z.filter_avail(code):
                raise FrameBroken(f"{where} is compressed with filter {code} ({name.decode(errors='replace')}), which is not installed")
        try:
            dtype = self._dataset.dtype
        except TypeError as error:
            raise FrameBroken(f"{where} has a type numpy does not know: {error}") from error
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype.subdtype:
            raise FrameBroken(f"{where} has the type {dtype}; frames are integers or floating-point numbers of at most 64 bits")
        shape = self._dataset.shape
        if shape is None or len(shape) not in (2, 3):
            raise FrameBroken(f"{where} has shape {shape}; expected [frames, rows, columns], or one frame [rows, columns]")
        rows, columns = shape[-2:]
        chunk = self._dataset.chunks or ()
        largest = max(rows * columns, int(np.prod(chunk, dtype=object))) * dtype.itemsize
        if not rows * columns or largest > FRAME_LIMIT_BYTES:
            raise FrameBroken(f"{where} has shape {shape} and chunks {chunk} of {dtype}: frames must have pixels and be at most 1 GiB")
        return (rows, columns), dtype

    def _make_slabs(self) -> Slabs:
        return open_slabs(self._dataset, self.frame_shape, self.dtype, self._descriptor, check_end=self.swmr)


def _components(path: str) -> list[str]:
    """Names in a path inside a file, last one first."""
    return [name for name in path.split("/") if name not in ("", ".")][::-1]


def _superblock_flags(descriptor: int) -> int:
    """Consistency flags of an HDF5 file: 1 open for writing, 4 by a SWMR writer; 0 where the format is too old to have them."""
    head = os.pread(descriptor, 12, 0)
    return head[11] if len(head) == 12 and head.startswith(_SIGNATURE) and head[8] >= 3 else 0
