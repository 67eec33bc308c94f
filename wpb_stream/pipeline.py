"""The walk of the data, top to bottom.

source -> Message -> Document -> Run -> FrameRef -> values -> rows of a PointTable; the feed takes it from there.
Data goes one way: nothing below is called back from further down, and nothing down there can slow what is above it,
but for the database: a document counts only once it is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from time import monotonic
from typing import Any

from wpb_stream.catalogue.records import Batch
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.writer import CatalogueWriter, insist
from wpb_stream.core.board import Board
from wpb_stream.core.documents import Arrival, Document, Loss
from wpb_stream.core.intake import sort_out
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.run import Run
from wpb_stream.core.runs import Runs
from wpb_stream.failpoints import reached
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.growing import Growing
from wpb_stream.sources import Source
from wpb_stream.sources.listening import listen

log = logging.getLogger(__name__)

KEPT_ENDED = 20
"""Ended runs kept in memory, for clients that watch them still; older ones are read from the catalogue."""


class Pipeline:
    """Turns messages into growing reconstructions on the board."""

    def __init__(
        self,
        sources: Sequence[Source],
        catalogue: CatalogueWriter,
        readers: FrameReaders,
        results: Results,
        board: Board,
        recipe_for: Callable[[dict[str, Any]], Recipe | None],
        pace: Pace,
        queue_messages: int = 10_000,
        answer_s: float | None = None,
    ) -> None:
        self._sources, self._catalogue, self._readers, self._results = sources, catalogue, readers, results
        self._board, self._pace, self._runs = board, pace, Runs(recipe_for)
        self._growing: dict[str, Growing] = {}
        self._queue: asyncio.Queue[tuple[float, Arrival]] = asyncio.Queue(queue_messages)
        self._counts, self._board.counts.waiting = board.counts, self._queue.qsize
        self._counts.given_up = lambda: self._runs.dropped
        self._insist = partial(insist, counts=self._counts, answer_s=answer_s)
        self._applying = asyncio.Lock()  # a run that is made anew takes in its documents before any newer one
        self.restored = asyncio.Event()
        """Set once the runs that had not ended when the last process did are growing again."""

    async def run(self) -> None:
        """Walk for ever; ends only by cancellation or by an error that a restart must cure."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._insist(self._catalogue.take_over)  # from here on nobody else stores documents that we would not see
            reached("taken_over")
            outdated: set[str] = set()
            for document in await self._insist(self._catalogue.unfinished):
                outdated |= await self._apply(document)
            await self._make_anew(outdated)
            reached("restored")
            self.restored.set()
            for source in self._sources:
                self._tasks.create_task(self._listen(source))
            while True:
                waiting = [await self._queue.get(), *(self._queue.get_nowait() for _ in range(self._queue.qsize()))]
                await self._take_in([message for _, message in waiting], arrived_at=waiting[0][0])

    async def _listen(self, source: Source) -> None:
        """Source -> Message: into a bounded queue, so that a burst waits in the broker rather than in memory."""
        positions = partial(self._insist, lambda: self._catalogue.positions(source.identity))
        async with aclosing(listen(source, positions, self._counts)) as batches:
            async for messages in batches:
                arrived_at = monotonic()
                for message in messages:
                    await self._queue.put((arrived_at, message))

    async def _take_in(self, messages: Sequence[Arrival], arrived_at: float) -> None:
        """Message -> Document: identified, stored together with the positions, then applied if it is new."""
        reached("received")
        intake = sort_out(messages)
        intake.tell(log)
        owned = [(self._runs.owner(document), document) for document in intake.documents]
        new = await self._insist(lambda: self._catalogue.store(Batch(owned, intake.dead_letters, intake.positions, intake.losses)))
        reached("stored")
        for source in self._sources:
            if positions := intake.positions_of(source.identity):
                await source.stored(positions)
        reached("acknowledged")
        self._counts.dead_letters += len(intake.dead_letters)
        async with self._applying:
            outdated: set[str] = set()
            for (owner, document), is_new in zip(owned, new, strict=True):
                if is_new:
                    self._counts.documents[document.name] += 1
                    outdated |= await self._apply(document, arrived_at, stored_with_owner=owner is not None)
            await self._make_anew(outdated)
        self._tell_of(intake.losses)  # also those who watch a run that began only now
        for run in self._runs.plans.told(intake.worker_events):
            self._growing[run.uid].describe()
            self._board.changed()

    def _tell_of(self, losses: Sequence[Loss]) -> None:
        """Whoever watches a run that is not over hears of what was lost meanwhile: some of it may have been of that run."""
        self._counts.losses += len(losses)
        self._counts.lost += sum(loss.messages or 0 for loss in losses)
        for growing in self._growing.values():
            if losses and not growing.live.reconstruction.ended:
                growing.miss([loss.reason for loss in losses])
                self._board.changed()

    async def _apply(self, document: Document, arrived_at: float | None = None, *, stored_with_owner: bool = True) -> set[str]:
        """Document -> Run -> FrameRef, with the documents that waited for it; gives the runs for which it comes too late."""
        together = self._runs.apply(document)
        for applied in together:
            if applied.document.name == "start":
                await self._begin(applied.run)
        for applied in together:  # without a pause: a run all of whose documents have come must not end before its frames are asked for
            self._growing[applied.run.uid].add(applied.frames, arrived_at)
        outdated = {applied.run.uid for applied in together if self._growing[applied.run.uid].live.outdated}
        self._board.changed()
        reached("applied")
        for applied in together:
            if applied.document is not document or not stored_with_owner:
                await self._insist(partial(self._catalogue.adopt, applied.run.uid, [applied.document]))
                reached("adopted")
        if (parent := self._runs.first_to_wait(document)) is not None:
            outdated.update(await self._insist(lambda: self._catalogue.ended_runs_of(parent)))
        return outdated

    async def _begin(self, run: Run) -> None:
        live = LiveRun.begin(run, "live", self._pace, monotonic(), counts=self._counts)
        made = live.reconstruction
        generation = await self._insist(lambda: self._catalogue.begin_run(made.run, float(run.start["time"])))
        reached("begun")
        if generation > 1:
            made.revision = f"live.{generation}"  # rows already sent are gone: clients are told to begin anew
        if generation == 1 or self._board.latest is None:
            self._board.latest = run.uid
        self._growing[run.uid], self._board.live[run.uid] = Growing(live, self._growing.get(run.uid)), made
        if generation > 1:
            self._growing[run.uid].miss(await self._insist(lambda: self._catalogue.losses_during(run.uid)))
        self._tasks.create_task(self._reconstruct(self._growing[run.uid]))
        log.info("run %s began: %s, recipe %s, revision %s", run.uid, made.run.plan_name, made.run.recipe, made.revision)

    async def _make_anew(self, outdated: set[str]) -> None:
        """Documents came too late for what was made of their runs: each is made anew once, however many came together."""
        while outdated:
            uid = outdated.pop()
            log.warning("run %s: documents came too late for what was made of it; it is reconstructed again", uid)
            await self._insist(partial(self._catalogue.adopt, uid, self._runs.waiting(uid)))
            for document in self._runs.anew(uid, await self._insist(partial(self._catalogue.documents, uid))):
                outdated |= await self._apply(document) - {uid}

    async def _reconstruct(self, growing: Growing) -> None:
        """FrameRef -> values -> rows, until the run is over and nothing is owed; then it is kept, and all may see that it ended."""
        if not await growing.to_its_end(partial(self._readers.reduce, run=growing.live.run.uid), self._board.changed):
            return
        live, made = growing.live, growing.live.reconstruction
        ended_at = await growing.end()
        reached("ended")
        file = await growing.saved(self._results, self._board.changed) if made.run.recipe else None
        reached("saved")
        await self._insist(lambda: self._catalogue.end_run(made, ended_at, file))
        reached("kept")
        async with self._applying:
            made.ended = True  # no sooner: it could be forgotten, and with it what came while it was saved
            if live.outdated and self._growing.get(made.run.uid) is growing:
                return await self._make_anew({made.run.uid})
        self._counts.ended[made.run.status] += 1
        self._board.changed()
        log.info("run %s ended: %s, %d rows, %d points missing", made.run.uid, made.run.status, made.table.rows, len(live.missing))
        for uid in self._board.forget_ended(KEPT_ENDED):
            del self._growing[uid]
            self._runs.forget(uid)
