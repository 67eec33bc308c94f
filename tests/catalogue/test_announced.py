"""New revisions, told by a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import psycopg
import pytest

from wpb_stream.catalogue import announced
from wpb_stream.catalogue.announced import APPLICATION, NewRevisions
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.writer import CURSOR_LOCK, CatalogueWriter
from wpb_stream.core.messages import RunInfo

pytestmark = pytest.mark.integration

WAIT_S = 30.0


@pytest.fixture
def catalogue(postgres_url: str) -> str:
    """The address of an empty catalogue."""
    upgrade(postgres_url)
    return postgres_url


def info(uid: str) -> RunInfo:
    return RunInfo(uid, 1, "grid_scan", "success", None, None, "raster", [1], [], [], [], 1, 1, {})


async def begun(url: str, *uids: str) -> None:
    async with CatalogueWriter(url) as writer:
        await writer.take_over()
        for uid in uids:
            await writer.begin_run(info(uid), 0.0)


def add(url: str, uid: str, revision: str = "r") -> None:
    with CatalogueReader(url) as reader:
        reader.add_revision(info(uid), revision, "a test", "file.npy")


async def test_whoever_listens_is_told_the_run_and_the_revision_once_it_is_in_the_catalogue(catalogue: str) -> None:
    await begun(catalogue, "u")
    with psycopg.connect(catalogue, autocommit=True) as connection:
        connection.execute("LISTEN wpb_revisions")
        add(catalogue, "u")
        (told,) = connection.notifies(timeout=WAIT_S, stop_after=1)
        assert json.loads(told.payload) == {"run": "u", "revision": "r"}
        assert connection.execute("SELECT revision FROM revisions WHERE run_uid = 'u'").fetchall() == [("r",)]


async def test_a_uid_longer_than_a_notification_may_be_is_told_of_all_the_same(catalogue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announced, "POLL_S", 3600.0)
    uid = "u" * 9000
    await begun(catalogue, uid)
    revisions = NewRevisions(catalogue)
    await revisions.begin()
    async with asyncio.timeout(WAIT_S), aclosing(revisions.batches()) as batches:
        waiting = asyncio.ensure_future(anext(batches))
        await until_it_waits(catalogue)
        await asyncio.to_thread(add, catalogue, uid)
        assert await waiting == [uid]


async def until_it_waits(url: str) -> None:
    """Wait until the listener has asked what is new and waits for a notification."""
    query = "SELECT query FROM pg_stat_activity WHERE application_name = %s AND state = 'idle'"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while not any("id >" in text for (text,) in await (await connection.execute(query, [APPLICATION])).fetchall()):
            await asyncio.sleep(0.01)


async def test_each_revision_is_told_once_and_none_from_before_the_beginning(catalogue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announced, "BATCH_REVISIONS", 2)
    await begun(catalogue, "old", "a", "b", "c")
    add(catalogue, "old")
    revisions = NewRevisions(catalogue)
    await revisions.begin()
    for uid in ("a", "b", "c"):
        add(catalogue, uid)
    async with asyncio.timeout(WAIT_S), aclosing(revisions.batches()) as batches:
        assert [await anext(batches), await anext(batches)] == [["a", "b"], ["c"]]
        add(catalogue, "b", "r2")
        assert await anext(batches) == ["b"]


async def test_what_came_while_the_database_could_not_be_reached_is_caught_up_with(catalogue: str) -> None:
    await begun(catalogue, "a", "b")
    revisions = NewRevisions(catalogue)
    await revisions.begin()
    async with asyncio.timeout(WAIT_S), aclosing(revisions.batches()) as batches:
        add(catalogue, "a")
        assert await anext(batches) == ["a"]
        with psycopg.connect(catalogue, autocommit=True) as connection:
            connection.execute("ALTER DATABASE " + connection.info.dbname + " CONNECTION LIMIT 0")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [APPLICATION])
            connection.execute(
                """INSERT INTO revisions (run_uid, revision, produced_by, file, rows, info)
                SELECT 'b', 'r', produced_by, file, rows, info FROM revisions"""
            )
            connection.execute("ALTER DATABASE " + connection.info.dbname + " CONNECTION LIMIT -1")
        assert await anext(batches) == ["b"]


async def test_a_revision_that_is_committed_late_has_the_later_number(catalogue: str) -> None:
    await begun(catalogue, "first", "second")
    with psycopg.connect(catalogue) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [CURSOR_LOCK])  # as one that ends a run, or adds a revision, and is slow
        late = asyncio.ensure_future(asyncio.to_thread(add, catalogue, "second"))
        async with asyncio.timeout(WAIT_S):
            while not other.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone():
                await asyncio.sleep(0.01)
        other.execute(
            "INSERT INTO revisions (run_uid, revision, produced_by, file, rows, info) VALUES ('first', 'r', 'a test', 'f', 1, '{}')"
        )
        other.commit()
        await late
        assert other.execute("SELECT run_uid FROM revisions ORDER BY id").fetchall() == [("first",), ("second",)]
