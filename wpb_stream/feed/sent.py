"""What the feed has sent since the process began, and how long after it came."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from wpb_stream.core.board import Reconstruction
from wpb_stream.core.table import PointTable

LAGS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of what lags are counted in; beyond the last there is one more."""


@dataclass(slots=True)
class Sent:
    """Written by the feed alone, read by whoever asks."""

    clients: int = 0
    """Connected now."""
    bytes: int = 0
    """Of all messages to clients."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """Connections that were not let in: by HTTP status, ``tls`` if its handshake was not ended, ``cut`` if too many waited already."""
    errors: Counter[str] = field(default_factory=Counter[str])
    """Requests that were answered with an error, by its code."""
    cut_off: int = 0
    """Clients that took nothing for too long."""
    lags: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(LAGS_S) + 1, np.int64))
    """Rows by their lag, from the arrival of the document that announced them to when they were first sent: of each of ``LAGS_S``, those
    above the one before."""
    lag_s: float = 0.0
    """Sum of all lags."""
    _timed: WeakKeyDictionary[PointTable, int] = field(default_factory=WeakKeyDictionary[PointTable, int])
    """Up to which row each table has been counted."""

    def rows(self, made: Reconstruction, first: int, last: int, waiting_since: float) -> None:
        """Rows ``first`` to ``last`` (exclusive) were sent to a client. Each counts the first time.

        :param waiting_since: when the client asked, by the walk's clock: what had come before then did not lag, nobody wanted it
        """
        timed = self._timed.get(made.table, 0)
        if timed >= last:
            return  # to all clients but the first
        arrived = np.array(made.arrived[max(first, timed) : last])
        lags = monotonic() - arrived[arrived >= waiting_since]
        if not len(lags):
            return
        self._timed[made.table] = last
        self.lags += np.bincount(np.searchsorted(LAGS_S, lags), minlength=len(LAGS_S) + 1)
        self.lag_s += float(lags.sum())
