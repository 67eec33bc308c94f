"""Arrays in files that a reduction needs beside the frames: named here, without IO; :mod:`wpb_stream.frames.needed` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.shapes import Mask


@dataclass(frozen=True, slots=True)
class FileArray:
    """An array of the frame's shape, in a file."""

    key: str
    """Of the start document's entry that names it, to be told of."""
    uri: str
    mimetype: str
    dataset: str | None = None
    """Where in the file, if files of that type have places."""
    averaged: bool = False
    """Whether there may be several frames, whose mean is meant; else there must be one."""

    def __str__(self) -> str:
        return f"{self.key} ({self.uri}{f' {self.dataset}' if self.dataset else ''})"


@dataclass(frozen=True, slots=True)
class FileMask:
    """A :class:`~wpb_stream.core.shapes.Shape` that lies in a file, before that was read."""

    file: FileArray

    def box(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """See :class:`~wpb_stream.core.shapes.Shape`: the whole frame, for all that is known."""
        return slice(0, frame_shape[0]), slice(0, frame_shape[1])

    def inside(self, box: tuple[slice, slice]) -> Mask:
        """Not known.

        :raises FrameBroken: always
        """
        raise FrameBroken(f"{self.file} was not read before it was needed")

    def describe(self) -> dict[str, Any]:
        """See :class:`~wpb_stream.core.shapes.Shape`."""
        return {"mask_file": self.file.uri} | ({"dataset": self.file.dataset} if self.file.dataset else {})


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A :class:`~wpb_stream.core.shapes.Shape` given pixel by pixel, for frames of its own shape only."""

    file: FileArray
    """Where it was read from."""
    digest: bytes
    """Of the pixels; by it and the file bitmaps are compared."""
    pixels: Mask = field(compare=False, repr=False)
    """Shape (rows, columns)."""

    @classmethod
    def of(cls, file: FileArray, array: npt.NDArray[Any]) -> Bitmap:
        """What is not zero in an array of shape (rows, columns) is inside."""
        pixels = array != 0
        pixels.flags.writeable = False
        return cls(file, blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest(), pixels)

    def box(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """See :class:`~wpb_stream.core.shapes.Shape`.

        :raises FrameBroken: frames have another shape
        """
        check_shape(self.file, self.pixels, frame_shape)
        rows, columns = (np.flatnonzero(self.pixels.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return slice(0, 0), slice(0, 0)
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def inside(self, box: tuple[slice, slice]) -> Mask:
        """See :class:`~wpb_stream.core.shapes.Shape`."""
        return self.pixels[box]

    def describe(self) -> dict[str, Any]:
        """See :class:`~wpb_stream.core.shapes.Shape`."""
        return FileMask(self.file).describe()


def check_shape(file: FileArray, array: npt.NDArray[Any], frame_shape: tuple[int, int]) -> None:
    """An array that is laid over frames must be as large as they are.

    :raises FrameBroken: it is not
    """
    if array.shape != frame_shape:
        held, wanted = (" x ".join(map(str, shape)) for shape in (array.shape, frame_shape))
        raise FrameBroken(f"{file} has {held} pixels, and the frames have {wanted}")
