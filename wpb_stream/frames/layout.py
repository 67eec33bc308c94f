"""What one index of a StreamDatum is in a dataset, and how it is seen as frames of rows and columns.

The parameters mean what they mean to Bluesky's consolidators (``bluesky.consolidators``): the descriptor's shape of one datum, with
an older ``multiplier`` worked into it, is either appended to the dataset's first axis (``join_method`` "concat", the default) or one
entry along it ("stack"). Where documents leave open which it is, the dataset's own number of axes says it: the file is the authority.

==============================  ====================  ==================================================================
datum                           dataset               one index is
==============================  ====================  ==================================================================
``[F, h, w]``                   ``[n, h, w]``         F frames of h x w
``[h, w]``                      ``[n, h, w]``         one frame of h x w
``[h, w]``                      ``[n, w]``            one frame: h entries of w
``[F, h, w]``, or not told      ``[h, w]``            the whole dataset, which can have one index only
``[1, n]``, ``[n]``             ``[N, n]``            a spectrum: one frame of 1 x n
``[F, n]``                      ``[N, n]``            F spectra: one frame of F x n
``[]``, ``[1]``                 ``[N]``               a number: one frame of 1 x 1
``[F]``                         ``[N]``               F numbers: one frame of 1 x F
``[1, e, n]``, ``[e, n]``       ``[N, e, n]``         spectra of e elements: one frame of e x n
``[h, w, 3]``, ``[1, h, w, 3]`` ``[N, h, w, 3]``      a colour image: one frame, the sum of its colours
``[3, h, w]``                   ``[N, 3, h, w]``      a colour image: three frames, which are summed
==============================  ====================  ==================================================================

More axes in front are more frames. Where no shape is told, or one that may vary, each entry is one index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.window import StreamFile

MAX_FRAMES_PER_INDEX = 2**20
"""Entries an index above this are not believed."""
COLOURS = (3, 4)
"""Length of a last axis that holds red, green and blue, and may hold transparency."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the entries along a dataset's first axis make indices and frames."""

    per_index: int
    """Entries that make one index; 0 if the whole dataset is index 0."""
    entry: tuple[int, ...]
    """Shape of one entry."""

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows, columns of a frame."""
        if len(self.entry) < 2:
            columns = self.entry[0] if self.entry else self.per_index
            return (self.per_index if self.entry else 1), columns
        entry = self.entry[:-1] if self._coloured else self.entry
        return entry[-2], entry[-1]

    @property
    def _coloured(self) -> bool:
        return len(self.entry) > 2 and self.entry[-1] in COLOURS

    def entries(self, index: int) -> range:
        """The entries that make an index."""
        return range(1) if self.per_index == 0 else range(index * self.per_index, (index + 1) * self.per_index)

    def frames(self, entries: Iterator[npt.NDArray[Any]]) -> Iterator[npt.NDArray[Any]]:
        """The frames in the entries of one index, each of ``frame_shape``."""
        if len(self.entry) == 2:
            yield from entries
        elif len(self.entry) < 2:
            yield np.stack([entry.copy() for entry in entries]).reshape(self.frame_shape)
        else:
            for entry in entries:
                yield from (sum_of_colours(entry) if self._coloured else entry).reshape(-1, *self.frame_shape)


def layout_of(dataset: tuple[int, ...], file: StreamFile, *, grows: bool) -> Layout:
    """The layout of a dataset in a file of which the documents say what they say.

    :param dataset: its shape, at least one axis
    :param grows: whether its first axis may become longer
    """
    shape = datum_shape(file)
    if len(dataset) == 2 and (shape is None or len(shape) >= 3 or (shape == dataset and not grows)):
        return Layout(0, dataset)
    joined = file.parameters.get("join_method")
    stacked = joined == "stack" or (joined != "concat" and shape is not None and len(shape) < len(dataset))
    per_index = 1 if stacked else (multiplier_of(file) or 1) if shape is None else (shape[0] if shape else 1)
    return Layout(per_index if 0 < per_index <= MAX_FRAMES_PER_INDEX else 1, dataset[1:])


def sum_of_colours(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Red, green and blue of each pixel added up, exactly; what a fourth colour says (transparency) is left out.

    :param image: shape (..., 3 or 4)
    :returns: shape (...), of a type that holds the sum
    """
    colours = image[..., :3]
    if colours.dtype.kind == "f":
        return colours.sum(axis=-1, dtype=np.float64)
    if colours.dtype.itemsize >= 4:
        return colours.sum(axis=-1, dtype=np.int64 if colours.dtype.kind == "i" else np.uint64)
    wider = np.dtype(f"{'i' if colours.dtype.kind == 'i' else 'u'}{2 * colours.dtype.itemsize}")
    total = colours[..., 0].astype(wider)
    for k in (1, 2):
        total += colours[..., k]
    return total


def multiplier_of(file: StreamFile) -> int | None:
    """How many frames an index has, as older documents say it; None if they do not, or not believably."""
    multiplier = file.parameters.get("multiplier")
    return multiplier if type(multiplier) is int and multiplier > 0 else None


def datum_shape(file: StreamFile) -> tuple[int, ...] | None:
    """The shape of one datum, the multiplier worked in as Bluesky's consolidators do; None if nothing is told of it."""
    shape, multiplier = file.shape, multiplier_of(file)
    if shape is None or multiplier is None:
        return shape
    if not shape:
        return (multiplier,)
    if shape[0] == multiplier:
        return shape
    return (multiplier, *shape[1:]) if shape[0] == 1 else (multiplier, *shape)
