"""A run that grows: its frames are read window by window, until it is over and nothing is owed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic

import numpy as np

from wpb_stream.catalogue.results import Results
from wpb_stream.core.accumulation import Accumulation
from wpb_stream.core.codes import NOTICES, OTHER
from wpb_stream.core.live import LiveRun
from wpb_stream.core.moment import Made
from wpb_stream.core.reading import Steps, steps
from wpb_stream.core.recipe import Notice
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import FrameRef, FrameStatus, WindowResult
from wpb_stream.failpoints import reached

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a window is read whose reading fails by a fault of ours or of this machine."""
PAUSE_S = 1.0
"""Between two attempts: what was short (memory, processes, file handles) may be there again."""
MOTION_S = 0.5
"""How often clients are told at most how far the motors have come."""
SHOW_S = 1.0
"""How often arrays are made anew at most."""
SAVE_AGAIN_S = 10.0
"""How long to wait before rows that could not be written are written again."""

Reduce = Callable[[Sequence[FrameRef], Reducer, Accumulation | None], Awaitable[WindowResult]]


class Growing:
    """A live run, and what wakes it.

    :param instead_of: what grew of the run until now, which reads no more from here on
    """

    def __init__(self, live: LiveRun, instead_of: Growing | None = None) -> None:
        self.live = live
        if instead_of is not None:
            instead_of.abandon()
        self._abandoned = False
        self._wake = asyncio.Event()
        self._tell_motion_at = 0.0
        self._told = 0
        """Notices that are in the log."""

    def add(self, frames: Sequence[FrameRef], arrived_at: float | None = None) -> None:
        """A document of the run came, and asked for these frames; see :meth:`LiveRun.add`."""
        self.live.add(frames, monotonic(), arrived_at)
        self._tell()
        self._wake.set()

    def miss(self, losses: Sequence[str]) -> None:
        """A bus had let go of messages before they were read, some of which may have been documents of this run."""
        for told in losses:
            log.error("run %s may miss documents: %s", self.live.run.uid, told)
            self.live.run.notice("messages_lost", f"Documents of this run may be lost: {told}.")
        self._tell()

    def abandon(self) -> None:
        """Grow no further: another reconstruction of the run takes this one's place."""
        self._abandoned = True
        self._wake.set()

    def describe(self) -> None:
        """Something is to be told of the plan: at once if its state changed, else now and then, as motors move all the time."""
        run, told = self.live.run, self.live.reconstruction.run.plan
        changed = run.plan is None or told is None or (run.plan.state, run.plan.failed) != (told.state, told.failed)
        if changed or monotonic() >= self._tell_motion_at:
            self._tell_motion_at = monotonic() + MOTION_S
            self.live.describe_again()
        self._tell()

    async def to_its_end(self, reduce: Reduce, changed: Callable[[], None]) -> bool:
        """Read and place windows until the run is over, or this is abandoned.

        :param reduce: reads and reduces one window
        :param changed: called after each change that others may look at
        :returns: whether this is the end of the run: False if it was abandoned
        """
        live = self.live
        while not self._abandoned and not live.finished(monotonic()):
            if live.shows(monotonic()):
                await self._show()
                changed()
            window = live.take(monotonic())
            if window:
                await self._read(window, reduce)
                self._tell()
                changed()
                continue
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), live.due_in(monotonic()))
        return not self._abandoned

    async def _read(self, window: list[FrameRef], reduce: Reduce) -> None:
        """Place one window; when that fails again and again its points are given up, and the run goes on."""
        recipe = self.live.run.recipe
        assert recipe is not None, "frames are only asked for where there is a recipe"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                result = await _read(steps(window, recipe, last=self.live.last_look), reduce)
                break
            except Exception:
                log.exception("run %s: %d frames could not be read (attempt %d of %d)", self.live.run.uid, len(window), attempt, ATTEMPTS)
                await asyncio.sleep(PAUSE_S)
        else:
            self.live.run.notice("internal", "wpb itself failed on frames of this run, whose points stay empty; its log says how.")
            values = np.full((len(window), len(recipe.channels)), np.nan)
            result = WindowResult(values, np.full(len(window), FrameStatus.BROKEN, np.uint8), reason="wpb failed to read it")
        reached("read")
        self.live.place(window, result, monotonic())
        reached("placed")

    async def _show(self) -> None:
        """Have the arrays made, which may take a while, no more than a fifth of the time; none is shown where that fails."""
        began = monotonic()
        try:
            made = await asyncio.to_thread(self.live.moment().made)
        except Exception as error:
            log.exception("run %s: its arrays could not be made", self.live.run.uid)
            made = Made({}, (Notice("arrays_failed", f"What is made of this run beside its maps could not be made: {error!r}."),))
        self.live.show(made, monotonic() + max(SHOW_S, 4 * (monotonic() - began)))

    async def end(self) -> float:
        """Conclude how the run ended, with all its arrays; see :meth:`LiveRun.end`."""
        ended_at = self.live.end()
        if self.live.reconstruction.run.arrays:
            await self._show()
        self._tell()
        return ended_at

    async def saved(self, results: Results, changed: Callable[[], None]) -> str:
        """Save the rows; while they cannot be written (disk full, folder away) the run stays as it is, and says so.

        :returns: the file, as :meth:`Results.save` names it
        """
        made = self.live.reconstruction
        while True:
            try:
                return await asyncio.to_thread(results.save, made.run.uid, made.revision, made.table, made.arrays)
            except OSError as error:
                log.error("run %s cannot be saved (%s); trying again in %g s", made.run.uid, error, SAVE_AGAIN_S)
                self.live.run.notice("not_saved", f"The rows of this run cannot be saved: {error}. wpb tries again until they can.")
                self._tell()
                changed()
                await asyncio.sleep(SAVE_AGAIN_S)

    def _tell(self) -> None:
        """Log and count what those who watch the run are told."""
        new = self.live.run.notices[self._told :]
        self._told += len(new)
        for notice in new:
            level = logging.INFO if notice.code.endswith("_guessed") else logging.WARNING
            # The words may be of hostile documents, and a line of the log must stay one.
            log.log(level, "run %s: %s: %s", self.live.run.uid, notice.code, "".join(c if c.isprintable() else "?" for c in notice.message))
            self.live.counts.notices[notice.code if notice.code in NOTICES else OTHER] += 1


async def _read(asked: Steps, reduce: Reduce) -> WindowResult:
    """Go through the steps of reading a window, as :func:`wpb_stream.core.reading.read_now` does where nothing has to wait."""
    try:
        step = next(asked)
        while True:
            step = asked.send(await reduce(*step))
    except StopIteration as done:
        return done.value
