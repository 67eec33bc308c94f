"""What waits in the server for one client: one turn, whatever the client asked for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from wpb_stream.feed.connection import SMALL_BYTES, Connection

MIB = 2**20


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[ServerConnection, ClientConnection]]:
    """Both ends of a websocket; the client reads nothing before it is asked to."""
    accepted: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def keep(socket: ServerConnection) -> None:
        accepted.set_result(socket)
        await socket.wait_closed()

    async with serve(keep, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None, max_queue=1) as client:
            client.transport.pause_reading()
            yield await accepted, client
            client.transport.abort()  # a client that reads nothing answers no close


async def test_many_who_send_at_once_to_a_client_that_reads_nothing_fill_no_more_than_one_turn() -> None:
    async with pair() as (socket, client):
        connection, made = Connection(socket), itertools.count()

        def messages(number: int) -> Iterator[bytes]:
            next(made)
            yield number.to_bytes(4, "big") + bytes(MIB - 4)

        async with asyncio.TaskGroup() as tasks:
            for number in range(64):
                tasks.create_task(connection.send(messages(number)))
            for _ in range(100):  # without turns, each sender writes as soon as it runs
                await asyncio.sleep(0)
                assert socket.transport.get_write_buffer_size() < 2 * MIB
            assert next(made) < 63, "who waits for its turn must not hold its encoded rows either"
            client.transport.resume_reading()
            received = [int.from_bytes((await client.recv(decode=False))[:4], "big") for _ in range(64)]
        assert received == list(range(64)), "in the order in which they came to send, none lost"


async def test_the_messages_of_one_turn_are_not_torn_apart_by_another() -> None:
    async with pair() as (socket, client):
        connection = Connection(socket)
        async with asyncio.TaskGroup() as tasks:
            for name in "ab":
                tasks.create_task(connection.send([name + "1", bytes(8 * MIB), name + "2"]))
            client.transport.resume_reading()
            messages = [await client.recv() for _ in range(6)]
        assert [message for message in messages if isinstance(message, str)] == ["a1", "a2", "b1", "b2"]


async def test_who_waits_for_its_turn_longer_than_the_bound_is_sent_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpb_stream.feed.connection.SEND_TIMEOUT_S", 0.0)  # over as soon as it is waited for
    async with pair() as (socket, client):
        connection = Connection(socket)
        client.transport.resume_reading()
        async with connection._turn:
            waiting = [asyncio.ensure_future(connection.send([text])) for text in ("first", "second")]
            for _ in range(10):
                await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        await connection.send(["third"])
        async with asyncio.timeout(30):
            assert await client.recv() == "first"
            assert [await client.recv() for _ in range(2)] == ["second", "third"]


async def test_a_client_that_takes_nothing_is_cut_off_and_nobody_waits_for_it_any_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpb_stream.feed.connection.SEND_TIMEOUT_S", 0.05)
    async with pair() as (socket, _):
        connection = Connection(socket)
        results = await asyncio.gather(*(connection.send([bytes(32 * MIB)]) for _ in range(3)), return_exceptions=True)
        assert isinstance(results[0], TimeoutError)
        assert all(isinstance(result, Exception) for result in results)


async def test_of_small_messages_too_no_more_wait_for_a_client_that_takes_nothing_than_of_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpb_stream.feed.connection.SEND_TIMEOUT_S", 0.05)
    async with pair() as (socket, _):
        connection, waiting = Connection(socket), list[int]()

        async def send_small_ones() -> None:
            for _ in range(10_000):
                await connection.send([bytes(SMALL_BYTES)])
                waiting.append(socket.transport.get_write_buffer_size())

        with pytest.raises(TimeoutError):
            await send_small_ones()
        assert max(waiting) < 8 * SMALL_BYTES
