"""Old revisions in a real PostgreSQL, with their files."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import numpy as np
import psycopg
import pytest
from click.testing import CliRunner

from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results, safe_name
from wpb_stream.catalogue.retention import SETTLED_S, Retention
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.cli import main
from wpb_stream.core.board import Versioned
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.table import PointTable

pytestmark = pytest.mark.integration


@pytest.fixture
def catalogue(postgres_url: str) -> str:
    """The address of an empty catalogue."""
    upgrade(postgres_url)
    return postgres_url


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def add(url: str, results: Results, uid: str, *revisions: str) -> None:
    """Add revisions to a run, each with its rows and an array."""
    info = RunInfo(uid, 1, "grid_scan", "success", None, None, "raster", [1], [], [], [], 1, 1, {})

    async def begin() -> None:
        async with CatalogueWriter(url) as writer:
            await writer.take_over()
            await writer.begin_run(info, 0.0)

    asyncio.run(begin())
    with CatalogueReader(url) as reader:
        for revision in revisions:
            file = results.save(uid, revision, PointTable(["total"]), {"mean_frame": Versioned(np.zeros((4, 4)))})
            reader.add_revision(info, revision, "a test", file)


def made_days_ago(url: str, days: float, revision: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE revisions SET created_at = created_at - %s * interval '1 day' WHERE revision = %s", [days, revision])


def names(url: str, most: int, days: float = 0.0) -> list[str]:
    return [each.revision for each in Retention(url, most, days).old()]


def test_of_each_run_the_newest_are_kept_and_what_was_shown_live_counts_for_none_of_them(catalogue: str, results: Results) -> None:
    add(catalogue, results, "u", "live", "a", "b", "c", "d")
    add(catalogue, results, "v", "live", "a2", "b2")
    assert names(catalogue, 4) == []
    assert names(catalogue, 2) == ["a", "b"]
    assert names(catalogue, 1) == ["a", "b", "c", "a2"]


def test_what_is_too_old_goes_but_never_the_newest_nor_what_was_shown_live(catalogue: str, results: Results) -> None:
    add(catalogue, results, "u", "live", "a", "b", "c")
    for revision in ("live", "a", "c"):
        made_days_ago(catalogue, 40, revision)
    assert names(catalogue, 10, 30) == ["a"]
    assert names(catalogue, 10, 50) == []
    assert names(catalogue, 10) == []


def test_a_live_revision_that_was_replaced_by_another_one_goes(catalogue: str, results: Results) -> None:
    add(catalogue, results, "u", "live", "a", "live.2")
    assert names(catalogue, 10) == ["live"]
    made_days_ago(catalogue, 40, "a")
    assert names(catalogue, 1, 30) == ["live"], "the newest that Dagster made is what its assets refer to"


def test_rows_and_files_go_together_and_what_was_interrupted_is_ended_the_next_time(catalogue: str, results: Results) -> None:
    add(catalogue, results, "u", "live", "a", "b", "c")
    (results.root / "u" / "a.npy").unlink()  # as a process that was killed in the middle leaves it
    retention = Retention(catalogue, 1, 0)
    files = sum(path.stat().st_size for name in "ab" for path in (results.root / "u").glob(f"{name}.*"))
    assert retention.drop(retention.old(), results) == files
    assert sorted(path.name for path in (results.root / "u").iterdir()) == ["c.npy", "c.npz", "live.npy", "live.npz"]
    with psycopg.connect(catalogue) as connection:
        assert connection.execute("SELECT revision FROM revisions ORDER BY id").fetchall() == [("live",), ("c",)]
    assert retention.old() == []


def test_a_file_that_cannot_be_removed_keeps_its_row_and_no_other(catalogue: str, results: Results) -> None:
    add(catalogue, results, "u", "a", "b", "c")
    (results.root / "u" / "a.npy").unlink()
    (results.root / "u" / "a.npy").mkdir()  # a folder cannot be unlinked
    retention = Retention(catalogue, 1, 0)
    with pytest.raises(ServiceError, match=r"^files of 1 revisions cannot be removed, .*a\.npy"):
        retention.drop(retention.old(), results)
    assert [each.revision for each in retention.old()] == ["a"]


def test_the_command_says_what_would_go_and_does_it(catalogue: str, tmp_path: Path, results: Results) -> None:
    add(catalogue, results, "u", "live", "a", "b", "c")
    arguments = ["prune", "--database-url", catalogue, "--data", str(tmp_path), "--keep-revisions", "1"]
    dry = CliRunner().invoke(main, [*arguments, "--dry-run"])
    assert (dry.exit_code, dry.stdout.splitlines()[-1]) == (0, "2 revisions would go, 0.0 MB.")
    assert [line.split()[-2:] for line in dry.stdout.splitlines()[1:-1]] == [["u", "a"], ["u", "b"]]
    assert names(catalogue, 1) == ["a", "b"]
    assert CliRunner().invoke(main, arguments).stdout == "2 revisions went, 0.0 MB.\n"
    assert names(catalogue, 1) == []


def test_files_that_a_crash_left_over_go_a_day_later_and_no_others(catalogue: str, results: Results) -> None:
    add(catalogue, results, "run", "live", "first")
    with CatalogueReader(catalogue) as reader:
        kept = reader.revision("run", "first")
    assert kept is not None
    results.save("run", "never added", PointTable(["total"]), {"mean_frame": Versioned(np.zeros((4, 4)))})
    unfinished, others = (
        results.folder("run") / ".maps.npz.0123.part",
        [results.folder("run") / name for name in ("maps.npz", "preview.png")],
    )
    for path in (unfinished, *others):
        path.write_bytes(b"some bytes")
    prune = ["prune", "--database-url", catalogue, "--data", str(results.root.parent)]
    young = CliRunner().invoke(main, prune)
    assert young.output == "0 revisions went, 0.0 MB.\n"
    yesterday = time.time() - SETTLED_S - 60
    for path in results.root.glob("*/*"):
        os.utime(path, (yesterday, yesterday))
    before = set(results.root.glob("*/*"))
    would = CliRunner().invoke(main, [*prune, "--dry-run"])
    assert "2 files that belong to no revision would go" in would.output
    assert set(results.root.glob("*/*")) == before
    gone = CliRunner().invoke(main, prune)
    assert "2 files that belonged to no revision went" in gone.output
    stray = results.folder("run") / f"{safe_name('never added')}.npy"
    assert before - set(results.root.glob("*/*")) == {unfinished, stray, stray.with_suffix(".npz")}
