"""Reductions that need arrays from files: masks, bad pixels, and dark and flat frames with which each frame is corrected first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import NO_BAD_PIXELS, BadPixels
from wpb_stream.core.needed import Bitmap, FileArray, FileMask, check_shape
from wpb_stream.core.reducers import Frame, Reducer
from wpb_stream.core.reduction import shape_of
from wpb_stream.core.regions import Region

Arrays = Mapping[FileArray, npt.NDArray[Any]]
"""What files hold, each of shape (rows, columns)."""


@runtime_checkable
class NeedsFiles(Protocol):
    """A reducer that reduces nothing before the arrays that it needs were read: once, by whoever reads the frames."""

    @property
    def needs(self) -> tuple[FileArray, ...]:
        """What is to be read."""
        ...

    def bound(self, arrays: Arrays, /) -> Reducer:
        """The reducer for the process that has read all of ``needs``.

        :raises FrameBroken: they are not what was asked for
        """
        ...


class Masked(Reducer, Protocol):
    """A reducer that knows where it looks."""

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions it is made of."""
        ...

    @property
    def bad(self) -> BadPixels:
        """What it leaves out."""
        ...

    def masked(self, regions: tuple[Region, ...], bad: BadPixels, /) -> Reducer:
        """The same with other regions, in their order, and other bad pixels."""
        ...


@dataclass(frozen=True, slots=True)
class WithFiles:
    """A reduction some of whose masks lie in files, or whose frames are corrected with frames that do.

    Each frame becomes ``(frame - dark) / flat``, pixel by pixel in float64, before it is reduced: the usual correction of an offset and
    of unequal gains (J. A. Seibert, J. M. Boone, K. K. Lindfors, Proc. SPIE 3336 (1998) 348). The flat is taken as it is: no dark is
    taken off it, and its mean stays what it is. Bad are pixels whose flat is 0, or whose flat or dark is no finite number.

    Whole numbers up to 2**53 have float64 sums without rounding, so that with a dark of whole numbers and no flat, frames of integers
    of up to 32 bits are reduced as exactly as without.
    """

    reducer: Masked
    bad: FileArray | None = None
    dark: FileArray | None = None
    flat: FileArray | None = None

    @property
    def size(self) -> int:
        """See :class:`wpb_stream.core.reducers.Reducer`."""
        return self.reducer.size

    @property
    def needs(self) -> tuple[FileArray, ...]:
        """See :class:`NeedsFiles`."""
        masks = [region.shape.file for region in self.reducer.regions if isinstance(region.shape, FileMask)]
        others = [file for file in (self.bad, self.dark, self.flat) if file is not None]
        return tuple(dict.fromkeys([*masks, *others]))

    def bound(self, arrays: Arrays) -> Reducer:
        """See :class:`NeedsFiles`."""
        bitmaps: list[Bitmap] = []
        if self.bad is not None:
            bitmaps.append(Bitmap.of(self.bad, arrays[self.bad]))
        for file in (self.dark, self.flat):
            if file is not None:
                unusable = ~np.isfinite(arrays[file])
                bitmaps.append(Bitmap.of(file, unusable | (arrays[file] == 0) if file is self.flat else unusable))
        regions = tuple(_read(region, arrays) for region in self.reducer.regions)
        reducer = self.reducer.masked(regions, replace(self.reducer.bad, bitmaps=tuple(bitmaps)))
        if self.dark is None and self.flat is None:
            return reducer
        return Corrected(reducer, *((file, arrays[file].astype(np.float64)) if file else None for file in (self.dark, self.flat)))

    def values(self, frames: Iterable[Frame]) -> Sequence[float]:
        """Not known before the files were read.

        :raises FrameBroken: always
        """
        raise FrameBroken(f"{', '.join(map(str, self.needs))} was not read before it was needed")


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A reduction of corrected frames, as :class:`WithFiles` says it."""

    reducer: Reducer
    dark: tuple[FileArray, npt.NDArray[np.float64]] | None
    flat: tuple[FileArray, npt.NDArray[np.float64]] | None

    @property
    def size(self) -> int:
        """See :class:`wpb_stream.core.reducers.Reducer`."""
        return self.reducer.size

    def values(self, frames: Iterable[Frame]) -> Sequence[float]:
        """See :class:`wpb_stream.core.reducers.Reducer`.

        :raises FrameBroken: dark or flat have another shape than the frames, or what the reduction itself raises
        """
        return self.reducer.values(self.corrected(frames))

    def corrected(self, frames: Iterable[Frame]) -> Iterator[npt.NDArray[np.float64]]:
        """The frames, each corrected.

        :raises FrameBroken: dark or flat have another shape than they
        """
        for frame in frames:
            shape = shape_of(frame)
            corrected = frame.astype(np.float64)
            with np.errstate(all="ignore"):  # what cannot be divided is among the bad pixels
                for given, apply in ((self.dark, np.subtract), (self.flat, np.divide)):
                    if given is not None:
                        check_shape(*given, shape)
                        apply(corrected, given[1], out=corrected)
            yield corrected


def apart(reducer: Reducer) -> tuple[Reducer, Callable[[Iterable[Frame]], Iterable[Frame]], BadPixels]:
    """A bound reducer in parts: what reduces frames, what they are corrected with first, and the pixels that count nowhere in them."""
    correct: Callable[[Iterable[Frame]], Iterable[Frame]] = _as_they_are
    if isinstance(reducer, Corrected):
        reducer, correct = reducer.reducer, reducer.corrected
    return reducer, correct, reducer.bad if isinstance(reducer, _LeavesOut) else NO_BAD_PIXELS


def _as_they_are(frames: Iterable[Frame]) -> Iterable[Frame]:
    return frames


@runtime_checkable
class _LeavesOut(Protocol):
    @property
    def bad(self) -> BadPixels: ...


def _read(region: Region, arrays: Arrays) -> Region:
    """The region, with the mask that its file holds."""
    if not isinstance(region.shape, FileMask):
        return region
    return replace(region, shape=Bitmap.of(region.shape.file, arrays[region.shape.file]))
