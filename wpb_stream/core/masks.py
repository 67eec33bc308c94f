"""Regions resolved for frames of one shape, less the detector's bad pixels; resolved once and kept, as each frame asks for them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from wpb_stream.core.needed import Bitmap, check_shape
from wpb_stream.core.regions import Region
from wpb_stream.core.shapes import Mask

MAX_BAD_PIXELS = 10_000
"""What a start document may name; more are a matter for the detector's own mask."""
MAX_KEPT_BYTES = 256 * 2**20
"""Of masks, a process: a hundred of a frame of 1216 x 1936. Beyond, those unused for longest are made anew when they are asked for."""
_SPARSE = 64
"""A rectangle of whose pixels at most one in so many is bad is summed whole, and the bad ones are subtracted; else a mask is faster."""
_MAX_KEY_BYTES = 256 * 2**10
"""Of what a mask is found by: bad pixels, the vertices of a polygon."""


@dataclass(frozen=True, slots=True)
class BadPixels:
    """Hot and dead pixels, which count nowhere. Kept as bytes, because a reducer is sent and compared once a window and a frame."""

    packed: bytes = b""
    """Row and column of each as int32, sorted, each once."""
    bitmaps: tuple[Bitmap, ...] = ()
    """More of them, as files have them."""

    @classmethod
    def of(cls, pixels: Iterable[tuple[int, int]]) -> BadPixels:
        """The pixels at these (row, column), which are 0 or more and below 2**31."""
        return cls(np.array(sorted(set(pixels)), np.int32).tobytes())

    def __len__(self) -> int:
        """How many are listed."""
        return len(self.packed) // 8

    def __bool__(self) -> bool:
        return bool(self.packed or self.bitmaps)

    def within(self, box: tuple[slice, slice], frame_shape: tuple[int, int]) -> Mask:
        """Which pixels of ``box`` are bad; those outside it, or outside the frame, do not matter.

        :raises FrameBroken: a file has them of frames of another shape
        """
        rows, columns = np.frombuffer(self.packed, np.int32).reshape(-1, 2).T
        here = (box[0].start <= rows) & (rows < box[0].stop) & (box[1].start <= columns) & (columns < box[1].stop)
        mask = np.zeros([side.stop - side.start for side in box], np.bool_)
        mask[rows[here] - box[0].start, columns[here] - box[1].start] = True
        for bitmap in self.bitmaps:
            check_shape(bitmap.file, bitmap.pixels, frame_shape)
            mask |= bitmap.pixels[box]
        return mask


NO_BAD_PIXELS = BadPixels()


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A region in frames of one shape."""

    box: tuple[slice, slice]
    """The rectangle around it."""
    mask: Mask | None
    """Which pixels of the box count; None for all."""
    pixels: int
    """How many count."""
    holes: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None = None
    """Rows and columns, in the frame, of the only pixels of the box that do not count, where it is a rectangle with few bad pixels."""


def area_of(region: Region, frame_shape: tuple[int, int], bad: BadPixels = NO_BAD_PIXELS) -> Area:
    """The region in frames of ``frame_shape``.

    A rectangle without bad pixels costs nothing to speak of. What needs a mask is looked up by value: some microseconds, 0.1 ms for a
    polygon of a thousand vertices.
    """
    if region.rectangular and not bad:
        rows, columns = region.resolve(frame_shape)
        return Area((rows, columns), None, (rows.stop - rows.start) * (columns.stop - columns.start))
    return _kept.area(region, frame_shape, bad)


class Areas:
    """The areas used last, up to a size. Safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.made = 0
        """How many were resolved since the start."""
        self._areas: OrderedDict[tuple[Region, tuple[int, int], BadPixels], Area] = OrderedDict()
        self.kept_bytes = 0
        """What is held now."""
        self._lock = Lock()

    def area(self, region: Region, frame_shape: tuple[int, int], bad: BadPixels) -> Area:
        """The area, resolved now if it is not kept."""
        key = (region, frame_shape, bad)
        with self._lock:
            found = self._areas.get(key)
            if found is not None:
                self._areas.move_to_end(key)
                return found
        made = _resolve(region, frame_shape, bad)
        with self._lock:
            self.made += 1
            if key not in self._areas:
                self._areas[key] = made
                self.kept_bytes += _size(made)
            while self.kept_bytes > self.max_bytes:
                _, oldest = self._areas.popitem(last=False)
                self.kept_bytes -= _size(oldest)
        return made


_kept = Areas(MAX_KEPT_BYTES)


def _resolve(region: Region, frame_shape: tuple[int, int], bad: BadPixels) -> Area:
    box = region.resolve(frame_shape)
    left_out = bad.within(box, frame_shape)
    mask = region.mask(frame_shape) & ~left_out
    mask.flags.writeable = False
    pixels = int(np.count_nonzero(mask))
    holes = None
    if region.rectangular and _SPARSE * (mask.size - pixels) <= mask.size:
        rows, columns = np.nonzero(left_out)
        holes = rows + box[0].start, columns + box[1].start
    return Area(box, None if pixels == mask.size else mask, pixels, holes)


def _size(area: Area) -> int:
    """Bytes it takes at most, with what it is found by."""
    return _MAX_KEY_BYTES + (area.mask.nbytes if area.mask is not None else 0)
