"""Frames that were not there yet: when to ask for each again, and when its point counts as missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count

from wpb_stream.core.window import FrameRef

FIRST_RETRY_S = 0.02
"""A late frame is asked for again after this long, then after twice as long each time."""
LONGEST_RETRY_S = 1.0
FIRST_LOOK_BACK_S = 10.0
"""A frame that was given up is looked for again after this long, then after twice as long each time, and once when the run is over."""


@dataclass(frozen=True, slots=True, order=True)
class Late:
    """A frame that was not there; ordered by when to ask again."""

    retry_at: float
    turn: int
    """Another one for each, so that no more than these two are compared."""
    ref: FrameRef = field(compare=False)
    give_up_at: float = field(compare=False)
    wait_s: float = field(compare=False)
    missed: bool = field(default=False, compare=False)
    """Whether its point is marked missing already."""


@dataclass(slots=True)
class LateFrames:
    """The late frames of one run. Holds no clock: it is told the time."""

    deadline_s: float
    """A frame that does not appear for this long is missed."""
    _waiting: list[Late] = field(default_factory=list[Late])
    """A heap: there may be as many as points in the scan."""
    _asked: dict[int, Late] = field(default_factory=dict[int, Late])
    """Those of them that are being read now, by the identity of their frame."""
    _turns: Iterator[int] = field(default_factory=count)

    @property
    def none(self) -> bool:
        """Whether there are none, waiting or being read."""
        return not self._waiting and not self._asked

    @property
    def being_read(self) -> bool:
        """Whether any has been given out by :meth:`due`, and not been told of since."""
        return bool(self._asked)

    @property
    def retry_at(self) -> float | None:
        """When the next one is to be asked for; None if none waits."""
        return self._waiting[0].retry_at if self._waiting else None

    def overdue(self, now: float) -> bool:
        """Whether none waits but such as have had their time, and are only looked for."""
        return all(late.give_up_at <= now for late in self._waiting)  # those with time left are asked for soonest, and stand in front

    def due(self, now: float, most: int) -> list[FrameRef]:
        """Those whose time has come, longest waiting first."""
        due: list[FrameRef] = []
        while self._waiting and self._waiting[0].retry_at <= now and len(due) < most:
            late = heappop(self._waiting)
            self._asked[id(late.ref)] = late
            due.append(late.ref)
        return due

    def look_for_all(self, now: float) -> None:
        """Ask for each of them now."""
        self._waiting = [replace(late, retry_at=now) for late in self._waiting]  # equal times, and turns in order: still a heap

    def answered(self, ref: FrameRef) -> Late | None:
        """A frame was looked for; gives how late it was, None if it had not been late."""
        return self._asked.pop(id(ref), None)

    def again(self, ref: FrameRef, late: Late | None, now: float, *, last: bool) -> bool:
        """A frame is not there (still): it is looked for again, more and more seldom once its time is over.

        :param late: what :meth:`answered` gave
        :param last: whether it is not looked for any more
        :returns: whether its time is over as of now, and its point missing
        """
        give_up_at = late.give_up_at if late else now + self.deadline_s
        missed = last or now >= give_up_at
        if not last:
            if missed:
                wait_s = 2 * late.wait_s if late and late.missed else FIRST_LOOK_BACK_S
            else:
                wait_s = min(2 * late.wait_s, LONGEST_RETRY_S) if late else FIRST_RETRY_S
            heappush(self._waiting, Late(now + wait_s, next(self._turns), ref, give_up_at, wait_s, missed))
        return missed and not (late and late.missed)
