"""What is accumulated of a run's frames while it grows: each point once, with its newest frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from wpb_stream.core.accumulation import Tally, merged
from wpb_stream.core.window import FrameRef


@dataclass(slots=True)
class Gathered:
    """The tally of a run, and what is still to be done for it to be of the frames that count.

    A maximum cannot be taken back: when a point was measured again, or an older frame of it came late, all is accumulated anew once the
    run is over. Until then the arrays show both.
    """

    _tally: Tally | None = None
    _spoiled: bool = False
    """Whether frames were accumulated in whose place newer ones count."""
    _again: deque[FrameRef] = field(default_factory=deque[FrameRef])
    """The frames that are still to be accumulated once more, for that reason."""

    @property
    def tally(self) -> Tally | None:
        """What is accumulated so far; None before the first frame."""
        return self._tally

    @property
    def differing(self) -> bool:
        """Whether the frames have different shapes or types, and there are no arrays of them."""
        return self._tally is not None and self._tally.differing

    @property
    def complete(self) -> bool:
        """Whether it is of the frames that count, and of no other."""
        return not self._spoiled and not self._again

    @property
    def anew(self) -> bool:
        """Whether it is being accumulated anew, and not of all frames yet."""
        return bool(self._again)

    def add(self, tally: Tally | None, *, spoiled: bool) -> None:
        """Take account of a window.

        :param spoiled: whether there is a frame in it in whose place another counts, or one that takes the place of another
        """
        self._tally = merged([self._tally, tally])
        self._spoiled |= spoiled and self._tally is not None

    def take_again(self, counting: Iterable[FrameRef], most: int) -> list[FrameRef]:
        """Frames to be read and accumulated anew, if some are.

        :param counting: the frames that count
        """
        if self._spoiled and not self._again:
            self._tally, self._spoiled = None, False
            self._again.extend(counting)
        return [self._again.popleft() for _ in range(min(most, len(self._again)))]
