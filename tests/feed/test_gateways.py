"""What a feed tells clients where its board follows another process's, which may be ahead of it: a real server, runs put there by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.helpers.rawfeed import joined
from tests.helpers.serving import Serving, live, serving_of
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.board import Board, Reconstruction

HINDRANCE = "The topic is not followed."


@pytest.fixture
async def serving(tmp_path: Path, postgres_url: str) -> AsyncIterator[Serving]:
    """A gateway's server, which says that it is behind."""
    await asyncio.to_thread(upgrade, postgres_url)
    with CatalogueReader(postgres_url) as reader:
        async with serving_of(reader, tmp_path, hindrance=lambda: HINDRANCE) as server:
            yield server


def grow(serving: Serving, made: Reconstruction, rows: int) -> None:
    points = np.arange(made.table.rows, made.table.rows + rows)
    made.table.append(points, points, np.ones((rows, 1)))
    made.run = msgspec.structs.replace(made.run, rows=made.table.rows)
    serving.board.changed()


def end(serving: Serving, made: Reconstruction) -> None:
    made.run = msgspec.structs.replace(made.run, status="success")
    made.ended = True
    serving.board.changed()


async def test_a_client_that_holds_rows_which_have_not_come_to_this_gateway_yet_gets_those_after_them(serving: Serving) -> None:
    made = live(serving.board, 5)
    made.trailing = True
    async with serving.client() as client:
        assert (await client.answer("subscribe", run="u", revision="live", from_row=8))["from_row"] == 8
        grow(serving, made, 2)
        assert (await client.answer("ping"))["type"] == "pong"
        grow(serving, made, 3)
        (slice_,) = await client.rows(10)
        end(serving, made)
        await client.until("run_stopped", rows=10)
    assert (slice_.first, slice_.rows) == (8, 2)


async def test_a_client_that_holds_more_rows_than_there_ever_were_is_told_at_the_end(serving: Serving) -> None:
    made = live(serving.board, 5)
    made.trailing = True
    async with serving.client() as client:
        assert (await client.answer("subscribe", run="u", revision="live", from_row=8))["type"] == "run"
        end(serving, made)
        (*_, error) = await client.until("error")
    assert error["code"] == "bad_message"


async def test_a_client_goes_on_in_the_catalogue_where_the_gateway_did_not_hear_of_the_runs_end(
    serving: Serving, postgres_url: str
) -> None:
    here = live(serving.board, 5)
    here.trailing = True
    made = live(Board(), 8)
    async with CatalogueWriter(postgres_url) as catalogue:
        await catalogue.take_over()
        await catalogue.begin_run(made.run, 0.0)
        async with serving.client() as client:
            await client.send("subscribe", run="u")
            await client.rows(5)
            made.run = msgspec.structs.replace(made.run, status="success")
            await catalogue.end_run(made, 1.0, serving.results.save("u", "live", made.table))
            del serving.board.live["u"]
            serving.board.changed()
            messages = await client.until("run_stopped")
    assert [message["type"] for message in messages if isinstance(message, dict)] == ["run", "run_stopped"]
    assert joined(messages, "point").tolist() == [5, 6, 7]


async def test_a_gateway_that_is_behind_is_alive_and_not_ready(serving: Serving) -> None:
    assert await serving.get("/healthz") == b"HTTP/1.1 200 OK"
    assert await serving.get("/readyz") == b"HTTP/1.1 503 Service Unavailable"
