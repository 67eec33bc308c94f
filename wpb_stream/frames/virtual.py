"""Virtual datasets, as Odin and Eiger write them: which entry lies where in which source.

HDF5 would follow the sources itself, wherever they lead, and hand out its fill value for what is not there. So the mapping is read,
each source opened by us beneath the allowed roots, and an entry whose source is missing or not written is late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import h5py
import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet, FrameRefused
from wpb_stream.frames.roots import DataRoots

if TYPE_CHECKING:
    from wpb_stream.frames.dataset import Hdf5Dataset

MAX_DEPTH = 4
"""Virtual datasets whose sources are virtual in turn."""
MAX_SOURCES = 10_000
KEPT_OPEN = 16
"""Sources."""


@dataclass(frozen=True, slots=True)
class Slab:
    """A regular selection along one axis: ``count`` blocks of ``block``, ``stride`` apart, the first at ``start``; HDF5's hyperslab."""

    start: int
    stride: int
    count: int | None
    """None: as many as there are."""
    block: int

    def ordinal(self, index: int) -> int | None:
        """Which of the selected places that is; None if it is not selected."""
        number, offset = divmod(index - self.start, self.stride)
        if index < self.start or offset >= self.block or (self.count is not None and number >= self.count):
            return None
        return number * self.block + offset

    def place(self, ordinal: int) -> int:
        """The place of that number."""
        number, offset = divmod(ordinal, self.block)
        return self.start + number * self.stride + offset

    def as_slice(self) -> slice:
        """The selection as one slice.

        :raises FrameRefused: it has gaps
        """
        if self.count is None or (self.count > 1 and self.stride != self.block):
            raise FrameRefused("a virtual dataset scatters the pixels of its sources, which is not read")
        return slice(self.start, self.start + self.count * self.block)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One source of a virtual dataset."""

    file: str
    """As the virtual dataset names it; ``%b`` in it stands for the number of a block."""
    dataset: str
    ours: tuple[Slab, ...]
    theirs: tuple[Slab, ...]

    def source(self, index: int) -> tuple[str, str, int] | None:
        """File, dataset and entry that hold an entry of ours; None if none of this mapping does."""
        ordinal = self.ours[0].ordinal(index)
        if ordinal is None:
            return None
        if "%b" not in self.file + self.dataset:
            return self.file, self.dataset, self.theirs[0].place(ordinal)
        block, within = divmod(ordinal, self.ours[0].block)
        return _numbered(self.file, block), _numbered(self.dataset, block), self.theirs[0].place(within)


class VirtualSources:
    """The sources of one virtual dataset, opened as they are needed."""

    def __init__(self, shape: tuple[int, ...], fill: Any, mappings: tuple[Mapping, ...], path: Path, roots: DataRoots, depth: int) -> None:
        self.shape = shape
        self._fill, self._mappings, self._path, self._roots, self._depth = fill, mappings, path, roots, depth
        self._open: dict[tuple[str, str], Hdf5Dataset] = {}

    @classmethod
    def of(cls, dataset: h5py.Dataset, path: Path, roots: DataRoots, depth: int) -> Self | None:
        """The sources of a dataset; None if it is not virtual.

        :raises FrameRefused: it maps its sources in a way that is not read, or too deeply
        """
        plist = dataset.id.get_create_plist()
        if plist.get_layout() != h5py.h5d.VIRTUAL:
            return None
        if depth >= MAX_DEPTH or plist.get_virtual_count() > MAX_SOURCES:
            raise FrameRefused(
                f"{dataset.name!r} in {path} is a virtual dataset of too many sources, or of sources that are virtual in turn"
            )
        mappings = [_mapping(plist, number) for number in range(plist.get_virtual_count())]
        if not mappings:
            raise FrameBroken(f"{dataset.name!r} in {path} is a virtual dataset without sources")
        # Not dataset.shape: to tell how long it is, HDF5 opens the sources.
        return cls(tuple(plist.get_virtual_vspace(0).shape), dataset.fillvalue, tuple(mappings), path, roots, depth)

    def entry(self, index: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """One entry, put together from its sources.

        :raises FrameError: a source cannot be read (yet)
        """
        out: npt.NDArray[Any] | None = None
        for mapping in self._mappings:
            found = mapping.source(index)
            if found is None:
                continue
            if out is None:
                out = np.full(self.shape[1:], self._fill, dtype)  # gaps between the modules of a detector
            file, dataset, number = found
            part = self._source(file, dataset).entry(number)
            theirs = mapping.theirs[len(mapping.theirs) - part.ndim :] if part.ndim else ()
            try:
                out[tuple(slab.as_slice() for slab in mapping.ours[1:])] = part[tuple(slab.as_slice() for slab in theirs)]
            except (ValueError, IndexError) as error:
                raise FrameBroken(f"{file}, a source of {self._path}, has another shape than was mapped: {error}") from error
        if out is None:
            raise FrameNotYet(f"{self._path} has no source for frame {index} so far")
        return out

    def current(self) -> bool:
        """Whether all open sources are still what lies at their paths; those that are not are let go."""
        for key in [key for key, source in self._open.items() if not source.current()]:
            self._open.pop(key).close()
        return True

    def close(self) -> None:
        """Close the sources."""
        while self._open:
            self._open.popitem()[1].close()

    def _source(self, file: str, dataset: str) -> Hdf5Dataset:
        from wpb_stream.frames.dataset import Hdf5Dataset  # each is made of the other

        key = (file, dataset)
        if key not in self._open:
            self._open[key] = Hdf5Dataset(self._roots, self._place(file), dataset, self._is_single, self._depth + 1)
            while len(self._open) > KEPT_OPEN:
                self._open.pop(next(iter(self._open))).close()
        return self._open[key]

    def _place(self, file: str) -> Path:
        """Where a source lies: beside the virtual dataset, or where its writer's absolute path is mounted here."""
        if file == ".":
            return self._path
        return self._roots.path("file://localhost" + quote(file)) if file.startswith("/") else self._path.parent / file

    def _is_single(self, shape: tuple[int, ...], grows: bool) -> bool:
        return len(shape) == len(self.shape) - 1


def _mapping(plist: Any, number: int) -> Mapping:
    ours = tuple(_slabs(plist.get_virtual_vspace(number)))
    theirs = tuple(_slabs(plist.get_virtual_srcspace(number)))
    if not theirs:  # the whole of a source whose extent was not known
        theirs = tuple(Slab(0, 1, None if slab.count is None else slab.count * slab.block, 1) for slab in ours)
    return Mapping(plist.get_virtual_filename(number), plist.get_virtual_dsetname(number), ours, theirs)


def _slabs(space: Any) -> Iterator[Slab]:
    """The selection in a dataspace, axis by axis."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        for length in space.shape:
            yield Slab(0, 1, int(length), 1)
        return
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        raise FrameRefused("a virtual dataset selects from its sources in a way that is not read: only regular blocks are")
    for start, stride, count, block in zip(*space.get_regular_hyperslab(), strict=True):
        endless = h5py.h5s.UNLIMITED in (int(count), int(block))
        if endless:
            # A block without end is the same as blocks of one that never end.
            unlimited_block = int(block) == h5py.h5s.UNLIMITED
            yield Slab(int(start), 1 if unlimited_block else int(stride), None, 1 if unlimited_block else int(block))
        else:
            yield Slab(int(start), int(block) if count == 1 else int(stride), int(count), int(block))  # one block has no stride


def _numbered(name: str, block: int) -> str:
    return name.replace("%%", "\0").replace("%b", str(block)).replace("\0", "%")
