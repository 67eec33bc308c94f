"""How often a client is sent an update."""

from __future__ import annotations


class Rhythm:
    """When the next update may go: so many a second in the long run, in step with what comes at about that rate.

    A pause of one interval after each update would lose that step: the first one that is late delays all that follow. So who was late by
    up to one interval may make up for it.

    :param per_s: updates a second
    """

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._next_at = float("-inf")

    def pause_s(self, now: float) -> float:
        """Seconds until the next update may go; 0 if it may go now.

        :param now: by a clock that never goes back, here and below
        """
        return max(0.0, self._next_at - now)

    def beat(self, now: float) -> None:
        """An update went."""
        self._next_at = max(self._next_at, now - self._interval_s) + self._interval_s
