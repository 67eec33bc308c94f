"""The feed's server without a pipeline: runs are put on its board by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import Any

import numpy as np
from websockets.asyncio.server import Server

from tests.helpers.rawfeed import RawClient, raw_client
from wpb_stream.blueapi import BlueApi
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.core.board import Board, Reconstruction
from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo
from wpb_stream.core.table import PointTable
from wpb_stream.dagster_web import DagsterWeb
from wpb_stream.feed.again import Again
from wpb_stream.feed.finder import Finder
from wpb_stream.feed.frames import Frames
from wpb_stream.feed.remaking import Remaking
from wpb_stream.feed.server import Feed
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_stream.settings import load


def catalogue_away() -> CatalogueReader:
    """A catalogue that cannot be asked: a question fails at once, not after ten seconds."""
    reader = CatalogueReader("postgresql://127.0.0.1:1/none")
    reader.close()
    return reader


@dataclass(frozen=True)
class Serving:
    """A server in this event loop."""

    board: Board
    finder: Finder
    server: Server
    results: Results
    feed: Feed

    @property
    def port(self) -> int:
        return self.server.sockets[0].getsockname()[1]

    @property
    def refused(self) -> dict[str, int]:
        """How many connections were not let in, by why."""
        return dict(self.feed._sent.refused)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[RawClient]:
        async with raw_client(self.url, max_queue=1, **options) as client:
            yield client

    async def get(self, path: str, **headers: str) -> bytes:
        """Status line of a plain request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n".encode())
        async with asyncio.timeout(30):
            head = await reader.readline()
            await reader.read()
        writer.close()
        await writer.wait_closed()
        return head.strip()


@asynccontextmanager
async def serving_of(
    reader: CatalogueReader,
    folder: Path,
    tls: SSLContext | None = None,
    dagster: str = "http://127.0.0.1:1",
    blueapi: str | None = None,
    **options: Any,
) -> AsyncIterator[Serving]:
    """A server of this catalogue.

    :param dagster: Dagster's web server; none by default
    :param blueapi: blueapi's server; none is known by default
    :param options: of the feed
    """
    board, results = Board(), Results(folder)
    finder = Finder(board, reader, results)
    async with FrameReaders(DataRoots((folder,)), 1, 5.0) as readers:
        recipe_for = chooser(load().defaults_of)
        remaking = Remaking(finder, reader, recipe_for, DagsterWeb(dagster))
        again = Again(finder, reader, BlueApi(blueapi)) if blueapi else None
        feed = Feed(
            board, finder, results, Frames(board, finder, reader, readers, lambda _: None), "0", remaking=remaking, again=again, **options
        )
        async with feed.serve("127.0.0.1", 0, tls) as server:
            yield Serving(board, finder, server, results, feed)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which nothing was said yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def live(board: Board, rows: int, uid: str = "u", **metadata: Any) -> Reconstruction:
    """Put a run with that many rows on the board."""
    shown = [ChannelInfo("total", "total", "counts", None, None)]
    axes = [AxisInfo("y", "mm", 0.0, rows - 1.0, False), AxisInfo("x", "mm", 0.0, 0.0, False)]
    info = RunInfo(uid, 1, "grid_scan", "running", None, None, "raster", [rows, 1], axes, shown, [], rows, rows, metadata)
    made = Reconstruction(info, "live", PointTable(["total"]), "wpb stream")
    made.table.append(np.arange(rows), np.arange(rows), np.ones((rows, 1)))
    board.live[uid], board.latest = made, uid
    return made
