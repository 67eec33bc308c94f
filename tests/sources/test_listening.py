"""Listening to a bus that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Self

import pytest

from wpb_stream.core.counts import Counts
from wpb_stream.core.documents import Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources import listening
from wpb_stream.sources.reaching import why_not


class Flaky:
    """A bus of numbers that cannot be reached at first, and goes away after every third."""

    url = identity = "flaky:"

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.entered = 0

    async def __aenter__(self) -> Self:
        self.refusals -= 1
        if self.refusals >= 0:
            raise ServiceError("the bus is away")
        self.entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.entered -= 1

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        for position in range(positions["p"], positions["p"] + 3):
            yield [Message("flaky:", "p", position, b"")]
        raise ServiceError("the bus went away")

    async def stored(self, positions: Mapping[str, int]) -> None: ...

    async def probe(self) -> str:
        return ""


async def test_a_bus_that_comes_and_goes_is_asked_again_from_where_it_was_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "FIRST_WAIT_S", 0.001)
    source, taken, counts = Flaky(refusals=2), [0], Counts()

    async def positions() -> dict[str, int]:
        return {"p": taken[0]}

    async with asyncio.timeout(30), aclosing(listening.listen(source, positions, counts)) as batches:
        async for (message,) in batches:
            assert message.position == taken[0]
            taken[0] += 1
            if taken[0] == 8:
                break
    assert source.entered == 0
    assert (caplog.text.count("is away"), caplog.text.count("went away")) == (2, 2)
    assert counts.bus_retries == {"flaky": 4}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it was waited, in s; nobody waits for it, and the twelfth is the last."""
    waits: list[float] = []

    async def note(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 12:
            raise asyncio.CancelledError

    monkeypatch.setattr(listening.asyncio, "sleep", note)
    return waits


async def test_a_bus_that_stays_away_is_asked_and_told_of_more_and_more_seldom(
    waits: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening.random, "uniform", lambda low, high: (low + high) / 2)
    with pytest.raises(asyncio.CancelledError):
        await anext(listening.listen(Flaky(refusals=100), None, Counts()))  # type: ignore[arg-type]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert set(waits[4:]) == {listening.LONGEST_WAIT_S}
    assert caplog.text.count("is away") == 4, "the first, second, fourth and eighth time"


class Quiet(Flaky):
    """A bus on which nothing is said until it goes away."""

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        for _ in ():
            yield []
        raise ServiceError("the bus went away")


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(("lasting_s", "said"), [(-1.0, 12), (60.0, 4)])
async def test_a_bus_that_was_there_and_quiet_is_said_to_be_away_each_time(
    lasting_s: float, said: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def positions() -> dict[str, int]:
        return {}

    monkeypatch.setattr(listening, "LASTING_S", lasting_s)
    with pytest.raises(asyncio.CancelledError):
        await anext(listening.listen(Quiet(refusals=0), positions, Counts()))
    assert caplog.text.count("went away") == said


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ("127.0.0.1:1", "nobody listens at 127.0.0.1:1"),
        ("127.0.0.1", "nobody listens at 127.0.0.1"),
        ("[::1]:1", "nobody listens at [::1]:1"),
        ("a..b:1", "a..b:1 is no address: host:port is wanted"),
        ("host:ninety", "host:ninety is no address: host:port is wanted"),
    ],
)
async def test_why_a_server_cannot_be_reached_is_said_whatever_was_written_for_it(servers: str, told: str) -> None:
    assert (await why_not(servers, "Kafka", 1)).startswith(told)
