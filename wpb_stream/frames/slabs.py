"""From a dataset's storage to its entries along the first axis: chunk by chunk, and never one that is not there.

HDF5 hands out zeros for what has not been written. So each way of reading here knows when a chunk does not exist, and says None.
An *entry* is a frame, a spectrum or a number. A *slab* is what is read at once: all entries that share their chunks.
"""

from __future__ import annotations

import os
from itertools import product
from math import prod
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken

SLAB_LIMIT_BYTES = 2**28
"""Frames that share chunks are read and kept together up to this size, else one by one."""

_TAIL_BYTES = 64
_OVERHEAD_BYTES = 64 * 1024
"""Of a chunk's filters: their headers and tables."""


class Slabs:
    """Contiguous and compact datasets, and the base of the chunked ones: one entry a slab."""

    proves_written = False
    """Whether an entry that could be read was certainly written: not so where storage exists as a whole before its entries do."""

    def __init__(self, dataset: h5py.Dataset, entry: tuple[int, ...], dtype: np.dtype[Any], descriptor: int) -> None:
        self._dataset = dataset
        self._single = dataset.ndim == len(entry)
        self._entry = entry
        self._descriptor = descriptor
        self.dtype = dtype
        self.fill: Any = dtype.type(dataset.fillvalue)
        self.frames = 1
        self.tiles: list[tuple[slice, ...]] = [(np.s_[:],) * len(entry)]
        """Parts of an entry that are written apart from each other."""
        self._held: tuple[int, npt.NDArray[Any]] | None = None

    def frame(self, index: int, count: int, *, again: bool = False) -> npt.NDArray[Any] | None:
        """Frame ``index`` of the ``count`` there are; None if it has no storage yet.

        :param again: read anew even what was just read
        :raises FrameBroken: it has storage, which cannot be read
        """
        slab, offset = divmod(index, self.frames)
        if again or self.frames == 1 or self._held is None or self._held[0] != slab or offset >= len(self._held[1]):
            self._held = None
            data = self._load(slab * self.frames, min((slab + 1) * self.frames, count))
            if data is None:
                return None
            self._held = (slab, data)
        return self._held[1][offset]

    def follows(self, index: int) -> bool:
        """Whether the slab after that of frame ``index`` has storage: writers go forward, so this one is complete."""
        return False

    def _load(self, first: int, stop: int) -> npt.NDArray[Any] | None:
        identifier = self._dataset.id
        if identifier.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS:
            offset = identifier.get_offset()
            if offset is None:
                return None
            if offset + identifier.get_storage_size() > os.fstat(self._descriptor).st_size:
                raise FrameBroken(f"{self._dataset.name!r} ends beyond the end of its file")
        return self._read_through(first, stop)

    def _read_through(self, first: int, stop: int) -> npt.NDArray[Any]:
        """Frames ``first`` to ``stop`` by HDF5's own way, filters and all."""
        data = np.empty((stop - first, *self._entry), self.dtype)
        try:
            self._dataset.read_direct(data[0] if self._single else data, None if self._single else np.s_[first:stop])
        except (OSError, RuntimeError, ValueError) as error:
            raise FrameBroken(f"frames {first} to {stop - 1} of {self._dataset.name!r} cannot be read: {error}") from error
        return data


class ChunkedSlabs(Slabs):
    """Datasets whose chunks are compressed, or tile the entry: each chunk is looked for, then HDF5 reads them."""

    def __init__(self, dataset: h5py.Dataset, entry: tuple[int, ...], dtype: np.dtype[Any], descriptor: int, *, check_end: bool) -> None:
        super().__init__(dataset, entry, dtype, descriptor)
        self._chunk: list[int] = list(dataset.chunks or ())
        self._chunk_bytes = prod(self._chunk) * dataset.dtype.itemsize
        self._check_end = check_end
        self._unfiltered = 0
        """A bit for each filter that the last chunk was written without."""
        in_chunk = 1 if self._single else self._chunk[0]
        self._sides = self._chunk if self._single else self._chunk[1:]
        self._frames_in_chunk = in_chunk
        self.frames = in_chunk if in_chunk * prod(entry) * dtype.itemsize <= SLAB_LIMIT_BYTES else 1
        corners = product(*(range(0, length, side) for length, side in zip(entry, self._sides, strict=True)))
        self.tiles = [tuple(slice(begin, begin + side) for begin, side in zip(corner, self._sides, strict=True)) for corner in corners]
        early = dataset.id.get_create_plist().get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY
        self.proves_written = in_chunk == 1 and not early

    def follows(self, index: int) -> bool:
        """See :meth:`Slabs.follows`."""
        return self._exists(self._offsets((index // self._frames_in_chunk + 1) * self._frames_in_chunk)[0])

    def _load(self, first: int, stop: int) -> npt.NDArray[Any] | None:
        if not all(self._exists(offset) for offset in self._offsets(first)):
            return None
        return self._read_through(first, stop)

    def _offsets(self, first: int) -> list[tuple[int, ...]]:
        """Where the chunks that hold frame ``first`` begin."""
        start = first - first % self._frames_in_chunk
        corners = [tuple(side.start for side in tile) for tile in self.tiles]
        return corners if self._single else [(start, *corner) for corner in corners]

    def _exists(self, offset: tuple[int, ...]) -> bool:
        # Reading the stored bytes is the cheap question: the index of chunks answers in a time that grows with the file.
        return self._stored(offset, None) is not None

    def _stored(self, offset: tuple[int, ...], out: npt.NDArray[np.uint8] | None) -> memoryview | bytes | None:
        """The bytes of a chunk as they lie in the file (in ``out`` if given), or None if it does not exist."""
        try:
            self._unfiltered, stored = self._dataset.id.read_direct_chunk(offset, out=out)
        except (OSError, RuntimeError, ValueError) as error:
            if self._dataset.id.get_chunk_info_by_coord(offset).byte_offset is None:
                return None
            raise FrameBroken(f"the chunk at {offset} of {self._dataset.name!r} cannot be read: {error}") from error
        # No filter makes much more of what it cannot compress: this would be inflated to anything.
        if len(stored) > 2 * self._chunk_bytes + _OVERHEAD_BYTES:
            raise FrameBroken(
                f"the chunk at {offset} of {self._dataset.name!r} is stored in {len(stored)} bytes, of {self._chunk_bytes} that it holds"
            )
        # Zeros at its end may be what HDF5 reads beyond the end of a file.
        if self._check_end and not any(stored[-_TAIL_BYTES:]):
            place = self._dataset.id.get_chunk_info_by_coord(offset)
            if place.byte_offset + place.size > os.fstat(self._descriptor).st_size:
                raise FrameBroken(f"the chunk at {offset} of {self._dataset.name!r} ends beyond the end of its file")
        return stored


class DirectSlabs(ChunkedSlabs):
    """Datasets of uncompressed chunks that are each one entry, or several: the bytes are the entries, read without a copy."""

    def __init__(self, dataset: h5py.Dataset, entry: tuple[int, ...], dtype: np.dtype[Any], descriptor: int, *, check_end: bool) -> None:
        super().__init__(dataset, entry, dtype, descriptor, check_end=check_end)
        self.frames = self._frames_in_chunk
        self._buffer = np.empty(self.frames * prod(entry) * dtype.itemsize, np.uint8)
        self._view = self._buffer.view(dtype).reshape(self.frames, *entry)

    def _load(self, first: int, stop: int) -> npt.NDArray[Any] | None:
        stored = self._stored(self._offsets(first)[0], self._buffer)
        if stored is None:
            return None
        if len(stored) != len(self._buffer):
            raise FrameBroken(f"the chunk of frame {first} of {self._dataset.name!r} has {len(stored)} bytes, not {len(self._buffer)}")
        return self._view[: stop - first]
