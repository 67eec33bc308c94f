"""A server's beginning and end, as its clients live through it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed

from tests.helpers.rawfeed import joined, raw_client
from tests.helpers.scans import scan
from tests.integration.conftest import StreamingProcess, feed_url, until_serving
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module"), pytest.mark.faults]


@pytest.mark.asyncio(loop_scope="function")
async def test_who_subscribes_to_latest_before_there_is_any_run_is_told_of_the_first(settings: Settings, streaming, tmp_path: Path) -> None:
    first = scan(tmp_path / "frames").write()
    async with streaming(settings), raw_client(feed_url(settings)) as client:
        assert client.welcome["latest"] is None
        await client.send("subscribe", run="latest")
        assert (await client.answer("ping"))["type"] == "pong"
        await publish(first.documents, settings.sources[0], speed=0)
        messages = await client.until("run_stopped")
    assert messages[0]["run"]["uid"] == first.uid
    np.testing.assert_array_equal(joined(messages, "total"), first.values("total")[joined(messages, "point")])


@pytest.mark.asyncio(loop_scope="function")
async def test_a_server_that_stops_sends_its_clients_away_with_1012(settings: Settings, streaming_process: StreamingProcess) -> None:
    await streaming_process.serve()
    async with raw_client(feed_url(settings)) as client:
        await client.send("subscribe", run="latest")
        await streaming_process.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


@pytest.mark.asyncio(loop_scope="function")
async def test_nobody_is_served_before_unfinished_runs_are_taken_up_again_and_then_all_their_rows_come(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    running = scan(tmp_path / "frames").write()
    await streaming_process.serve()
    async with raw_client(feed_url(settings)) as client:
        await publish([*running.head, *running.at(0, 5)], settings.sources[0], speed=0)
        await client.send("subscribe", run="latest")
        await client.rows(5)
    await streaming_process.kill()
    async with await psycopg.AsyncConnection.connect(settings.database_url or "") as pause:
        await pause.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")  # the new process waits for its documents here
        await streaming_process.start()
        await _until_somebody_waits(settings)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*settings.listen.split(":"))
    await until_serving(settings)
    async with raw_client(feed_url(settings)) as client:
        await client.send("subscribe", run="latest", revision="live", from_row=5)
        assert [message["type"] for message in await client.until("run")] == ["revised", "run"]
        slices = await client.rows(5)
    assert {piece.header["revision"] for piece in slices} == {"live.2"}
    np.testing.assert_array_equal(joined(slices, "total"), running.values("total")[:5][joined(slices, "point")])


async def _until_somebody_waits(settings: Settings) -> None:
    """Wait until a session of the database waits for a lock."""
    async with await psycopg.AsyncConnection.connect(settings.database_url or "", autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while await (await connection.execute(query)).fetchone() == (0,):
            await asyncio.sleep(0.02)


@pytest.mark.asyncio(loop_scope="function")
async def test_a_run_whose_rows_were_deleted_is_answered_with_an_error_and_the_connection_stays(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    finished = scan(tmp_path / "frames").write()
    async with streaming(settings), raw_client(feed_url(settings)) as client:
        await publish(finished.documents, settings.sources[0], speed=0)
        await client.send("subscribe", run="latest")
        await client.until("run_stopped")
    for file in settings.results.rglob("*.npy"):
        file.unlink()
    async with streaming(settings), raw_client(feed_url(settings)) as client:
        assert client.welcome["latest"] == finished.uid
        answer = await client.answer("subscribe", run=finished.uid)
        assert (answer["type"], answer["code"]) == ("error", "internal")
        assert finished.uid in answer["message"]
        assert (await client.answer("ping"))["type"] == "pong"
