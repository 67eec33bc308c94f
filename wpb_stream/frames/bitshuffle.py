"""Datasets compressed with bitshuffle and LZ4, as EIGER and most fast detectors write: chunks read as they are, and decompressed by us.

HDF5's own way reads a chunk once more than is needed to know that it exists, and copies what comes out of it; bitshuffle's function, which
hdf5plugin ships as HDF5's filter, can write where the frame is reduced from.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.frames.slabs import ChunkedSlabs

FILTER, LZ4 = 32008, 2
"""Of bitshuffle among HDF5's registered filters, and its number for what compresses what it shuffled."""
_HEADER = 12
"""Bytes before the data: the length of what comes out (8) and of a block of it (4), most significant byte first."""


def _load() -> Callable[..., int] | None:
    # As the module is imported, because a reader process has walls afterwards.
    with suppress(OSError, AttributeError):
        function = ctypes.CDLL(str(Path(hdf5plugin.PLUGIN_PATH) / "libh5bshuf.so")).bshuf_decompress_lz4
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_size_t] * 3], ctypes.c_int64
        return function
    return None


_decompress = _load()


def is_bitshuffled(dataset: h5py.Dataset) -> bool:
    """Whether a dataset is compressed so, and by nothing else."""
    plist = dataset.id.get_create_plist()
    if _decompress is None or plist.get_nfilters() != 1:
        return False
    code, _, settings, _ = plist.get_filter(0)
    return code == FILTER and len(settings) > 4 and (settings[2], settings[4]) == (dataset.dtype.itemsize, LZ4)


class BitshuffleSlabs(ChunkedSlabs):
    """Chunks that are each one entry, or several."""

    def __init__(self, dataset: h5py.Dataset, entry: tuple[int, ...], dtype: np.dtype[Any], descriptor: int, *, check_end: bool) -> None:
        super().__init__(dataset, entry, dtype, descriptor, check_end=check_end)
        self.frames = self._frames_in_chunk
        self._frame_bytes = np.empty(self.frames * prod(entry) * dtype.itemsize, np.uint8)
        self._view = self._frame_bytes.view(dtype).reshape(self.frames, *entry)

    def _load(self, first: int, stop: int) -> npt.NDArray[Any] | None:
        stored = self._stored(self._offsets(first)[0], None)
        if stored is None:
            return None
        chunk = np.frombuffer(stored, np.uint8)
        if self._unfiltered:
            return self._read_through(first, stop)
        length, block = (int.from_bytes(chunk[part].tobytes(), "big") for part in (np.s_[:8], np.s_[8:_HEADER]))
        size = self.dtype.itemsize
        if len(chunk) < _HEADER or length != len(self._frame_bytes) or block % (8 * size):
            told = f"holds {length} bytes in blocks of {block}, not {len(self._frame_bytes)} bytes"
            raise FrameBroken(f"the chunk of frame {first} of {self._dataset.name!r} {told}")
        assert _decompress is not None, "without it nothing fits"
        taken = _decompress(chunk.ctypes.data + _HEADER, self._frame_bytes.ctypes.data, length // size, size, block // size)
        if taken != len(chunk) - _HEADER:
            raise FrameBroken(f"the chunk of frame {first} of {self._dataset.name!r} cannot be decompressed")
        return self._view[: stop - first]
