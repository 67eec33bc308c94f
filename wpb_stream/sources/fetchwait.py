"""How long a broker may hold a fetch: as short as is asked for, and as long as it needs to find what there is.

Apache Kafka answers as soon as there is something, whatever it may wait. The embedded broker answers late where it may wait for long; and
where that is shorter than it takes to look through the topic, which is some ten milliseconds for every 20,000 batches in it, it answers for
ever that there is nothing.
"""

from __future__ import annotations

LONGEST_MS = 2000
OF_SILENCE = 0.02
"""Share of the time without a message that the broker may wait: who comes back after a pause is late by no more than that."""
BEHIND_S = 2.0
"""A message that is older when it comes has waited in the bus."""


class FetchWait:
    """The wait of one consumer, in ms.

    :param shortest_ms: while messages come as they are published
    """

    def __init__(self, shortest_ms: int) -> None:
        self._shortest_ms = self.ms = shortest_ms

    def nothing(self, silent_s: float) -> None:
        """Nothing came, for so long by now."""
        self.ms = self._within(max(self.ms, int(1000 * OF_SILENCE * silent_s)))

    def some(self, silent_s: float, age_s: float) -> None:
        """Messages came.

        :param silent_s: time without one before them
        :param age_s: of the oldest
        """
        if age_s <= BEHIND_S:
            self.ms = self._within(self.ms // 2)
            return
        if silent_s > BEHIND_S:
            # They were there all the time, and were not found with less than this.
            self._shortest_ms = self.ms
        self.ms = self._within(2 * self.ms)

    def _within(self, ms: int) -> int:
        return min(LONGEST_MS, max(1, self._shortest_ms, ms))
