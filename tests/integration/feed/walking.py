"""A streaming process in this event loop without processes of its own: cheap to kill and to start again, many times a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import msgspec
from websockets.asyncio.server import Server

from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.board import Board
from wpb_stream.core.documents import Document, Message
from wpb_stream.core.live import Pace
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.feed.finder import Finder
from wpb_stream.feed.frames import Frames
from wpb_stream.feed.server import Feed
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.roots import DataRoots
from wpb_stream.pipeline import Pipeline
from wpb_stream.recipes import chooser

PACE = Pace(window_frames=3, window_seconds=0.001)


class Bus:
    """A bus that keeps what was published, as Kafka does: whoever listens says from where on."""

    def __init__(self) -> None:
        self.url = self.identity = f"bus-{uuid4()}"  # one of its own: positions are kept for each
        self._messages: list[bytes] = []
        self._more = asyncio.Event()

    def publish(self, documents: Sequence[Document]) -> None:
        self._messages += [msgspec.msgpack.encode([document.name, document.doc]) for document in documents]
        self._more.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        at = positions.get("0", 0)
        while True:
            self._more.clear()
            values = self._messages[at:]
            if values:
                yield [Message(self.identity, "0", at + number, value) for number, value in enumerate(values)]
                at += len(values)
            await self._more.wait()

    async def stored(self, positions: Mapping[str, int]) -> None:
        pass

    async def probe(self) -> str:
        return "a test"


class Walk:
    """Pipeline and feed, started and killed as one.

    :param limits: options of the feed
    """

    def __init__(self, database_url: str, folder: Path, bus: Bus, **limits: Any) -> None:
        self._database_url, self._folder, self._bus, self._limits = database_url, folder, bus, limits
        self._stack = AsyncExitStack()
        self._walking: asyncio.Task[None] | None = None
        self._server: Server | None = None

    @property
    def url(self) -> str | None:
        """Where it serves; None while it is not there."""
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws" if self._server else None

    async def start(self) -> None:
        """Serve again, once the runs that were not over are growing again."""
        board, results = Board(), Results(self._folder / "results")
        recipe_for = chooser(lambda _: PlanDefaults())
        reader = self._stack.enter_context(CatalogueReader(self._database_url))
        catalogue = await self._stack.enter_async_context(CatalogueWriter(self._database_url))
        readers = await self._stack.enter_async_context(FrameReaders(DataRoots((self._folder,)), 1, 5.0))
        finder = Finder(board, reader, results)
        board.latest = await asyncio.to_thread(finder.latest)
        pipeline = Pipeline([self._bus], catalogue, readers, results, board, recipe_for, PACE)
        self._walking = asyncio.ensure_future(pipeline.run())
        await pipeline.restored.wait()
        feed = Feed(board, finder, results, Frames(board, finder, reader, readers, recipe_for), "0", **self._limits)
        self._server = await self._stack.enter_async_context(feed.serve("127.0.0.1", 0))

    def check(self) -> None:
        """Raise what ended it, if it was not killed."""
        if self._walking is not None and self._server is not None and self._walking.done():
            self._walking.result()

    async def kill(self) -> None:
        """End in the middle of whatever it does. No client is told; its connection is gone."""
        assert self._server is not None
        assert self._walking is not None
        for socket in list(self._server.connections):
            socket.transport.abort()
        self._walking.cancel()
        with suppress(asyncio.CancelledError):
            await self._walking
        self._server = None
        await self._stack.aclose()
