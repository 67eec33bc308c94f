"""`wpb dead-letters` as a person types it, with a streaming process that runs, is away, or is killed."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import msgspec
import numpy as np
import psycopg
import pytest
from click.testing import CliRunner

from tests.helpers.scans import scan
from tests.integration.conftest import Streaming, StreamingProcess, feed_url
from wpb_stream.catalogue.letterbox import Letterbox
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.cli import main
from wpb_stream.client import watch
from wpb_stream.replay import Recorded, publish
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration

WAIT_S = 90.0


async def wpb(settings: Settings, *arguments: str | int) -> tuple[int, str]:
    """Exit status and standard output of `wpb dead-letters`, run in a thread."""
    words = ["dead-letters", *map(str, arguments), "--database-url", settings.database_url or ""]
    result = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert "Traceback" not in result.output
    return result.exit_code, result.stdout


def bury(settings: Settings, *documents: Recorded) -> list[int]:
    """Documents as an older wpb, which could not read them, left them among the dead letters; gives their ids."""
    upgrade(settings.database_url or "")
    with psycopg.connect(settings.database_url or "", autocommit=True) as connection:
        return [_bury(connection, position, document) for position, document in enumerate(documents)]


def _bury(connection: psycopg.Connection, position: int, document: Recorded) -> int:
    row = connection.execute(
        """INSERT INTO dead_letters (source, partition, position, value, reason) VALUES ('kafka:old', 'topic/0', %s, %s, 'too new for me')
        RETURNING id""",
        [position, msgspec.msgpack.encode([document.name, document.doc])],
    ).fetchone()
    assert row is not None
    return row[0]


def positions(settings: Settings) -> list[tuple[object, ...]]:
    with psycopg.connect(settings.database_url or "") as connection:
        return connection.execute("SELECT source, partition, position FROM positions").fetchall()


async def until_listening(settings: Settings) -> None:
    """Wait until the streaming process takes in what is asked for."""
    with Letterbox(settings.database_url or "") as box:
        async with asyncio.timeout(WAIT_S):
            while not box.listening():
                await asyncio.sleep(0.02)


async def test_a_replayed_document_completes_the_map_of_its_run(settings: Settings, streaming: Streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    buried = bury(settings, *run.at(2, 4))
    async with streaming(settings):
        await until_listening(settings)
        await publish([*run.head, *run.at(0, 2), *run.at(4, run.points)], settings.sources[0], speed=0)
        async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
            async for update in updates:
                if update.rows == run.points - 2:
                    break
            before = positions(settings)
            code, said = await wpb(settings, "replay", "--all", "--wait", 60)
            assert (code, said) == (0, f"{len(buried)} dead letters taken in.\n")
            assert positions(settings) == before
            await publish([run.stop], settings.sources[0], speed=0)
            async for update in updates:
                if update.stopped:
                    break
        assert update.rows == run.points
        np.testing.assert_array_equal(update.map("total"), run.map("total"))
        assert (await wpb(settings))[1].startswith("No dead letters.\n0 dead letters open, 0 of them to be replayed; 4 taken in.")


async def test_what_is_broken_still_stays_with_its_reason_and_can_be_read(settings: Settings, streaming: Streaming) -> None:
    (letter,) = bury(settings, Recorded("start", {"uid": "a\x1b[2J", "time": 1.0}))
    async with streaming(settings):
        await until_listening(settings)
        code, said = await wpb(settings, "replay", letter, "--wait", 60)
    assert code == 1
    assert "1 dead letter broken still" in said
    assert "uid must be" in said
    listed = [json.loads(line) for line in (await wpb(settings, "--json"))[1].splitlines()]
    assert [(each["id"], each["state"], each["position"]) for each in listed] == [(letter, "open", 0)]
    _, shown = await wpb(settings, "show", letter)
    assert '"time": 1.0' in shown
    assert "\x1b" not in shown
    assert (await wpb(settings, "show", 999))[0] == 1
    assert (await wpb(settings, "replay", 999))[0] == 1
    assert (await wpb(settings, "replay"))[0] == 2


@pytest.mark.faults
@pytest.mark.whole
async def test_what_is_asked_for_while_nobody_runs_is_taken_in_through_every_kill(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", shape=(12, 15)).write()
    buried = bury(settings, *run.documents)
    code, said = await wpb(settings, "replay", "--all")
    assert (code, said) == (0, f"{len(buried)} dead letters will be taken in when `wpb stream` or `wpb up` runs.\n")
    with Letterbox(settings.database_url or "") as box:
        for kill_at in (0.9, 0.5, 0.2, 0.0):
            await streaming_process.start()
            async with asyncio.timeout(WAIT_S):
                while box.waiting(buried) > kill_at * len(buried):
                    await asyncio.sleep(0.001)
            if kill_at:
                await streaming_process.kill()
        async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings), run.uid)) as updates:
            async for update in updates:
                if update.stopped:
                    break
    np.testing.assert_array_equal(update.map("total"), run.map("total"))
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert len(catalogue.documents(run.uid)) == len(run.documents)
    assert [row for row in positions(settings) if row[0] == "dead-letters"] == []


async def test_a_run_whose_start_never_came_is_told_as_orphans(settings: Settings, streaming: Streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings):
        await publish(run.documents[1:], settings.sources[0], speed=0)
        async with asyncio.timeout(WAIT_S):
            while f"{len(run.documents) - 1} usable documents belong to no run" not in (await wpb(settings))[1]:
                await asyncio.sleep(0.1)
    found = [json.loads(line) for line in (await wpb(settings, "--orphans", "--json"))[1].splitlines()]
    assert [(each["missing"], each["uid"], each["documents"]) for each in found] == [("start", run.uid, len(run.documents) - 1)]
    assert run.uid in (await wpb(settings, "--orphans"))[1]
