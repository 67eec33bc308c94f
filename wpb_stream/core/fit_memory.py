"""Fits that were made already: a map grows line by line, and most of its lines are what they were a second ago.

Only time is saved: a fit is the same from here as made anew, because it follows from its line alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock

from wpb_stream.core.line_models import Line, LineFit, LineModel, fit_line

REMEMBERED_LINES = 2**15
"""Of all runs together, about 1 kB each."""


class FitMemory:
    """Gives what ``fit`` gives, which it asks once a line. May be called from several threads."""

    def __init__(self, fit: Callable[[LineModel, Line, Line], LineFit | None] = fit_line, lines: int = REMEMBERED_LINES) -> None:
        """Nothing is remembered yet.

        :param lines: how many are remembered; those that nobody asked for longest are forgotten first
        """
        self._fit = fit
        self._lines = lines
        self._known: OrderedDict[tuple[LineModel, bytes], LineFit | None] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, model: LineModel, x: Line, y: Line) -> LineFit | None:
        """See :func:`wpb_stream.core.line_models.fit_line`."""
        key = model, blake2b(x.tobytes() + y.tobytes(), digest_size=16).digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = self._fit(model, x, y)
        with self._lock:
            self._known[key] = found
            while len(self._known) > self._lines:
                self._known.popitem(last=False)
        return found
