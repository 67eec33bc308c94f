"""Which kinds of files are read, and how each is opened.

Libraries that most beamlines never need are imported when a file asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.hdf5 import hdf5_frames
from wpb_stream.frames.roots import DataRoots


class Frames(Protocol):
    """An open file of frames, or a folder of them; what each mimetype's module offers.

    Whatever the file holds is seen as frames of rows and columns: a number is a frame of 1 x 1, a spectrum one of a single row, a colour
    image the sum of its colours. See :class:`~wpb_stream.frames.entries.EntryFrames`.
    """

    @property
    def frame_shape(self) -> tuple[int, int] | None:
        """Rows, columns; None before a frame was read where only a frame can tell."""
        ...

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Of the frames; None as long as ``frame_shape`` is."""
        ...

    def frames_of(self, index: int) -> Iterator[npt.NDArray[Any]]:
        """The frames that make one index, each of ``frame_shape``: a view that is valid until the next one is asked for.

        :raises FrameNotYet: one of them is not there yet
        :raises FrameBroken: one of them cannot be read, or can never be there
        """
        ...

    def current(self) -> bool:
        """Whether what lies at the path is still what was opened."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


Open = Callable[[DataRoots, StreamFile], Frames]


def _images(roots: DataRoots, file: StreamFile) -> Frames:
    from wpb_stream.frames.sequence import SequenceFrames

    return SequenceFrames(roots, file)


def _npy(roots: DataRoots, file: StreamFile) -> Frames:
    from wpb_stream.frames.npy import npy_frames

    return npy_frames(roots, file)


def _csv(roots: DataRoots, file: StreamFile) -> Frames:
    from wpb_stream.frames.tables import csv_frames

    return csv_frames(roots, file)


def _zarr(roots: DataRoots, file: StreamFile) -> Frames:
    from wpb_stream.frames.zarr import zarr_frames

    return zarr_frames(roots, file)


READERS: Mapping[str, Open] = MappingProxyType(
    {
        "application/x-hdf5": hdf5_frames,
        "application/x-npy": _npy,
        "application/x-zarr": _zarr,
        **dict.fromkeys(("image/tiff", "image/jpeg", "image/png"), _images),
        **{f"multipart/related;type={kind}": _images for kind in ("image/tiff", "image/jpeg", "image/png", "application/x-npy")},
        **dict.fromkeys(("text/csv", "text/csv;header=absent", "text/csv;header=present"), _csv),
    }
)
"""How to open each mimetype, as it is spelt without blanks and capitals."""


def open_frames(roots: DataRoots, file: StreamFile) -> Frames:
    """Open the file of a stream resource.

    :raises FrameError: it cannot be opened (yet), or is of a type that is not read
    """
    mimetype = file.mimetype.lower().replace(" ", "")
    if mimetype not in READERS:
        raise FrameBroken(f"files of type {file.mimetype!r} are not read ({file.uri}); known: {', '.join(READERS)}")
    return READERS[mimetype](roots, replace(file, mimetype=mimetype))
