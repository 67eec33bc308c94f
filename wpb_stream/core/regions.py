"""Regions of interest: rectangles on the detector, resolved once the frame's real shape is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    """A named rectangle: rows (down) by columns (across)."""

    name: str
    rows: Interval = WHOLE
    columns: Interval = WHOLE

    def resolve(self, frame_shape: tuple[int, int]) -> tuple[slice, slice]:
        """The rectangle as slices into a frame of ``frame_shape`` (rows, columns)."""
        return slice(*self.rows.resolve(frame_shape[0])), slice(*self.columns.resolve(frame_shape[1]))

    def describe(self, frame_shape: tuple[int, int] | None = None) -> dict[str, Any]:
        """The region for people and clients: pixels if the frame's shape is known or not needed, else fractions."""

        def side(interval: Interval, length: int | None) -> list[Any]:
            if length is not None:
                return list(interval.resolve(length))
            if interval.parts:
                return [f"{interval.start}/{interval.parts}", f"{interval.stop}/{interval.parts}"]
            return [interval.start, interval.stop]

        height, width = frame_shape or (None, None)
        return {"rows": side(self.rows, height), "columns": side(self.columns, width)}


def thirds(names: tuple[str, str, str] = ("red", "green", "blue")) -> tuple[Region, Region, Region]:
    """The frame's height in three equal bands, top to bottom: what ViSR's own code takes for its colours."""
    first, second, third = (Region(name, rows=Interval(k, k + 1, parts=3)) for k, name in enumerate(names))
    return first, second, third
