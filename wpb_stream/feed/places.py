"""Where subscriptions stand, so that those whose run has a new revision can be told."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Place:
    """One subscription's run."""

    run: str | None = None
    revised: bool = False
    """Whether the run has had a new revision since the subscription last asked which one is the newest."""

    def look(self, run: str) -> None:
        """The newest revision of that run is about to be asked for: what comes from now on is newer than the answer may be."""
        self.run, self.revised = run, False


class Places:
    """The places of all subscriptions. Nothing is remembered of runs that nobody watches."""

    def __init__(self) -> None:
        self._taken: set[Place] = set()

    def __len__(self) -> int:
        return len(self._taken)

    @contextmanager
    def taken(self) -> Iterator[Place]:
        """One subscription's place, while it lasts."""
        place = Place()
        self._taken.add(place)
        try:
            yield place
        finally:
            self._taken.remove(place)

    def revised(self, runs: Collection[str]) -> bool:
        """These runs have new revisions; gives whether anybody watches one of them."""
        stale = [place for place in self._taken if place.run in runs]
        for place in stale:
            place.revised = True
        return bool(stale)
