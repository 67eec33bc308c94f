"""Shapes on the detector other than rectangles, and which pixels lie in them.

A pixel belongs to a shape if its centre lies inside. The centre of the pixel in row 3 and column 5 is at ``(3, 5)``, as LiberTEM and
scipy.ndimage have it: the frame reaches from -0.5 to its length less 0.5. Shapes may reach over the frame's edges and are clipped to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Point = tuple[float, float]
"""Row, column; in pixels."""

MAX_COORDINATE = 1_000_000
"""Pixels; further out there is no detector, and squares of it stay far from the end of float64."""
MIN_RADIUS = 0.001
"""Pixels; a smaller radius holds one centre at most, and its square could vanish."""
MAX_VERTICES = 1_000
"""Of a polygon: its mask costs a step for each edge and each row the edge crosses."""


class Shape(Protocol):
    """What lies inside, whatever the frame's shape. Immutable, hashable, and picklable by the name of its class."""

    def box(self, frame_shape: tuple[int, int], /) -> tuple[slice, slice]:
        """The smallest rectangle known to hold the shape, clipped to the frame; empty if the shape lies outside it."""
        ...

    def inside(self, box: tuple[slice, slice], /) -> Mask:
        """Which pixels of ``box`` lie inside, of the shape of the box."""
        ...

    def describe(self) -> dict[str, Any]:
        """The shape as the start document writes it."""
        ...


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse along rows and columns, its edge included; with equal radii a disk, the bright field of a diffraction pattern."""

    centre: Point
    radii: tuple[float, float]
    """Along rows, along columns; in pixels, above 0."""

    def box(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """See :class:`Shape`."""
        return _around(self.centre, self.radii, frame_shape)

    def inside(self, box: tuple[slice, slice]) -> Mask:
        """``(dr/a)^2 + (dc/b)^2 <= 1`` for a pixel whose centre is dr rows and dc columns from the ellipse's.

        Multiplied out, so that no quotient is rounded; with equal radii ``dr^2 + dc^2 <= a^2``, exactly what an annulus leaves free.
        """
        rows, columns = _squares(self.centre, box)
        height, width = self.radii
        if height == width:
            return rows + columns <= height * height
        return rows * (width * width) + columns * (height * height) <= (height * width) ** 2

    def describe(self) -> dict[str, Any]:
        """See :class:`Shape`."""
        return {"ellipse": {"centre": list(self.centre), "radii": list(self.radii)}}


@dataclass(frozen=True, slots=True)
class Annulus:
    """A ring: further from the centre than ``inner``, at most ``outer`` away; the annular dark field of a diffraction pattern.

    A disk of radius ``inner`` and the ring share no pixel and leave none out between them, as with LiberTEM's masks.
    """

    centre: Point
    inner: float
    """Pixels; 0 for a whole disk, centre and all."""
    outer: float
    """Pixels, above ``inner``."""

    def box(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """See :class:`Shape`."""
        return _around(self.centre, (self.outer, self.outer), frame_shape)

    def inside(self, box: tuple[slice, slice]) -> Mask:
        """``inner^2 < dr^2 + dc^2 <= outer^2`` for a pixel whose centre is dr rows and dc columns from the ring's."""
        rows, columns = _squares(self.centre, box)
        distances = rows + columns
        mask = distances <= self.outer * self.outer
        return mask & (distances > self.inner * self.inner) if self.inner else mask

    def describe(self) -> dict[str, Any]:
        """See :class:`Shape`."""
        return {"annulus": {"centre": list(self.centre), "inner": self.inner, "outer": self.outer}}


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed polygon; where it crosses itself, what lies in an even number of loops is outside (even-odd rule).

    A centre on a left or upper edge is inside, one on a right or lower edge outside: polygons that share an edge share no pixel, and one
    with corners ``(a, c), (a, d), (b, d), (b, c)`` is the rectangle of rows ``[a, b)`` and columns ``[c, d)``.
    """

    vertices: tuple[Point, ...]
    """Three or more; the last is joined to the first."""

    def box(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """See :class:`Shape`."""
        rows, columns = zip(*self.vertices, strict=True)
        return _clipped(min(rows), max(rows), frame_shape[0]), _clipped(min(columns), max(columns), frame_shape[1])

    def inside(self, box: tuple[slice, slice]) -> Mask:
        """A centre is inside if a ray from it to the left crosses the edges an odd number of times."""
        (top, bottom), (left, right) = ((side.start, side.stop) for side in box)
        height, width = bottom - top, right - left
        crossed = np.zeros((height, width + 1), np.bool_)
        """For each row whether an odd number of edges is crossed just before each pixel."""
        for one, other in zip(self.vertices, (*self.vertices[1:], self.vertices[0]), strict=True):
            # Always from the upper end down, so that two polygons round their common edge alike.
            (first, start), (last, stop) = min(one, other), max(one, other)
            rows = np.arange(max(ceil(first), top), min(ceil(last), bottom))
            if len(rows):
                places = np.ceil(start + (rows - first) * (stop - start) / (last - first)) - left  # exact at whole pixels: one rounding
                crossed[rows - top, np.clip(places, 0, width).astype(np.intp)] ^= True
        return np.logical_xor.accumulate(crossed[:, :width], axis=1)

    def describe(self) -> dict[str, Any]:
        """See :class:`Shape`."""
        return {"polygon": [list(vertex) for vertex in self.vertices]}


def _around(centre: Point, radii: tuple[float, float], frame_shape: tuple[int, int]) -> tuple[slice, slice]:
    rows, columns = (_clipped(c - r, c + r, length) for c, r, length in zip(centre, radii, frame_shape, strict=True))
    return rows, columns


def _clipped(low: float, high: float, length: int) -> slice:
    """All pixels with centres from ``low`` to ``high``, both included, and one more at each end, lest a rounded bound cut one off."""
    start = min(max(ceil(low) - 1, 0), length)
    return slice(start, min(max(floor(high) + 2, start), length))


def _squares(centre: Point, box: tuple[slice, slice]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Squared distances of the box's rows and columns from the centre, to be added to each other."""
    rows, columns = (np.arange(side.start, side.stop, dtype=np.float64) - c for c, side in zip(centre, box, strict=True))
    return (rows * rows)[:, np.newaxis], (columns * columns)[np.newaxis, :]
