"""Arrays made of a run's maps: fits of its lines, a phase, a slice: anew as the maps grow, and from the same maps always the same.

They take nothing but what a point table holds, which is why they are live what they are in Dagster, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

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


@runtime_checkable
class OfChannels(Derived, Protocol):
    """What is made of each of some channels by itself."""

    key: ClassVar[str]
    """Of the ``wpb`` entry that names them."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Which those are."""
        ...

    @property
    def named(self) -> bool:
        """Whether the plan named them; else they follow from what there is."""
        ...

    def of(self, channels: tuple[str, ...], grid: Grid, /) -> tuple[OfChannels, str | None]:
        """The same of other channels, as many as may be; and a sentence on those that are too many, if there are any."""
        ...


def derived_of_scalars(
    derived: Sequence[Derived], channels: Sequence[str], grid: Grid
) -> tuple[tuple[Derived, ...], list[tuple[str, str]]]:
    """What is made of a run's maps, once its values turn out to be numbers of these channels: of each by itself, and no more.

    :returns: that, and what is to be said of channels that a plan named for it and that do not exist, or are too many: codes and sentences
    """
    made: list[Derived] = []
    told: list[tuple[str, str]] = []
    for each in derived:
        if isinstance(each, OfChannels):
            unknown = [name for name in each.channels if each.named and name not in channels]
            known = ", ".join(channels)
            told += [("channel_unknown", f"{each.key}: there is no channel {name[:80]!r}; known are {known}.") for name in unknown]
            kept, left_out = each.of(tuple(name for name in channels if name in each.channels or not each.named), grid)
            if kept.channels:
                made.append(kept)
            if left_out:
                told.append(("arrays_left_out", left_out))
    return tuple(made), told


def grid_of(info: RunInfo) -> Grid:
    """The grid of a run as it is told to clients, with the units that descriptors told: what ``arrays`` is given, live and afterwards.

    :raises ValueError: it has no axes, as nothing is reconstructed of it
    """
    return Grid(tuple(info.shape), tuple(Axis(axis.name, axis.units, axis.start, axis.stop, axis.snaking) for axis in info.axes))
