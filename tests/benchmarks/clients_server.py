"""A server for :mod:`tests.benchmarks.bench_clients`: a scan without end, by the feed or by the bare library. Prints its port."""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path
from time import monotonic

import msgspec
import numpy as np
import numpy.typing as npt
from websockets.asyncio.server import ServerConnection, broadcast, serve

from tests.helpers.serving import serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.binary import encode_points
from wpb_stream.core.board import Board, Reconstruction
from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo
from wpb_stream.core.table import PointTable
from wpb_stream.feed.limits import FeedLimits
from wpb_stream.gateways.publisher import BoardPublisher, connection_to
from wpb_stream.gateways.reader import BoardReader, source_of

CHANNELS = ("red", "green", "total", "made at")
ROWS = 5
"""In each update."""
SHAPE = [1000, 1000]
MANY = 100_000


def scan() -> Reconstruction:
    """A scan that has no rows yet."""
    axes = [AxisInfo(name, "mm", 0.0, size - 1.0, False) for name, size in zip("yx", SHAPE, strict=True)]
    channels = [ChannelInfo(name, name, "counts", None, None) for name in CHANNELS]
    points = SHAPE[0] * SHAPE[1]
    info = RunInfo("f6fd8ab2", 1, "grid_scan", "running", None, None, "raster", SHAPE, axes, channels, [], points, 0, {})
    return Reconstruction(info, "live", PointTable(CHANNELS), "wpb stream")


def value_of(points: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """What is measured at a point."""
    return (points * 31 % 65_521 + 1).astype(np.float64)


def grow(made: Reconstruction) -> None:
    """Append the rows of one update: what was measured, and in the last channel the time."""
    points = np.arange(made.table.rows, made.table.rows + ROWS)
    now = monotonic()
    values = np.repeat(value_of(points)[:, np.newaxis], len(CHANNELS), axis=1)
    values[:, -1] = now
    made.table.append(points, points, values)
    made.arrived.extend([now] * ROWS)


async def ticks(per_s: float, count: float = inf) -> AsyncIterator[None]:
    """So many a second, however long each takes; for ever, or so many in all."""
    due = monotonic()
    while count > 0:
        count -= 1
        yield
        due += 1 / per_s
        await asyncio.sleep(max(0.0, due - monotonic()))


async def wpb(updates_a_s: float, updates: float = inf) -> None:
    """The feed, as the streaming process has it.

    :param updates: after so many the run is over
    """
    limits = FeedLimits(max_connections=MANY, max_connections_per_address=MANY)
    with tempfile.TemporaryDirectory() as folder, CatalogueReader("postgresql://127.0.0.1:1/nobody") as reader:
        async with serving_of(reader, Path(folder), limits=limits) as serving:
            made = scan()
            serving.board.live[made.run.uid], serving.board.latest = made, made.run.uid
            print(serving.port, flush=True)
            async for _ in ticks(updates_a_s, updates):
                grow(made)
                serving.board.changed()
            made.ended, made.run = True, msgspec.structs.replace(made.run, status="success")
            serving.board.changed()
            await asyncio.Event().wait()  # for those who are late


async def published(updates_a_s: float, url: str) -> None:
    """The same scan, of a streaming process that has no clients but its gateways."""
    made, board = scan(), Board()
    board.live[made.run.uid], board.latest = made, made.run.uid
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(BoardPublisher(board, connection_to(url, {}), 1, 3600.0).run())
        async for _ in ticks(updates_a_s):
            grow(made)
            board.changed()


async def gateway(updates_a_s: float, url: str) -> None:
    """The feed, as a gateway has it."""
    limits = FeedLimits(max_connections=MANY, max_connections_per_address=MANY)
    with tempfile.TemporaryDirectory() as folder, CatalogueReader("postgresql://127.0.0.1:1/nobody") as reader:
        async with serving_of(reader, Path(folder), limits=limits) as serving, asyncio.TaskGroup() as tasks:
            topic = BoardReader(source_of(url, {}), serving.board)
            tasks.create_task(topic.run())
            await topic.caught_up()
            print(serving.port, flush=True)


async def bare(updates_a_s: float) -> None:
    """The library's own way to send one message to all: without waiting for any."""
    sockets = set[ServerConnection]()

    async def attend(socket: ServerConnection) -> None:
        sockets.add(socket)
        await socket.wait_closed()

    async with serve(attend, "127.0.0.1", 0, compression=None, subprotocols=["wpb.v1"]) as server:  # type: ignore[list-item]
        print(server.sockets[0].getsockname()[1], flush=True)
        made, first = scan(), 0
        async for _ in ticks(updates_a_s):
            grow(made)
            about = {"subscription": 1, "run": made.run.uid, "revision": made.revision, "first_row": first}
            message = encode_points(made.table.data[first:], **about, points_expected=made.run.points_expected, channels=CHANNELS)
            first = made.table.rows
            broadcast(sockets, message)


if __name__ == "__main__":
    gc.freeze()
    way, updates_a_s, *further = sys.argv[1:]
    if way in ("published", "gateway"):
        asyncio.run({"published": published, "gateway": gateway}[way](float(updates_a_s), *further))
    else:
        asyncio.run({"wpb": wpb, "bare": bare}[way](float(updates_a_s), *map(float, further)))
