"""What stands beside the frames of a point: numbers by which its values are divided, or which are channels of their own.

They are numbers in events, or in datasets that are announced as frames are, and are joined by the number of the point:
:mod:`wpb_stream.core.join`. This module says which, and how the values of a point follow from all that belongs to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.detectors import NO_MAP_STREAMS, stream_of
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.reducers import Measure, Reducer, RegionStatistics, RegionSums, Statistic
from wpb_stream.core.regions import Region

MAX_COMPANIONS = 32
"""Each may be a column of the table and a map in the viewer."""
NUMBERS = ("number", "integer", "boolean")
"""Of a data key's ``dtype``."""

_ADDED = RegionSums((Region("number"),))
_AVERAGED = RegionStatistics((Measure(Region("number"), Statistic.MEAN),))

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Companions:
    """The data keys that are joined to the frames of a run, or to the numbers in its events, and what becomes of them."""

    joined: tuple[str, ...] = ()
    """Those that are channels, after those of the frames."""
    monitor: str | None = None
    """The one that values are divided by."""
    divided: tuple[int, ...] = ()
    """The channels that are divided by it, by their numbers."""
    averaged: frozenset[str] = frozenset()
    """Of which several numbers of one point are averaged; those of all others are added, as frames are."""
    placed_by: tuple[str, ...] = ()
    """Those that tell the place of a point on the map."""

    @property
    def required(self) -> frozenset[str]:
        """Those without which a point is not shown; without one of the others, that channel is NaN there."""
        return frozenset((*self.placed_by, *((self.monitor,) if self.monitor else ())))

    @property
    def data_keys(self) -> tuple[str, ...]:
        """All that are joined, each once."""
        return tuple(dict.fromkeys((*self.joined, *((self.monitor,) if self.monitor else ()))))

    def reducer(self, data_key: str) -> Reducer:
        """What makes one number of those that a dataset holds for one point."""
        return _AVERAGED if data_key in self.averaged else _ADDED

    def values(self, own: Values, beside: Values) -> Values:
        """The values of points: those of the frames, then the joined ones; ``value / monitor`` where that is asked for.

        A monitor that is 0 or not finite makes NaN of what is divided by it.

        :param own: of the frames, shape (points, channels of the frames)
        :param beside: of the companions, shape (points, data keys)
        :returns: shape (points, channels of the frames and joined ones)
        """
        columns = {data_key: beside[:, column] for column, data_key in enumerate(self.data_keys)}
        made = np.column_stack([own, *(columns[data_key] for data_key in self.joined)])
        if self.monitor is not None:
            monitor = columns[self.monitor]
            divisor = np.where(np.isfinite(monitor) & (monitor != 0), monitor, np.nan)
            made[:, list(self.divided)] /= divisor[:, np.newaxis]
        return made


@dataclass(slots=True)
class Origins:
    """Which streams have the data keys that are joined: follows from the descriptors, whatever order they come in.

    The stream of the frames comes first, then the one described first by the time in its descriptor. What Bluesky adds (baselines) and
    its monitors are no points of a scan: their events have numbers of their own.
    """

    _found: dict[str, set[tuple[float, str, str]]] = field(default_factory=dict[str, set[tuple[float, str, str]]])

    def see(self, descriptor: Mapping[str, Any]) -> None:
        """Take in one descriptor."""
        stream = stream_of(descriptor)
        if stream in NO_MAP_STREAMS or stream.endswith("_monitor"):
            return
        for name, told in as_mapping(descriptor["data_keys"]).items():
            if is_number(as_mapping(told)):
                self._found.setdefault(name, set()).add((descriptor["time"], descriptor["uid"], stream))

    def stream(self, data_key: str, preferred: str) -> str | None:
        """The stream that a data key is taken from; None while none that was described has numbers of that name."""
        found = self._found.get(data_key)
        return min((stream != preferred, time, uid, stream) for time, uid, stream in found)[-1] if found else None


def is_number(told: Mapping[str, Any]) -> bool:
    """Whether a data key is a number a point, or in a file several, as its descriptor has it."""
    shape = as_list(told.get("shape")) or []
    if "external" not in told:
        return told.get("dtype") in NUMBERS and not shape
    return (told.get("dtype") in NUMBERS and len(shape) <= 1) or shape == [1]
