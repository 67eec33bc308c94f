"""Frames of a Zarr array (format 2 or 3) in a folder, also while it is being written.

Where a chunk is missing, Zarr hands out the fill value. So nothing is read unless all its chunks are there: a frame is late until they are.
Zarr's writers leave out chunks that hold nothing but the fill value, which cannot be told from chunks that have not been written yet;
a detector whose frames may be all zeros must be told to write them (``write_empty_chunks``).

The folder may be hostile: each file in it is opened beneath the roots, and codecs that could run code are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from wpb_stream.core.exceptions import FrameBroken, FrameError, FrameNotYet, FrameRefused
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.entries import EntryFrames, Single
from wpb_stream.frames.limits import check_numbers, check_size
from wpb_stream.frames.rooted_store import RootedStore
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.states import all_fill, state_of

METADATA = ("zarr.json", ".zarray")
METADATA_LIMIT_BYTES = 2**20
CODECS = frozenset(
    {"bytes", "transpose", "sharding_indexed", "crc32c", "crc32", "adler32", "fletcher32", "endian"}
    | {"blosc", "gzip", "zlib", "zstd", "lz4", "lzma", "bz2", "shuffle", "delta"}
)
"""What arrays of numbers are stored with. numcodecs has others that are not for numbers, one of which unpickles."""


class ZarrArray:
    """One array of a folder. Not thread-safe."""

    grows = True

    def __init__(self, roots: DataRoots, folder: Path, name: str, single: Single) -> None:
        """Open it.

        :param name: of the array in the folder, if that holds a group; else empty
        :raises FrameNotYet: it is not there yet
        :raises FrameRefused: it may not be read, or is stored by a codec that may not run
        :raises FrameBroken: it is no array of numbers
        """
        self.path = folder / name if name else folder
        self._store = RootedStore(roots, self.path)
        self._metadata, told = self._read_metadata()
        for codec in _codecs(told):
            if codec not in CODECS:
                raise FrameRefused(f"{self.path} is stored with the codec {codec!r}; read are {', '.join(sorted(CODECS))}")
        self._array: Any = zarr.open_array(self._store, mode="r")
        self.shape: tuple[int, ...] = self._array.shape
        if not self.shape:
            raise FrameBroken(f"{self.path} is a single number; expected [frames, rows, columns], or alike")
        self.dtype: np.dtype[Any] = self._array.dtype
        check_numbers(self.dtype, str(self.path))
        self._single = single(self.shape, True)
        self._stored: tuple[int, ...] = self._array.shards or self._array.chunks
        for shape in (self.shape if self._single else self.shape[1:], self._stored):
            check_size(shape, self.dtype, str(self.path))
        self._fill: Any = self.dtype.type(0 if self._array.fill_value is None else self._array.fill_value)

    def entry(self, index: int) -> npt.NDArray[Any]:
        """See :meth:`wpb_stream.frames.entries.Entries.entry`."""
        if index < 0 or (index > 0 and self._single):
            raise FrameBroken(f"{self.path} cannot have a frame {index}: its array has shape {self.shape}")
        if not self._single and index >= self.shape[0]:
            raise FrameNotYet(f"{self.path} has {self.shape[0]} frames so far, frame {index} is not among them")
        slab = index // self._stored[0]
        for key in self._keys(range(-(-self.shape[0] // self._stored[0])) if self._single else range(slab, slab + 1)):
            if not self._store.has(key):
                raise FrameNotYet(f"{self.path} has room for frame {index}, but its chunk {key} has not been written")
        if self._single:
            return self._read(slice(None))
        entry = self._read(index)
        if self._may_be_unwritten(entry) and not self._follows(index, slab):
            raise FrameNotYet(f"{self.path} holds only the fill value in a part of frame {index} so far")
        return entry

    def current(self) -> bool:
        """See :meth:`wpb_stream.frames.entries.Entries.current`: an array that grew has new metadata."""
        try:
            return state_of(os.stat(self.path / self._metadata[0])) == self._metadata[1]
        except OSError:
            return False

    def close(self) -> None:
        """See :meth:`wpb_stream.frames.entries.Entries.close`: no file is kept open."""

    def _read_metadata(self) -> tuple[tuple[str, tuple[int, ...]], dict[str, Any]]:
        """The metadata file's name and state, and what it says."""
        for name in METADATA:
            try:
                state = state_of(os.stat(self.path / name))
                data = self._store.read(name)
            except OSError:
                continue
            if data is None:
                continue
            if len(data) > METADATA_LIMIT_BYTES:
                raise FrameBroken(f"{self.path / name} has {len(data)} bytes; at most 1 MiB of metadata are read")
            try:
                told = json.loads(data)
            except ValueError as error:
                raise FrameNotYet(f"{self.path / name} is not complete, or damaged: {error}") from error
            if not isinstance(told, dict) or told.get("node_type", "array") != "array":
                raise FrameBroken(f"{self.path} is a Zarr group: the stream resource must name an array in it by 'dataset'")
            return (name, state), told
        if (self.path / ".zgroup").exists():
            raise FrameBroken(f"{self.path} is a Zarr group: the stream resource must name an array in it by 'dataset'")
        raise FrameNotYet(f"{self.path} holds no Zarr array (yet)")

    def _keys(self, slabs: range) -> Iterator[str]:
        """The files of the chunks (or shards) that lie in these places along the first axis."""
        others = (range(-(-length // step)) for length, step in zip(self.shape[1:], self._stored[1:], strict=True))
        for place in product(slabs, *others):
            yield self._array.metadata.encode_chunk_key(place)

    def _read(self, part: int | slice) -> npt.NDArray[Any]:
        try:
            return np.asarray(self._array[part])
        except FrameError:
            raise
        except MemoryError as error:
            raise FrameBroken(f"{self.path} takes more memory than a reader may have: {error}") from error
        except Exception as error:  # a codec raises nearly anything for half a chunk
            raise FrameNotYet(f"{self.path} is not complete, or damaged: {type(error).__name__}: {error}") from error

    def _may_be_unwritten(self, entry: npt.NDArray[Any]) -> bool:
        """Whether a part that is written on its own holds nothing but the fill value, in a file that exists for other parts' sake."""
        if self._stored[0] == 1 and self._array.shards is None:
            return False
        steps = self._array.chunks[1:]
        starts = (range(0, length, step) for length, step in zip(entry.shape, steps, strict=True))
        tiles = (tuple(slice(at, at + step) for at, step in zip(place, steps, strict=True)) for place in product(*starts))
        return any(all_fill(entry[tile], self._fill) for tile in tiles)

    def _follows(self, index: int, slab: int) -> bool:
        """Whether a later frame has been written: writers go forward, so that one is complete."""
        last = min(self.shape[0], (slab + 1) * self._stored[0])
        if index + 1 < last and not all_fill(self._read(slice(index + 1, last)), self._fill):
            return True
        return last < self.shape[0] and any(self._store.has(key) for key in self._keys(range(slab + 1, slab + 2)))


def zarr_frames(roots: DataRoots, file: StreamFile) -> EntryFrames:
    """The frames of the Zarr array that the documents name: the folder itself, or ``dataset`` (older: ``path``) in it.

    :raises FrameError: as :class:`ZarrArray` does
    """
    name = file.parameters.get("dataset") or file.parameters.get("path") or ""
    if not isinstance(name, str) or ".." in name.split("/"):
        raise FrameBroken(f"the stream resource of {file.uri} names its dataset {name!r}; expected the path of an array in the folder")
    return EntryFrames(file, lambda single: ZarrArray(roots, roots.path(file.uri), name.strip("/"), single))


def _codecs(told: dict[str, Any]) -> Iterator[str]:
    """Names of all codecs in an array's metadata; of format 3 those inside of others too."""
    for codec in [told.get("compressor"), *(told.get("filters") or [])]:
        if isinstance(codec, dict):
            yield str(codec.get("id"))
    for codec in told.get("codecs") or []:
        if isinstance(codec, str):
            yield codec.removeprefix("numcodecs.")
        if isinstance(codec, dict):
            yield str(codec.get("name")).removeprefix("numcodecs.")
            within = codec.get("configuration")
            if isinstance(within, dict):
                yield from _codecs(within)
                yield from _codecs({"codecs": within.get("index_codecs")})
