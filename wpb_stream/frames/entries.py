"""Frames of anything that has entries along a first axis, by the index of a StreamDatum: HDF5 and Zarr arrays, NPY files, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.layout import layout_of
from wpb_stream.frames.selection import Selection

Single = Callable[[tuple[int, ...], bool], bool]
"""Tells by a dataset's shape, and whether it may grow, whether all of it is one entry."""


class Entries(Protocol):
    """An open dataset, entry by entry along its first axis."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """As it was when it was opened."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its numbers."""
        ...

    @property
    def grows(self) -> bool:
        """Whether its first axis may become longer."""
        ...

    def entry(self, index: int, /) -> npt.NDArray[Any]:
        """One entry: a view, valid until the next call.

        :raises FrameNotYet: it is not there yet
        :raises FrameBroken: it can never be there, or cannot be read
        """
        ...

    def current(self) -> bool:
        """Whether what lies at the path is still what was opened."""
        ...

    def close(self) -> None:
        """Close it; the entries handed out stay valid memory."""
        ...


class EntryFrames:
    """The frames of one dataset, as ``layout`` has them. Not thread-safe."""

    def __init__(self, file: StreamFile, opened: Callable[[Single], Entries]) -> None:
        """Open the dataset.

        :param opened: opens it, and is given what tells whether all of it is one entry
        :raises FrameError: it cannot be opened, or the documents ask for a part of it that there is not
        """
        self._selection = Selection.of(file.parameters)
        self._entries = opened(lambda shape, grows: layout_of(self._selection.shape(shape), file, grows=grows).per_index == 0)
        try:
            self._layout = layout_of(self._selection.shape(self._entries.shape), file, grows=self._entries.grows)
        except BaseException:
            self._entries.close()
            raise
        self.frame_shape = self._layout.frame_shape
        self.dtype: np.dtype[Any] = self._entries.dtype

    def frames_of(self, index: int) -> Iterator[npt.NDArray[Any]]:
        """See :meth:`wpb_stream.frames.reader.Frames.frames_of`."""
        if index < 0 or (index > 0 and not self._layout.per_index):
            raise FrameBroken(f"{self._entries.path} cannot have a frame {index}: the dataset has shape {self._entries.shape}")
        return self._layout.frames(self._selection.entry(self._entries.entry(k)) for k in self._layout.entries(index))

    @property
    def per_index(self) -> int:
        """How many entries make an index; 1 where the whole dataset is one."""
        return self._layout.per_index or 1

    def count(self) -> int:
        """See :class:`wpb_stream.frames.needed.Counted`."""
        return -(-self._entries.shape[0] // self._layout.per_index) if self._layout.per_index else 1

    def current(self) -> bool:
        """See :meth:`wpb_stream.frames.reader.Frames.current`."""
        return self._entries.current()

    def close(self) -> None:
        """See :meth:`wpb_stream.frames.reader.Frames.close`."""
        self._entries.close()
