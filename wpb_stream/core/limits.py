"""Between which values a channel lies, so that a client can choose its colours as the map grows."""

from __future__ import annotations

from math import inf

import msgspec
import numpy as np
import numpy.typing as npt

PERCENTS = (1, 5, 50, 95, 99)
MAX_SAMPLE = 10_000
"""Percentiles of more values are those of every second, every third, ... of them."""
GROWTH = 1.01
"""Percentiles are looked for again once there are so many times as many rows."""


class Limits(msgspec.Struct, frozen=True):
    """Of the finite values of the rows so far; a point that was measured again counts with all its rows."""

    minimum: float
    maximum: float
    percentiles: dict[str, float]
    """By percent, linearly between the two nearest values; up to a hundredth of the rows may be too new to count."""


class RunningLimits:
    """The limits of a column that only grows, at a cost that does not grow with it."""

    def __init__(self) -> None:
        self._rows = self._ranked_rows = 0
        self._low, self._high = inf, -inf
        self._percentiles: dict[str, float] = {}

    def of(self, column: npt.NDArray[np.float64]) -> Limits | None:
        """The limits now; None if no value is finite.

        :param column: all of it, of which what was given before is the beginning
        """
        new = column[self._rows :]
        new = new[np.isfinite(new)]
        self._rows = len(column)
        if new.size:
            self._low, self._high = min(self._low, float(new.min())), max(self._high, float(new.max()))
        if self._low > self._high:
            return None
        if not self._percentiles or self._rows >= GROWTH * self._ranked_rows:
            self._percentiles, self._ranked_rows = _percentiles(column), self._rows
        return Limits(self._low, self._high, self._percentiles)


def _percentiles(column: npt.NDArray[np.float64]) -> dict[str, float]:
    sample = column[:: -(-len(column) // MAX_SAMPLE)]
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return {}
    return dict(zip(map(str, PERCENTS), np.percentile(finite, PERCENTS).tolist(), strict=True))
