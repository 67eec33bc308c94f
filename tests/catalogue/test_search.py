"""Runs are found by what is known of them, in a real PostgreSQL."""

from __future__ import annotations

import base64
import random

import psycopg
import pytest

from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import _OF_SESSIONS, _WORDS, CatalogueReader
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.messages import RunInfo, without_large_values

pytestmark = pytest.mark.integration

A_WORD = _WORDS.replace("%s", "'foil:*'")
A_SESSION = _OF_SESSIONS.replace("%s", "ARRAY['7'::jsonb]")


async def test_a_run_is_found_by_the_beginning_of_its_uid_also_where_that_reads_as_a_number(postgres_url: str) -> None:
    upgrade(postgres_url)
    uid = "12e45678-3e10-4000-8000-00000000000a"
    async with CatalogueWriter(postgres_url) as writer:
        await writer.take_over()
        await writer.begin_run(RunInfo(uid, 1, "scan", "running", None, None, None, [], [], [], [], None, 0, {"uid": uid}), 0.0)
    with CatalogueReader(postgres_url) as reader:
        found = {length for length in range(1, len(uid) + 1) if reader.runs(text=uid[:length])}
        assert found == set(range(1, len(uid) + 1))
        assert reader.runs(text=uid[1:]) == []


async def test_no_metadata_refuse_a_run_and_it_is_found_all_the_same(postgres_url: str) -> None:
    """A session that no row of a b-tree has room for, and numbers of more digits than a tsvector holds."""
    upgrade(postgres_url)
    session = base64.b64encode(random.Random(1).randbytes(2700)).decode()
    digits = {f"k{key}": [float(f"1.{300 * key + i:04}e300") for i in range(290)] for key in range(13)}
    metadata = without_large_values({"uid": "u", "data_session": session, "instrument_session": session, "sample": "foil", **digits})
    assert len(metadata) > 12, "most of it is kept"
    async with CatalogueWriter(postgres_url) as writer:
        await writer.take_over()
        await writer.begin_run(RunInfo("u", 7, "scan", "running", None, None, None, [], [], [], [], None, 0, metadata), 0.0)
    with CatalogueReader(postgres_url) as reader:
        found = [reader.runs(text="foil"), reader.runs(session=session), reader.runs(scan_id=7)]
    assert [[run.uid for run in runs] for runs in found] == [["u"]] * 3


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("info->'scan_id' = '7'", "runs_scan_id"),
        (A_SESSION, "runs_data_session"),
        (A_SESSION, "runs_instrument_session"),
        (f"{A_WORD} OR uid LIKE 'foil%'", "runs_words"),
        (f"{A_WORD} OR uid LIKE 'foil%'", "runs_uid_prefix"),
    ],
)
def test_runs_are_looked_for_in_an_index(postgres_url: str, condition: str, index: str) -> None:
    upgrade(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SET enable_seqscan = off")  # a table of no rows is read faster as it is
        plan = connection.execute(f"EXPLAIN SELECT uid FROM runs WHERE {condition}".encode()).fetchall()
    assert f"Bitmap Index Scan on {index} " in "\n".join(line for (line,) in plan)
