"""How fast points arrive."""

from __future__ import annotations

from collections import deque

WINDOW_S = 5.0


class Rate:
    """Rows a second over the last seconds; those that do not come lower it."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, rows: int, now: float) -> None:
        """So many rows there are.

        :param now: seconds, of any clock that does not jump
        """
        if self._seen and rows < self._seen[-1][1]:  # another run, or revision
            self._seen.clear()
        self._seen.append((now, rows))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()

    def per_second(self, now: float) -> float | None:
        """None while too little is known."""
        if not self._seen or now <= self._seen[0][0]:
            return None
        return (self._seen[-1][1] - self._seen[0][1]) / (now - self._seen[0][0])
