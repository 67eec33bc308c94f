"""Two maps compared to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FIRST_SHOWN = 5
Map = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where one channel of two reconstructions differs."""

    channel: str
    cells: int
    """How many cells differ."""
    only_live: int
    """Of these, measured in the live map alone."""
    only_batch: int
    """Of these, measured in the recomputed map alone: the frame came after the live reconstruction had given it up."""
    first: list[tuple[tuple[int, ...], float, float]]
    """The first few: index into the map (slow axis first), live value, recomputed value."""


def differences(live: Mapping[str, Map], batch: Mapping[str, Map]) -> list[Difference]:
    """Channels that differ; empty where all are equal bit for bit. One NaN equals another, whatever its payload.

    :param live: channel to map
    :param batch: the same channels, of the same shape
    """
    found = [_difference(name, live[name], batch[name]) for name in batch]
    return [difference for difference in found if difference.cells]


def _difference(channel: str, live: Map, batch: Map) -> Difference:
    # By their bits, not by ==: -0.0 is not 0.0 here.
    differs = live.view(np.uint64) != batch.view(np.uint64)
    empty_live, empty_batch = np.isnan(live), np.isnan(batch)
    differs &= ~(empty_live & empty_batch)
    first = [tuple(int(number) for number in index) for index in np.argwhere(differs)[:FIRST_SHOWN]]
    return Difference(
        channel,
        int(differs.sum()),
        int((differs & empty_batch).sum()),
        int((differs & empty_live).sum()),
        [(index, float(live[index]), float(batch[index])) for index in first],
    )
