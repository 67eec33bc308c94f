"""Sliding means: each point with the last few before it, in the order of the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from wpb_stream.core.derived import Map
from wpb_stream.core.geometry import Grid


@dataclass(frozen=True, slots=True)
class SlidingMeans:
    """``sliding.CHANNEL``, of the map's shape: the mean of a point and of the ``points - 1`` before it in the scan.

    Those of them that have been measured, and are finite, count; NaN where the point itself is not. A snaking scan is followed along its
    path, so that the mean goes on at the end of a line with the line after it.
    """

    points: int
    """How many points at most."""
    channels: tuple[str, ...]
    named: bool = True
    """Whether the plan named the channels; else they follow from what there is."""

    key: ClassVar[str] = "wpb.sliding.channels"

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`wpb_stream.core.derived.Derived`."""
        return tuple(f"sliding.{channel}" for channel in self.channels)

    def of(self, channels: tuple[str, ...], grid: Grid) -> tuple[SlidingMeans, None]:
        """See :class:`wpb_stream.core.derived.OfChannels`; they are never too many."""
        return replace(self, channels=channels), None

    def arrays(self, maps: Mapping[str, Map], grid: Grid) -> dict[str, Map]:
        """See :class:`wpb_stream.core.derived.Derived`."""
        path = grid.cells(np.arange(grid.points))
        made: dict[str, Map] = {}
        for channel in self.channels:
            means = np.full(grid.size, np.nan)
            if channel in maps:
                means[path] = _sliding_means(maps[channel].ravel()[path], self.points)
            made[f"sliding.{channel}"] = means.reshape(grid.shape)
        return made


def _sliding_means(values: Map, points: int) -> Map:
    measured = np.isfinite(values)
    window = np.ones(points)
    sums = np.convolve(np.where(measured, values, 0.0), window)[: len(values)]
    counts = np.convolve(measured, window)[: len(values)]
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=measured)
