"""Frames of an HDF5 file, by the index of a StreamDatum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.dataset import Hdf5Dataset
from wpb_stream.frames.layout import layout_of
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.selection import Selection


class Hdf5Frames:
    """The frames of one dataset, as ``layout`` has them. Not thread-safe."""

    def __init__(self, roots: DataRoots, file: StreamFile) -> None:
        """Open the file.

        :raises FrameError: as :class:`~wpb_stream.frames.dataset.Hdf5Dataset` does, or the documents do not say which dataset
        """
        path = roots.path(file.uri)
        dataset = file.parameters.get("dataset") or file.parameters.get("path")  # `path` until event-model 1.21
        if not isinstance(dataset, str):
            raise FrameBroken(f"the stream resource of {path} does not say which dataset: its parameters are {sorted(file.parameters)}")
        self._selection = Selection.of(file.parameters)
        self._dataset = Hdf5Dataset(
            roots, path, dataset, lambda shape, grows: layout_of(self._selection.shape(shape), file, grows=grows).per_index == 0
        )
        try:
            self._layout = layout_of(self._selection.shape(self._dataset.shape), file, grows=self._dataset.grows)
        except BaseException:
            self._dataset.close()
            raise
        self.frame_shape = self._layout.frame_shape
        self.dtype: np.dtype[Any] = self._dataset.dtype

    def frames_of(self, index: int) -> Iterator[npt.NDArray[Any]]:
        """See :meth:`wpb_stream.frames.reader.Frames.frames_of`."""
        if index < 0 or (index > 0 and not self._layout.per_index):
            raise FrameBroken(f"{self._dataset.path} cannot have a frame {index}: the dataset has shape {self._dataset.shape}")
        return self._layout.frames(self._selection.entry(self._dataset.entry(k)) for k in self._layout.entries(index))

    def current(self) -> bool:
        """See :meth:`wpb_stream.frames.reader.Frames.current`."""
        return self._dataset.current()

    def close(self) -> None:
        """Close the file; the frames handed out stay valid memory."""
        self._dataset.close()
