"""Images that grow with the frames of a run: their mean, their maximum, the last one, the sum of spectra.

A :class:`Tally` of some frames is made where the frames are read, and tallies are merged. What comes out depends on which frames were
taken, never on their order or on how they were parted: integers are summed in 64 bits, floating-point values as :mod:`exactsums` does.
Images are made smaller by whole blocks of pixels, so that a browser can follow; spectra are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.blocks import counts_of, good_pixels, maxima_of, means_of, smaller, sums_of
from wpb_stream.core.exactsums import ExactSums
from wpb_stream.core.masks import NO_BAD_PIXELS, BadPixels
from wpb_stream.core.reduction import shape_of
from wpb_stream.core.slices import Sinograms, Slices

Frame = npt.NDArray[Any]

MAX_IMAGE = 512
"""Rows and columns of an accumulated image, at most."""
MAX_SPECTRA, MAX_SPECTRUM = 64, 16_384
"""Detector elements and channels of summed spectra, at most."""

_SCRATCH = {"bool": "uint16", "uint8": "uint16", "int8": "int16", "uint16": "uint32", "int16": "int32", "uint32": "int64", "int32": "int64"}
"""What frames are added up in, where that is quick; as many as it holds."""
_HELD = {"bool": 257, "uint8": 257, "int8": 255, "uint16": 65_537, "int16": 65_535, "uint32": 2**31, "int32": 2**31}
"""How many frames are certain to fit."""


class Kind(StrEnum):
    """What is accumulated; the value is the name of the array."""

    MEAN = "mean_frame"
    MAXIMUM = "maximum_frame"
    LAST = "last_frame"
    SPECTRUM = "sum_spectrum"


@dataclass(frozen=True, slots=True)
class Accumulation:
    """What is to be accumulated of a run's frames.

    - ``mean_frame``: counts a pixel and frame: the sum over a block and all frames, divided by the number of values summed.
    - ``maximum_frame``: the largest value in the block, in any frame, in counts.
    - ``last_frame``: the mean over the block, in the last frame of the point with the highest number, in counts a pixel.
    - ``sum_spectrum``: the sum over all frames, in counts, value by value (up to ``MAX_SPECTRA`` x ``MAX_SPECTRUM``; block sums beyond).

    Pixels that are bad count nowhere; what has no other is NaN, as is what a NaN of the detector goes into. Frames of up to 32-bit
    integers are summed exactly; each value of wider ones is rounded to float64 first. Images are float32 for frames of 8 and 16 bits
    and of float32, else float64; spectra are float64.
    """

    kinds: tuple[Kind, ...]
    bad: BadPixels = NO_BAD_PIXELS
    slices: Slices | None = None
    """Of a sample that turns, made besides."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays, in the order they were asked for."""
        return (*(kind.value for kind in self.kinds), *(self.slices.names if self.slices else ()))


@dataclass(slots=True, eq=False)
class Tally:
    """What was accumulated of some frames of one run."""

    of: Accumulation
    frames: int = 0
    """How many were taken."""
    differing: bool = False
    """Whether frames of different shapes or types came: there is no array of them all."""
    _shape: tuple[int, int] = (0, 0)
    _dtype: np.dtype[Any] | None = None
    _pending: Frame | None = None
    """Frames added up at full size, where their type allows it: they are made smaller together."""
    _pending_frames: int = 0
    _largest: Frame | None = None
    """Of each pixel, or of each block once it is packed."""
    _packed: bool = False
    _integers: dict[Kind, npt.NDArray[np.int64]] = field(default_factory=dict[Kind, npt.NDArray[np.int64]])
    _floats: dict[Kind, ExactSums] = field(default_factory=dict[Kind, ExactSums])
    _last: tuple[int, Frame] | None = None
    """Point, and block means."""
    _counted: dict[Kind, npt.NDArray[np.int64]] = field(default_factory=dict[Kind, npt.NDArray[np.int64]])
    """Good pixels of each block, once it is packed: a mask as large as a frame need not be sent on."""

    _sinograms: Sinograms | None = field(init=False)

    def __post_init__(self) -> None:
        self._sinograms = Sinograms(self.of.slices) if self.of.slices else None

    def take(self, point: int, frame: Frame) -> None:
        """Take account of a frame of a point for all but ``last_frame``.

        :raises FrameBroken: it is not two-dimensional, or has no numbers
        """
        if not self._alike(shape_of(frame), frame.dtype):
            return
        self.frames += 1
        if self._sinograms is not None:
            self._sinograms.take(point, frame, self._good())
        if Kind.MAXIMUM in self.of.kinds:
            self._largest = frame.copy() if self._largest is None else np.maximum(self._largest, frame, out=self._largest)
        if not {Kind.MEAN, Kind.SPECTRUM} & set(self.of.kinds):
            return
        if frame.dtype.name not in _SCRATCH:
            self._add(frame.astype(np.float64))
            return
        if self._pending is None:
            self._pending = np.zeros(frame.shape, _SCRATCH[frame.dtype.name])
        np.add(self._pending, frame, out=self._pending)
        self._pending_frames += 1
        if self._pending_frames == _HELD[frame.dtype.name]:
            self._flush()

    def take_last(self, point: int, frame: Frame) -> None:
        """Take account of the last frame of a point, for ``last_frame``."""
        if self._alike(shape_of(frame), frame.dtype) and (self._last is None or point >= self._last[0]):
            self._last = point, means_of(sums_of(frame.astype(np.float64), self._good(), self._blocks(Kind.LAST)), self._counts(Kind.LAST))

    def pack(self) -> None:
        """Make it as small as it can be, to be sent on. No frame may be taken after."""
        self._flush()
        if self._largest is not None and not self._packed:
            self._largest = maxima_of(self._largest, self._good(), self._blocks(Kind.MAXIMUM))
        if self._dtype is not None and not self._packed:
            self._counted = {kind: self._counts(kind) for kind in self.of.kinds}
            self.of = replace(self.of, bad=NO_BAD_PIXELS)
            self._packed = True

    def merge(self, other: Tally) -> None:
        """Take account of what another tally of the same accumulation took account of."""
        self.pack()
        other.pack()
        self.differing |= other.differing
        if other._dtype is None or not self._alike(other._shape, other._dtype):
            return
        self._counted = self._counted or other._counted
        self._packed = True
        self.differing |= any(not np.array_equal(counts, other._counted[kind]) for kind, counts in self._counted.items())
        self.frames += other.frames
        if other._largest is not None:
            self._largest = other._largest if self._largest is None else np.maximum(self._largest, other._largest)
        for kind, sums in other._integers.items():
            self._integers[kind] = self._integers[kind] + sums if kind in self._integers else sums
        for kind, sums in other._floats.items():
            self._floats.setdefault(kind, ExactSums(smaller(self._shape, self._blocks(kind)))).merge(sums)
        if self._sinograms is not None and other._sinograms is not None:
            self._sinograms.merge(other._sinograms)
        if other._last is not None and (self._last is None or other._last[0] >= self._last[0]):
            self._last = other._last

    def arrays(self) -> dict[str, Frame]:
        """The arrays so far; none before the first frame, or if frames differ."""
        self.pack()
        if self._dtype is None or self.differing:
            return {}
        image = np.result_type(self._dtype, np.float32)
        made: dict[str, Frame] = {}
        for kind in self.of.kinds:
            sums = self._integers.get(kind)
            total = sums.astype(np.float64) if sums is not None else self._floats[kind].total() if kind in self._floats else None
            if kind is Kind.MEAN and total is not None:
                made[kind] = means_of(total, self.frames * self._counts(kind)).astype(image)
            elif kind is Kind.SPECTRUM and total is not None:
                made[kind] = np.where(self._counts(kind) > 0, total, np.nan)
            elif kind is Kind.MAXIMUM and self._largest is not None:
                # Of 0 and -0, and of several kinds of NaN, whichever came first would be kept.
                made[kind] = np.where(np.isnan(self._largest), np.nan, self._largest + 0.0).astype(image)
            elif kind is Kind.LAST and self._last is not None:
                made[kind] = self._last[1].astype(image)
        return {**made, **(self._sinograms.arrays() if self._sinograms is not None else {})}

    def _alike(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> bool:
        if self._dtype is None:
            self._shape, self._dtype = shape, dtype.newbyteorder("=")
        self.differing |= (shape, dtype.newbyteorder("=")) != (self._shape, self._dtype)
        return not self.differing

    def _flush(self) -> None:
        if self._pending is not None and self._pending_frames:
            self._add(self._pending)
            self._pending, self._pending_frames = None, 0

    def _add(self, values: Frame) -> None:
        for kind in self.of.kinds:
            if kind in (Kind.MEAN, Kind.SPECTRUM):
                sums = sums_of(values, self._good(), self._blocks(kind))
                if sums.dtype.kind == "f":
                    self._floats.setdefault(kind, ExactSums(sums.shape)).add(sums)
                else:
                    self._integers[kind] = self._integers[kind] + sums if kind in self._integers else sums

    def _blocks(self, kind: Kind) -> tuple[int, int]:
        return _blocks(self._shape, kind is Kind.SPECTRUM)

    def _good(self) -> npt.NDArray[np.bool_] | None:
        return good_pixels(self._shape, self.of.bad) if self.of.bad else None

    def _counts(self, kind: Kind) -> npt.NDArray[np.int64]:
        return self._counted[kind] if self._packed else counts_of(self._shape, self.of.bad, self._blocks(kind))


def merged(tallies: Iterable[Tally | None]) -> Tally | None:
    """One tally of all; None if there is none."""
    made: Tally | None = None
    for tally in tallies:
        if made is None or tally is None:
            made = made or tally
        else:
            made.merge(tally)
    return made


def _blocks(shape: tuple[int, int], spectra: bool) -> tuple[int, int]:
    """Rows and columns of pixels that become one: the same of both for an image, so that it keeps its looks."""
    if spectra:
        return max(1, -(-shape[0] // MAX_SPECTRA)), max(1, -(-shape[1] // MAX_SPECTRUM))
    block = max(1, -(-max(shape) // MAX_IMAGE))
    return block, block
