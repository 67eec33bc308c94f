"""One dataset of an HDF5 file, also while a detector is writing it: entry by entry along its first axis.

The file is the authority: dtype and shape come from it, never from the documents. It may also be hostile: links to other files and raw
external storage are refused before anything is read, and the sources of virtual datasets are opened by us, beneath the roots.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import h5py
import h5py.h5l
import hdf5plugin  # noqa: F401  its import registers the compression filters
import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet, FrameRefused
from wpb_stream.frames.limits import FRAME_LIMIT_BYTES, MAX_AXES, check_numbers
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.slabs import Slabs
from wpb_stream.frames.states import all_fill
from wpb_stream.frames.storage import open_slabs
from wpb_stream.frames.virtual import VirtualSources

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LINK_LIMIT = 16


class Hdf5Dataset:
    """One dataset of one open file. Not thread-safe."""

    def __init__(self, roots: DataRoots, path: Path, dataset: str, single: Callable[[tuple[int, ...], bool], bool], depth: int = 0) -> None:
        """Open it.

        :param path: of the file
        :param dataset: path of the dataset inside the file
        :param single: tells by its shape, and whether it may grow, whether the whole dataset is one entry
        :param depth: virtual datasets that lead here
        :raises FrameNotYet: the file or the dataset is not readable yet
        :raises FrameRefused: the file may not be read, or the dataset leads out of it
        :raises FrameBroken: this is no HDF5 file, or no dataset of numbers
        """
        self.path = path
        self._descriptor = roots.open_path(path)
        self._opened = os.fstat(self._descriptor)
        self._size = self._opened.st_size
        self._file: h5py.File | None = None
        self._virtual: VirtualSources | None = None
        try:
            self._file, self.swmr = self._open()
            self._dataset = self._find(self._file, dataset)
            self.dtype = self._check(dataset)
            self._virtual = VirtualSources.of(self._dataset, path, roots, depth)
            self.shape = self._virtual.shape if self._virtual else self._shape(dataset)
            self.grows = self._virtual is not None or (self._dataset.maxshape or self.shape)[0] != self.shape[0]
            self._single = single(self.shape, self.grows)
            self.entry_shape = self.shape if self._single else self.shape[1:]
            self._check_size(dataset)
            self._slabs = None if self._virtual else self._make_slabs()
        except BaseException:
            self.close()
            raise
        self._count = 1 if self._single else self.shape[0]

    def close(self) -> None:
        """Close the file; the frames handed out stay valid memory."""
        if self._virtual is not None:
            self._virtual.close()
        with suppress(RuntimeError, OSError):  # a damaged file may not even close
            if self._file is not None:
                self._file.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def current(self) -> bool:
        """Whether this is still what lies at the path: not replaced, not truncated, and not rewritten behind a plain (not SWMR) opening."""
        if self._virtual is not None and not self._virtual.current():
            return False
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        if not os.path.samestat(now, self._opened) or now.st_size < self._size:
            return False
        return self.swmr or (now.st_size, now.st_mtime_ns) == (self._opened.st_size, self._opened.st_mtime_ns)

    def entry(self, index: int) -> npt.NDArray[Any]:
        """One entry, shape ``entry_shape``: a view, valid until the next call.

        :raises FrameNotYet: it is beyond the dataset's end, its chunk does not exist, or the writer may not have come to it yet
        :raises FrameBroken: it cannot be decoded, or the dataset can never have it
        """
        if index < 0 or (index > 0 and self._single):
            raise FrameBroken(f"{self.path} cannot have a frame {index}: the dataset has shape {self.shape}")
        if self._virtual is not None:
            return self._virtual.entry(index, self.dtype)
        if index >= self._count:
            self._dataset.refresh()
            self._count = self._entries()
        if index >= self._count:
            raise FrameNotYet(f"{self.path} has {self._count} frames so far, frame {index} is not among them")
        frame = self._read(index)
        size = os.fstat(self._descriptor).st_size
        if size < self._size:  # HDF5 hands out zeros beyond the end of a file
            raise FrameNotYet(f"{self.path} was cut from {self._size} to {size} bytes while frame {index} was read")
        self._size = size
        return frame

    def _read(self, index: int) -> npt.NDArray[Any]:
        assert self._slabs is not None, "what is not virtual has slabs"
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
        assert self._slabs is not None, "what is not virtual has slabs"
        return any(all_fill(frame[tile], self._slabs.fill) for tile in self._slabs.tiles)

    def _being_written(self) -> bool:
        return bool(_superblock_flags(self._descriptor) & 0x01)

    def _entries(self) -> int:
        return 1 if self._single else int(self._dataset.shape[0])

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

    def _check(self, dataset: str) -> np.dtype[Any]:
        where = f"{dataset!r} in {self.path}"
        plist = self._dataset.id.get_create_plist()
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
        check_numbers(dtype, where)
        return dtype

    def _shape(self, dataset: str) -> tuple[int, ...]:
        shape: tuple[int, ...] | None = self._dataset.shape
        if not shape or len(shape) > MAX_AXES:
            raise FrameBroken(f"{dataset!r} in {self.path} has shape {shape}; expected [frames, rows, columns], or alike")
        return shape

    def _check_size(self, dataset: str) -> None:
        chunk = self._dataset.chunks or ()
        pixels = prod(self.entry_shape)
        if not pixels or max(pixels, prod(chunk)) * self.dtype.itemsize > FRAME_LIMIT_BYTES:
            told = f"{dataset!r} in {self.path} has shape {self.shape} and chunks {chunk} of {self.dtype}"
            raise FrameBroken(f"{told}: frames must have pixels and be at most 1 GiB")

    def _make_slabs(self) -> Slabs:
        return open_slabs(self._dataset, self.entry_shape, self.dtype, self._descriptor, check_end=self.swmr)


def _components(path: str) -> list[str]:
    """Names in a path inside a file, last one first."""
    return [name for name in path.split("/") if name not in ("", ".")][::-1]


def _superblock_flags(descriptor: int) -> int:
    """Consistency flags of an HDF5 file: 1 open for writing, 4 by a SWMR writer; 0 where the format is too old to have them."""
    head = os.pread(descriptor, 12, 0)
    return head[11] if len(head) == 12 and head.startswith(_SIGNATURE) and head[8] >= 3 else 0
