"""A catalogue that an older wpb left in mid-scan: the new one brings it up to date, and takes the scan to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql

from tests.faults.judge import assert_batch_map, judged
from tests.helpers.scans import scan
from tests.integration.conftest import Streaming
from tests.integration.watching import publish_values, until_latest_stopped, until_stopped
from wpb_stream.catalogue.migrations import HEAD, HERE
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

STEPS = sorted(step.name[:4] for step in (HERE / "versions").glob("[0-9]*.py"))
TABLES = ("runs", "documents", "positions", "dead_letters", "revisions")
"""What a catalogue has held since its first step, in the order of what refers to what."""


@pytest.fixture
def new_database(postgres_cluster: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes empty databases, which are dropped after the test."""
    made: list[str] = []
    with psycopg.connect(postgres_cluster.url("postgres"), autocommit=True) as connection:

        def make() -> str:
            made.append(f"older_{len(made)}")
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(made[-1])))
            return postgres_cluster.url(made[-1])

        yield make
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def upgrade_to(step: str, database_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["database_url"] = database_url
    command.upgrade(config, step)


def copy(table: str, source: psycopg.Connection, target: psycopg.Connection) -> None:
    """The rows of a table, in those columns that there were then."""
    known = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
    columns = [name for (name,) in target.execute(known, [table])]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    out = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(names, sql.Identifier(table))
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with source.cursor().copy(out) as rows, target.cursor().copy(into) as taken:
        for row in rows:
            taken.write(row)
    for column in {"id", "started_seq", "ended_seq"} & set(columns):
        target.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), (SELECT coalesce(max({}), 1) FROM {}))").format(
                sql.Literal(table), sql.Literal(column), sql.Identifier(column), sql.Identifier(table)
            )
        )


@pytest.mark.parametrize("steps", [STEPS[-2:-1], pytest.param(STEPS[:-2], marks=pytest.mark.whole)], ids=["the-last", "all-before"])
async def test_a_scan_that_began_under_an_older_schema_is_taken_to_its_end_and_older_runs_are_shown(
    steps: Sequence[str], settings: Settings, streaming: Streaming, new_database: Callable[[], str], tmp_path: Path
) -> None:
    before, run = scan(tmp_path / "frames", seed=1).write(), scan(tmp_path / "frames").write()
    async with streaming(settings):
        await publish_values(settings, [b"no document"])
        await publish(before.documents, settings.sources[0], speed=0)
        await until_latest_stopped(settings, before.uid)
        await publish([*run.head, *run.at(0, 6)], settings.sources[0], speed=0)
        with CatalogueReader(settings.database_url or "") as catalogue:
            while len(await asyncio.to_thread(catalogue.documents, run.uid)) < 3 + 2 * 6:
                await asyncio.sleep(0.02)
    await publish([*run.at(6, run.points), run.stop], settings.sources[0], speed=0)
    for step in steps:
        older = settings.model_copy(update={"database_url": new_database()})
        await asyncio.to_thread(upgrade_to, step, older.database_url or "")
        with psycopg.connect(settings.database_url or "") as source, psycopg.connect(older.database_url or "") as target:
            for table in TABLES:
                copy(table, source, target)
        async with streaming(older), judged(older, run, clients=1):
            assert (await until_stopped(older, before.uid)).rows == before.points
        await asyncio.to_thread(assert_batch_map, older, before)
        with psycopg.connect(older.database_url or "") as connection:
            assert connection.execute("SELECT version_num FROM wpb_schema").fetchone() == (HEAD,)
            assert connection.execute("SELECT count(*) FROM dead_letters").fetchone() == (1,)
