"""Arrays made of a run's maps: fits of its lines, a phase, a slice: anew as the maps grow, and from the same maps always the same.

They take nothing but what a point table holds, which is why they are live what they are in Dagster, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.messages import RunInfo

Map = npt.NDArray[np.float64]


class Derived(Protocol):
    """One kind of arrays, with its settings. Immutable and hashable."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays it makes, as the feed announces them."""
        ...

    def arrays(self, maps: Mapping[str, Map], grid: Grid, /) -> dict[str, Map]:
        """All of ``names``; never raises for what was measured: what cannot be told is NaN.

        :param maps: each channel as float64 of the grid's shape, NaN where nothing has been measured
        """
        ...


def grid_of(info: RunInfo) -> Grid:
    """The grid of a run as it is told to clients, with the units that descriptors told: what ``arrays`` is given, live and afterwards.

    :raises ValueError: it has no axes, as nothing is reconstructed of it
    """
    return Grid(tuple(info.shape), tuple(Axis(axis.name, axis.units, axis.start, axis.stop, axis.snaking) for axis in info.axes))
