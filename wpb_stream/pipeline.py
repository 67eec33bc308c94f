"""The walk of the data, top to bottom.

source -> Message -> Document -> Run -> FrameRef -> values -> rows of a PointTable; the feed takes it from there.
Data goes one way: nothing below is called back from further down, and nothing down there can slow what is above it,
but for the database: a document counts only once it is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

from wpb_stream.catalogue.records import Batch, DeadLetter
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.writer import RETRIABLE, CatalogueWriter
from wpb_stream.core.board import Board
from wpb_stream.core.documents import Document, Message, WorkerEvent, parse
from wpb_stream.core.exceptions import DocumentError, ServiceError
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.run import Applied, Runs
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.sources import Source

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = 1.0
"""How long to wait before a service that is away is asked again."""
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
    ) -> None:
        self._sources, self._catalogue, self._readers, self._results = sources, catalogue, readers, results
        self._board, self._pace = board, pace
        self._runs = Runs(recipe_for)
        self._live: dict[str, LiveRun] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._queue: asyncio.Queue[Message] = asyncio.Queue(queue_messages)
        self.messages = self.worker_events = self.dead_letters = 0

    async def run(self) -> None:
        """Walk for ever; ends only by cancellation or by an error that a restart must cure."""
        async with asyncio.TaskGroup() as self._tasks:
            for document in await self._insist(self._catalogue.unfinished):
                await self._apply(document)
            for source in self._sources:
                self._tasks.create_task(self._listen(source), name=f"listen {source.identity}")
            while True:
                await self._take_in(await self._next_messages())

    async def _listen(self, source: Source) -> None:
        """Source -> Message: into a bounded queue, so that a burst waits in the broker rather than in memory."""
        while True:
            try:
                async with source:
                    positions = await self._insist(lambda: self._catalogue.take_over(source.identity))
                    async for messages in source.batches(positions):
                        for message in messages:
                            await self._queue.put(message)
            except ServiceError as error:
                log.warning("%s; trying again", error)
                await asyncio.sleep(RETRY_S)

    async def _next_messages(self) -> list[Message]:
        messages = [await self._queue.get()]
        while not self._queue.empty():
            messages.append(self._queue.get_nowait())
        return messages

    async def _take_in(self, messages: Sequence[Message]) -> None:
        """Message -> Document: identified, then stored together with the position, then applied if it is new."""
        documents: list[Document] = []
        dead_letters: list[DeadLetter] = []
        for message in messages:
            try:
                match parse(message.value):
                    case Document() as document:
                        documents.append(document)
                    case WorkerEvent(kind, body):
                        self.worker_events += 1
                        log.debug("%s event: %s", kind, body)
            except DocumentError as error:
                log.warning("%s position %d goes to the dead letters: %s", message.partition, message.position, error)
                dead_letters.append(DeadLetter(message, str(error)))
        positions = {(message.source, message.partition): message.position + 1 for message in messages}
        batch = Batch([(self._runs.owner(document), document) for document in documents], dead_letters, positions)
        new = await self._insist(lambda: self._catalogue.store(batch))
        self.messages += len(messages)
        self.dead_letters += len(dead_letters)
        for (owner, document), is_new in zip(batch.documents, new, strict=True):
            if is_new:
                await self._apply(document, stored_as=owner)

    async def _apply(self, document: Document, stored_as: str | None = "") -> None:
        """Document -> Run -> FrameRef: what it means for its run, and for the runs of documents that waited for it."""
        for applied in self._runs.apply(document):
            run = applied.run
            if applied.document.name == "start":
                await self._begin(applied)
            if applied.document is not document or stored_as is None:
                await self._insist(lambda: self._catalogue.adopt(run.uid, [applied.document]))  # noqa: B023
            live = self._live.get(run.uid)
            if live is not None:
                live.add(applied.frames, monotonic())
                self._wake[run.uid].set()
                self._board.changed()

    async def _begin(self, applied: Applied) -> None:
        run = applied.run
        live = LiveRun.begin(run, "live", self._pace, monotonic())
        generation = await self._insist(lambda: self._catalogue.begin_run(live.reconstruction.run, float(run.start["time"])))
        if generation > 1:
            live.reconstruction.revision = f"live.{generation}"
        self._live[run.uid], self._wake[run.uid] = live, asyncio.Event()
        self._board.live[run.uid] = live.reconstruction
        if generation == 1 or self._board.latest is None:
            self._board.latest = run.uid
        self._tasks.create_task(self._reconstruct(live), name=f"reconstruct {run.uid}")
        log.info(
            "run %s began: %s, recipe %s, revision %s",
            run.uid,
            run.start.get("plan_name"),
            run.recipe and run.recipe.name,
            live.reconstruction.revision,
        )

    async def _reconstruct(self, live: LiveRun) -> None:
        """FrameRef -> values -> rows: window by window, until the run is over and nothing is owed."""
        wake = self._wake[live.run.uid]
        while not live.finished(monotonic()):
            window = live.take(monotonic())
            if window:
                assert live.run.recipe is not None
                result = await self._readers.reduce(window, live.run.recipe.regions)
                live.place(window, result, monotonic())
                self._board.changed()
                continue
            wake.clear()
            try:
                await asyncio.wait_for(wake.wait(), live.due_in(monotonic()))
            except TimeoutError:
                pass
        await self._end(live)

    async def _end(self, live: LiveRun) -> None:
        ended_at = live.end()
        made = live.reconstruction
        revision = None
        if live.run.recipe is not None:
            file = await asyncio.to_thread(self._results.save, made.run.uid, made.revision, made.table)
            revision = (made.revision, file)
        await self._insist(lambda: self._catalogue.end_run(made.run, ended_at, made.reason, made.notices, revision))
        made.ended = True
        self._board.changed()
        log.info("run %s ended: %s, %d rows, %d points missing", made.run.uid, made.run.status, made.table.rows, len(live.missing))
        for uid in [uid for uid, kept in self._board.live.items() if kept.ended][:-KEPT_ENDED]:
            for place in (self._board.live, self._live, self._wake):
                place.pop(uid)
            self._runs.forget(uid)

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the database until it answers: documents wait, none is lost."""
        while True:
            try:
                return await ask()
            except RETRIABLE as error:
                log.warning("the catalogue's database does not answer (%s); trying again", error)
                await asyncio.sleep(RETRY_S)
