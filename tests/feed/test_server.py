"""The feed while the catalogue's database is away, and what one client can cost: a real server, and no database at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.rawfeed import Points
from tests.helpers.serving import Serving, catalogue_away, live, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.exceptions import ServiceError


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server whose catalogue cannot be asked."""
    reader = catalogue_away()
    async with serving_of(reader, tmp_path) as server:
        yield server


@pytest.fixture
async def all_threads_busy() -> AsyncIterator[None]:
    """The event loop's own threads are taken, as by questions nobody answers."""
    loop, over = asyncio.get_running_loop(), threading.Event()
    threads = ThreadPoolExecutor(1)
    loop.set_default_executor(threads)
    taken = loop.run_in_executor(None, over.wait)
    yield
    over.set()
    await taken
    threads.shutdown()


@pytest.mark.parametrize(("path", "status"), [("/", b"200 OK"), ("/app.js", b"200 OK"), ("/healthz", b"200 OK"), ("/no", b"404 Not Found")])
async def test_the_page_and_the_sign_of_life_need_no_thread(serving: Serving, all_threads_busy: None, path: str, status: bytes) -> None:
    assert await serving.get(path) == b"HTTP/1.1 " + status


@pytest.mark.faults
async def test_a_live_run_is_followed_though_database_and_threads_are_away(serving: Serving, all_threads_busy: None) -> None:
    live(serving.board, 5)
    async with serving.client() as client:
        await client.send("subscribe", run="latest")
        assert (await client.receive())["type"] == "run"  # type: ignore[index]
        assert (await client.rows(5))[-1].rows == 5


async def test_questions_to_the_catalogue_take_none_of_the_event_loops_threads(serving: Serving, all_threads_busy: None) -> None:
    async with serving.client() as client:
        assert (await client.answer("list_runs"))["code"] == "internal"
        assert (await client.answer("subscribe", run="finished"))["code"] == "internal"
        assert (await client.answer("get_frame", run="finished", point=0))["code"] == "internal"


async def test_files_to_take_away_take_none_of_the_event_loops_threads_either(serving: Serving, all_threads_busy: None) -> None:
    live(serving.board, 5)
    assert await serving.get("/api/runs/latest/map.npz") == b"HTTP/1.1 200 OK"


async def test_the_board_alone_tells_which_live_run_is_meant_and_leaves_the_rest_to_the_catalogue(serving: Serving) -> None:
    made = live(serving.board, 5)
    assert serving.finder.live("u", "newest") == (made, False)
    assert serving.finder.live("u", "live") == (made, False)
    assert serving.finder.live("u", "live.2") == (made, True)
    assert serving.finder.live("v", "newest") is None
    made.ended = True
    assert serving.finder.live("u", "live") == (made, False)
    assert serving.finder.live("u", "newest") is None, "a newer revision may be in the catalogue"
    with pytest.raises(ServiceError):
        await serving.finder.find("u", "newest")


async def test_a_client_with_as_many_subscriptions_as_it_may_hold_costs_one_turn_and_is_sent_every_row(
    serving: Serving,
) -> None:
    live(serving.board, 60_000)
    async with serving.client() as client:
        for number in range(128):
            await client.send("subscribe", id=number, run="latest")
        (socket,) = serving.server.connections
        most, rows = 0, dict.fromkeys(range(128), 0)
        while min(rows.values()) < 60_000:
            most = max(most, socket.transport.get_write_buffer_size())
            message = await client.receive()
            if isinstance(message, Points):
                assert message.first == rows[message.header["id"]]
                rows[message.header["id"]] += message.rows
    assert most < 2 * 2**20


async def test_without_its_catalogue_the_server_is_alive_and_not_ready(serving: Serving) -> None:
    assert await serving.get("/healthz") == b"HTTP/1.1 200 OK"
    assert await serving.get("/readyz") == b"HTTP/1.1 503 Service Unavailable"
    assert await serving.get("/api/runs") == b"HTTP/1.1 503 Service Unavailable"


async def test_a_catalogue_that_answers_nothing_for_as_long_as_it_may_is_told_all_the_same(tmp_path: Path) -> None:
    with CatalogueReader("postgresql://127.0.0.1:1/none") as reader:
        async with serving_of(reader, tmp_path) as serving, serving.client() as client:
            listing = await client.send("list_runs")
            pinging = await client.send("ping")
            first = await client.receive()
            assert isinstance(first, dict)
            assert (first["type"], first["id"]) == ("pong", pinging), "what needs no catalogue is not held up"
            assert await serving.get("/readyz") == b"HTTP/1.1 503 Service Unavailable"
            told = await client.receive()
            assert isinstance(told, dict)
            assert (told["type"], told["id"], told["code"]) == ("error", listing, "internal")


@pytest.mark.parametrize("served", [False, True])
async def test_messages_are_compressed_only_where_the_settings_have_it_and_the_client_offers_it(served: bool, tmp_path: Path) -> None:
    with CatalogueReader("postgresql://127.0.0.1:1/none") as reader:
        async with serving_of(reader, tmp_path, compression=served) as serving:
            live(serving.board, 500)
            for offered in ("deflate", None):
                async with serving.client(compression=offered) as client:
                    await client.send("subscribe", run="u")
                    (piece,) = await client.rows(500)
                    assert piece.columns["point"].tolist() == list(range(500))
                    assert bool(client.socket.protocol.extensions) is (served and offered is not None)
