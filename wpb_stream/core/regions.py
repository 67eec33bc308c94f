"""Regions of interest: rectangles and other shapes on the detector, resolved once the frame's real shape is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wpb_stream.core.shapes import Mask, Shape


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open interval along one side of the frame.

    With ``parts`` 0 the bounds are pixels, ``None`` for ``stop`` meaning the end; otherwise they count in
    ``parts``-ths of the side, so that regions can be named before the frame's shape is known.
    """

    start: int = 0
    stop: int | None = None
    parts: int = 0

    def resolve(self, length: int) -> tuple[int, int]:
        """Pixels ``start, stop`` in a side of ``length`` pixels, clipped to it (empty if it lies outside)."""
        stop = length if self.stop is None else self.stop
        if self.parts:
            return length * self.start // self.parts, length * stop // self.parts
        first = min(max(self.start, 0), length)
        return first, min(max(stop, first), length)


WHOLE = Interval()


@dataclass(frozen=True, slots=True)
class Region:
    """A named part of the frame: a rectangle of rows (down) by columns (across), another shape, or all but one of them."""

    name: str
    rows: Interval = WHOLE
    columns: Interval = WHOLE
    shape: Shape | None = None
    """What lies inside instead of the rectangle, which is then the whole frame."""
    outside: bool = False
    """Whether the region is all of the frame that does not lie inside: its complement."""

    @property
    def rectangular(self) -> bool:
        """Whether it is all of one rectangle of pixels, which is faster to sum than what needs a mask."""
        return self.shape is None and not self.outside

    def resolve(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """The smallest rectangle known to hold the region, as slices into a frame of ``frame_shape`` (rows, columns)."""
        if self.outside:
            return slice(0, frame_shape[0]), slice(0, frame_shape[1])
        return self._inner_box(frame_shape)

    def mask(self, frame_shape: tuple[int, int]) -> Mask:
        """Which pixels of the rectangle that :meth:`resolve` gives belong to the region: those whose centre does."""
        box = self._inner_box(frame_shape)
        inside = self.shape.inside(box) if self.shape else np.ones([side.stop - side.start for side in box], np.bool_)
        if not self.outside:
            return inside
        mask = np.ones(frame_shape, np.bool_)
        mask[box] = ~inside
        return mask

    def describe(self, frame_shape: tuple[int, int] | None = None) -> dict[str, Any]:
        """The region for people and clients: pixels if the frame's shape is known or not needed, else fractions.

        A shape is described as it was asked for. ``rows`` and ``columns`` are always there: of a shape they are those of a rectangle
        around it, also where the region is what lies outside.
        """

        def side(interval: Interval, length: int | None) -> list[Any]:
            if length is not None:
                return list(interval.resolve(length))
            if interval.parts:
                return [f"{interval.start}/{interval.parts}", f"{interval.stop}/{interval.parts}"]
            return [interval.start, interval.stop]

        height, width = frame_shape or (None, None)
        told: dict[str, Any] = {"rows": side(self.rows, height), "columns": side(self.columns, width)}
        if self.shape and frame_shape:
            rows, columns = self.shape.box(frame_shape)
            told = {"rows": [rows.start, rows.stop], "columns": [columns.start, columns.stop]}
        return told | (self.shape.describe() if self.shape else {}) | ({"outside": True} if self.outside else {})

    def _inner_box(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """The rectangle, or that around the shape, outside or not."""
        if self.shape:
            return self.shape.box(frame_shape)
        return slice(*self.rows.resolve(frame_shape[0])), slice(*self.columns.resolve(frame_shape[1]))


def thirds(names: tuple[str, str, str] = ("red", "green", "blue")) -> tuple[Region, Region, Region]:
    """The frame's height in three equal bands, top to bottom: what ViSR's own code takes for its colours."""
    first, second, third = (Region(name, rows=Interval(k, k + 1, parts=3)) for k, name in enumerate(names))
    return first, second, third
