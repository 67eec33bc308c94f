"""The Python client: what a notebook sees of a run, across everything that can happen to the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Response

from tests.helpers.scans import Scan, scan
from tests.integration.conftest import StreamingProcess, feed_url
from wpb_stream.client import Update, watch
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import ErrorMessage, Reply, RunInfo, RunMessage, Welcome, encode_reply
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration

WAIT_S = 60.0


async def until_rows(updates: AsyncIterator[Update], rows: int) -> Update:
    """The first update with that many rows."""
    async with asyncio.timeout(WAIT_S):
        async for update in updates:
            if update.rows >= rows:
                return update
    raise AssertionError


async def until_stopped(updates: AsyncIterator[Update], uid: str) -> Update:
    """The first update that says that run is over."""
    async with asyncio.timeout(WAIT_S):
        async for update in updates:
            if update.stopped and update.run.uid == uid:
                return update
    raise AssertionError


def assert_is_map_of(update: Update, run: Scan) -> None:
    assert (update.run.uid, update.rows) == (run.uid, run.points)
    for channel in ("red", "green", "blue", "total"):
        np.testing.assert_array_equal(update.map(channel), run.map(channel))


async def test_watching_a_running_scan_gives_growing_numpy_maps_with_nan_where_nothing_was_measured(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), aclosing(watch(feed_url(settings), channels=["total", "red"])) as updates:
        await publish([*run.head, *run.at(0, 5)], settings.sources[0], speed=0)
        half = await until_rows(updates, 5)
        partial = half.map("total")
        measured = np.zeros(12, bool)
        measured[[run.cell(point) for point in range(5)]] = True
        assert (partial.dtype, partial.shape) == (np.dtype(np.float64), (3, 4))
        np.testing.assert_array_equal(np.isnan(partial), ~measured.reshape(3, 4))
        np.testing.assert_array_equal(partial.ravel()[measured], run.map("total").ravel()[measured])
        assert half.stopped is None
        assert half.table.channels == ("red", "total")

        await publish([*run.at(5, 12), run.stop], settings.sources[0], speed=0)
        done = await until_stopped(updates, run.uid)
        np.testing.assert_array_equal(done.map("red"), run.map("red"))
        assert half.rows == 5
        np.testing.assert_array_equal(half.map("total"), partial, "an update that is kept stays as it was")
        assert (done.stopped and done.stopped.exit_status, done.run.status) == ("success", "success")


async def test_every_row_is_new_in_exactly_one_update(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    new: list[int] = []
    async with streaming(settings), aclosing(watch(feed_url(settings))) as updates, asyncio.timeout(WAIT_S):
        for first in range(0, 12, 3):
            await publish([*(run.head if not first else []), *run.at(first, first + 3)], settings.sources[0], speed=0)
            async for update in updates:
                new.extend(range(update.first_new, update.rows))
                if update.rows >= first + 3:
                    break
    assert new == list(range(12))


async def test_a_run_that_is_over_is_given_whole_to_who_comes_late(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames", exit_status="abort", reason="the beam was lost").write()
    async with streaming(settings):
        await publish(run.documents, settings.sources[0], speed=0)
        async with aclosing(watch(feed_url(settings))) as updates:
            await until_stopped(updates, run.uid)
        async with aclosing(watch(feed_url(settings), run.uid)) as updates:
            late = await until_stopped(updates, run.uid)
    assert_is_map_of(late, run)
    assert late.stopped is not None
    assert (late.run.status, late.stopped.reason) == ("abort", "the beam was lost")


@pytest.mark.faults
async def test_watching_goes_on_across_a_killed_server_and_each_revision_is_whole(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    await streaming_process.serve()
    async with aclosing(watch(feed_url(settings))) as updates:
        await publish([*run.head, *run.at(0, 5)], settings.sources[0], speed=0)
        before = await until_rows(updates, 5)
        await streaming_process.kill()
        await publish([*run.at(5, 12), run.stop], settings.sources[0], speed=0)
        await streaming_process.start()
        after = await until_stopped(updates, run.uid)
    assert (before.revision, after.revision) == ("live", "live.2")
    assert_is_map_of(after, run)


async def test_a_finished_run_is_resumed_across_a_restart_without_its_rows_being_sent_again(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    await streaming_process.serve()
    async with aclosing(watch(feed_url(settings))) as updates:
        await publish(run.documents, settings.sources[0], speed=0)
        before = await until_stopped(updates, run.uid)
        await streaming_process.kill()
        await streaming_process.start()
        async with asyncio.timeout(WAIT_S):
            after = await anext(updates)  # the first that is said on the new connection
    assert (after.first_new, after.revision) == (12, before.revision)
    assert_is_map_of(after, run)


async def test_latest_moves_on_to_each_newer_run(settings: Settings, streaming, tmp_path: Path) -> None:
    runs = [scan(tmp_path / "frames", seed=seed).write() for seed in range(3)]
    async with streaming(settings), aclosing(watch(feed_url(settings), "latest")) as updates:
        for run in runs:
            await publish(run.documents, settings.sources[0], speed=0)
            assert_is_map_of(await until_stopped(updates, run.uid), run)


async def test_latest_that_moved_on_while_the_server_was_away_begins_at_row_0_of_the_newer_run(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    older, newer = scan(tmp_path / "frames", seed=1).write(), scan(tmp_path / "frames", seed=2).write()
    await streaming_process.serve()
    async with aclosing(watch(feed_url(settings))) as updates:
        await publish(older.documents, settings.sources[0], speed=0)
        assert_is_map_of(await until_stopped(updates, older.uid), older)
        await streaming_process.kill()
        await publish(newer.documents, settings.sources[0], speed=0)
        await streaming_process.start()
        assert_is_map_of(await until_stopped(updates, newer.uid), newer)


async def test_the_notices_of_a_run_are_in_its_updates_once_each(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    await streaming_process.serve()
    async with aclosing(watch(feed_url(settings))) as updates:
        await publish([*run.head, *run.at(0, 5)], settings.sources[0], speed=0)
        await until_rows(updates, 5)
        await streaming_process.kill()
        await publish([*run.at(5, 12), run.stop], settings.sources[0], speed=0)
        await streaming_process.start()
        done = await until_stopped(updates, run.uid)
    assert [notice.code for notice in done.notices] == ["regions_guessed"]


@pytest.mark.parametrize(
    ("run", "options", "code"),
    [
        ("no such run", {}, "unknown_run"),
        (None, {"channels": ["infrared"]}, "unknown_channel"),
        (None, {"revision": "2f1e"}, "unknown_revision"),
    ],
)
async def test_what_the_server_refuses_is_raised_with_its_code(
    settings: Settings, streaming, tmp_path: Path, run: str | None, options: dict[str, Any], code: str
) -> None:
    finished = scan(tmp_path / "frames").write()
    async with streaming(settings):
        await publish(finished.documents, settings.sources[0], speed=0)
        async with aclosing(watch(feed_url(settings))) as updates:
            await until_stopped(updates, finished.uid)
        async with aclosing(watch(feed_url(settings), run or finished.uid, **options)) as updates:
            with pytest.raises(ProtocolError) as refused:
                await anext(updates)
    assert refused.value.code == code


async def test_an_address_where_no_feed_is_served_is_refused_for_good(settings: Settings, streaming) -> None:
    async with streaming(settings), aclosing(watch(f"ws://{settings.listen}/nothing")) as updates:
        with pytest.raises(ServiceError, match="HTTP 404"):
            await anext(updates)


async def test_a_server_that_ends_in_the_middle_of_a_handshake_is_asked_again() -> None:
    left = asyncio.Event()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Swi")
        writer.close()
        left.set()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with aclosing(watch(f"ws://127.0.0.1:{port}")) as updates, asyncio.TaskGroup() as tasks, asyncio.timeout(WAIT_S):
        first = tasks.create_task(_first(updates))
        await left.wait()
        server.close()
        await server.wait_closed()
        async with serve(_answers(_run), "127.0.0.1", port):
            assert (await first).run.uid == "u"


async def test_a_difficulty_of_the_servers_own_is_no_end() -> None:
    def internal(number: int) -> Reply:
        return ErrorMessage(number, "internal", "The server cannot reach its catalogue at the moment; please try again.")

    async with serve(_answers(internal, internal, _run), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with aclosing(watch(f"ws://127.0.0.1:{port}")) as updates, asyncio.timeout(WAIT_S):
            assert (await anext(updates)).run.uid == "u"


async def test_who_is_one_too_many_asks_again() -> None:
    refusals = iter([HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE])

    async def refuse(socket: ServerConnection, _: object) -> Response | None:
        refusal = next(refusals, None)
        return None if refusal is None else socket.respond(refusal, "later\n")

    async with serve(_answers(_run), "127.0.0.1", 0, process_request=refuse) as server, asyncio.timeout(WAIT_S):
        async with aclosing(watch(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as updates:
            assert (await anext(updates)).run.uid == "u"
    assert next(refusals, None) is None


async def test_who_leaves_closes_the_connection_as_planned() -> None:
    closed = asyncio.get_running_loop().create_future()

    async def serve_one(socket: ServerConnection) -> None:
        await _answers(_run)(socket)
        closed.set_result(socket.close_code)

    async with serve(serve_one, "127.0.0.1", 0) as server, asyncio.timeout(WAIT_S):
        async with aclosing(watch(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as updates:
            await anext(updates)
        assert await closed == 1000


async def _first(updates: AsyncIterator[Update]) -> Update:
    return await anext(updates)


def _run(number: int) -> Reply:
    return RunMessage(number, RunInfo("u", 1, None, "running", None, None, None, [1], [], [], [], None, 0, {}), "live", 0)


def _answers(*answers: Callable[[int], Reply]) -> Callable[[ServerConnection], Awaitable[None]]:
    """Serves connections: to the subscription of each, the next answer."""
    left = iter(answers)

    async def serve_one(socket: ServerConnection) -> None:
        await socket.send(encode_reply(Welcome("0", "s", "now", "u")))
        await socket.send(encode_reply(next(left)(json.loads(await socket.recv())["id"])))
        await socket.wait_closed()

    return serve_one
