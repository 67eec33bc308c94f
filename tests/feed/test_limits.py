"""What clients may ask for at most."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from tests.helpers.serving import connected, live, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.feed.limits import MAX_GUESSERS, Allowance, FeedLimits, Guesses, Seats


def test_requests_may_come_in_a_burst_and_then_as_many_a_second_as_are_allowed() -> None:
    allowance = Allowance(10.0, now=100.0)
    assert [allowance.take(100.0) for _ in range(21)] == [True] * 20 + [False]
    assert [allowance.take(100.25) for _ in range(3)] == [True, True, False]
    assert [allowance.take(500.0) for _ in range(21)] == [True] * 20 + [False]


def test_less_than_one_request_a_second_is_one_every_while() -> None:
    allowance = Allowance(0.1, now=0.0)
    assert [allowance.take(now) for now in (0.0, 5.0, 10.0, 15.0)] == [True, False, True, False]


def asked(seats: Seats, address: str) -> HTTPStatus | None:
    """What one who comes from there is refused with; then it goes on waiting."""
    assert seats.arrive(address)
    refusal = seats.refusal(address)
    return None if refusal is None else refusal[0]


def test_a_seat_is_free_again_when_its_client_has_gone() -> None:
    seats = Seats(FeedLimits(max_connections=3, max_connections_per_address=2))
    for _ in range(2):
        assert asked(seats, "192.0.2.1") is None
        seats.take("192.0.2.1")
    assert asked(seats, "192.0.2.1") == HTTPStatus.TOO_MANY_REQUESTS
    seats.leave("192.0.2.1", seated=False)
    assert asked(seats, "fe80::1%eth0") is None
    seats.take("fe80::1%eth0")
    assert asked(seats, "192.0.2.2") == HTTPStatus.SERVICE_UNAVAILABLE
    seats.leave("192.0.2.1", seated=True)
    assert seats.refusal("192.0.2.2") is None
    assert asked(seats, "192.0.2.1") == HTTPStatus.SERVICE_UNAVAILABLE, "the other is waiting"
    seats.leave("192.0.2.2", seated=False)
    assert seats.refusal("192.0.2.1") is None


def test_who_never_ends_its_handshake_counts_too() -> None:
    seats = Seats(FeedLimits(max_connections=3, max_connections_per_address=2))
    assert [seats.arrive("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert seats.arrive("192.0.2.2")
    assert not seats.arrive("192.0.2.3")
    seats.take("192.0.2.2")
    assert asked(seats, "192.0.2.3") == HTTPStatus.SERVICE_UNAVAILABLE
    seats.leave("192.0.2.1", seated=False)
    assert seats.refusal("192.0.2.3") is None


def test_wrong_tokens_may_be_shown_at_a_rate_and_what_others_show_is_another_matter() -> None:
    guesses = Guesses(per_minute=3)
    for _ in range(3):
        assert not guesses.too_many("192.0.2.1", now=100.0)
        guesses.wrong("192.0.2.1", now=100.0)
    assert guesses.too_many("192.0.2.1", now=110.0)
    assert not guesses.too_many("192.0.2.2", now=110.0)
    assert not guesses.too_many("192.0.2.1", now=120.0)
    guesses.wrong("192.0.2.1", now=120.0)
    assert guesses.too_many("192.0.2.1", now=120.0)


def test_of_a_proxy_on_this_machine_no_wrong_tokens_are_counted_and_not_all_addresses_are_remembered() -> None:
    guesses = Guesses(per_minute=1)
    guesses.wrong("127.0.0.1", now=0.0)
    assert not guesses.too_many("127.0.0.1", now=0.0)
    for number in range(MAX_GUESSERS + 1):
        guesses.wrong(f"2001:db8::{number:x}", now=0.0)
    assert not guesses.too_many("2001:db8::0", now=0.0)
    assert guesses.too_many("2001:db8::1", now=0.0)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_clients_of_a_proxy_on_this_machine_are_not_counted_as_those_of_one_address(address: str) -> None:
    seats = Seats(FeedLimits(max_connections_per_address=1))
    for _ in range(2):
        assert asked(seats, address) is None
        seats.take(address)


async def test_a_client_too_many_is_refused_until_another_goes(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, limits=FeedLimits(max_connections=2)) as serving:
        async with serving.client() as first:
            async with serving.client():
                with pytest.raises(InvalidStatus) as refused:
                    async with connect(serving.url):
                        pass
                assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (503, "10")
                assert await serving.get("/healthz") == b"HTTP/1.1 200 OK"
            assert (await first.answer("ping"))["type"] == "pong"
            async with serving.client() as third:
                assert (await third.answer("ping"))["type"] == "pong"


async def test_connections_that_say_nothing_count_and_count_no_more_when_they_are_gone(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, limits=FeedLimits(max_connections=2)) as serving:
        async with connected(serving.port), connected(serving.port) as (answers, asks):
            async with connected(serving.port) as (cut, _):
                with suppress(ConnectionError):
                    assert await cut.read() == b""
            with pytest.raises((InvalidMessage, ConnectionError)):
                async with connect(serving.url):
                    pass
            asks.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answers.read()).startswith(b"HTTP/1.1 200 OK")
        async with AsyncExitStack() as stack, asyncio.timeout(30):
            clients = 0
            while clients < 2:
                with suppress(InvalidHandshake, ConnectionError):  # the server may not have heard yet that they are gone
                    client = await stack.enter_async_context(serving.client())
                    assert (await client.answer("ping"))["type"] == "pong"
                    clients += 1


async def test_a_seat_is_refused_for_those_who_wait_too(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, limits=FeedLimits(max_connections=2)) as serving:
        async with serving.client(), connected(serving.port):
            with pytest.raises(InvalidStatus, match="503"):
                async with connect(serving.url):
                    pass


async def test_a_handshake_that_comes_to_nothing_takes_no_seat(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, limits=FeedLimits(max_connections=1)) as serving:
        for _ in range(3):
            with pytest.raises(InvalidStatus, match="400"):
                async with connect(serving.url, subprotocols=["other"]):  # type: ignore[list-item]
                    pass
        async with serving.client() as client:
            assert (await client.answer("ping"))["type"] == "pong"


async def test_a_flood_of_requests_is_answered_with_rate_limited_and_the_client_stays(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, limits=FeedLimits(max_requests_per_s=0.001)) as serving, serving.client() as client:
        assert (await client.answer("ping"))["type"] == "pong"
        told = await client.answer("ping")
        assert (told["code"], told["id"]) == ("rate_limited", 2)


async def test_subscriptions_beyond_those_that_may_be_are_refused(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, limits=FeedLimits(max_subscriptions=1)) as serving, serving.client() as client:
        live(serving.board, 5)
        await client.send("subscribe", run="u")
        await client.rows(5)
        assert (await client.answer("subscribe", run="u"))["code"] == "too_many_subscriptions"


async def test_a_message_that_is_too_large_closes_with_1009(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, limits=FeedLimits(max_message_bytes=1024)) as serving, serving.client() as client:
        await client.send("ping", more="x" * 900)
        assert (await client.receive())["type"] == "pong"  # type: ignore[index]
        await client.send("ping", more="x" * 1024)
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
