"""A database that is away is asked again and again, and said to be away more and more seldom."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

import psycopg
import pytest

from tests.helpers.faultproxy import FaultProxy
from wpb_stream.catalogue import announced, writer
from wpb_stream.catalogue.announced import NewRevisions
from wpb_stream.catalogue.writer import insist
from wpb_stream.core.counts import Counts

pytestmark = pytest.mark.faults

SAID = 4
"""Of nine times: the first, the second, the fourth and the eighth."""


async def test_each_failure_is_counted_and_some_are_said_in_a_line_and_that_it_is_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.0)
    caplog.set_level(logging.INFO)
    counts = Counts()

    async def ask() -> int:
        if counts.catalogue_retries < 9:
            raise psycopg.OperationalError("connection refused\n\tis it running?\n")
        return 5

    assert await insist(ask, counts) == 5
    assert counts.catalogue_retries == 9
    told = "the catalogue's database does not answer (connection refused is it running?); trying again, see WPB_DATABASE_URL"
    assert caplog.messages == [told] * SAID + ["the catalogue's database answers again, after 0 s"]


async def test_who_waits_for_new_revisions_fills_no_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announced, "RETRY_S", 0.0)
    async with FaultProxy("127.0.0.1:1") as nobody, aclosing(NewRevisions(f"postgresql://{nobody.address}/none").batches()) as batches:

        async def until_asked() -> None:
            while nobody.connections < 9:
                await asyncio.sleep(0)

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(anext(batches))  # pyright: ignore[reportArgumentType]
            await until_asked()
            waiting.cancel()
    assert sum(message.startswith("new revisions wait") for message in caplog.messages) == SAID
    assert not any("\n" in message for message in caplog.messages)
