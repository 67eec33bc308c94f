"""`wpb reprocess` as a person types it, beside a Dagster that does not run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import numpy as np
import psycopg
import pytest
from click.testing import CliRunner, Result

from tests.dagster.scans import Beamline
from tests.dagster.test_reprocess import acquire, expected
from wpb_dagster.io_managers import stored_maps
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.cli import main

pytestmark = pytest.mark.integration


@pytest.fixture
def wpb(beamline: Beamline, tmp_path: Path):
    """Runs the command on the beamline's catalogue and folders; Dagster's home is in its data folder, as `wpb up` leaves it."""

    def run(*arguments: str | Path) -> Result:
        where = ("--database-url", beamline.database_url, "--data", str(tmp_path), "--data-roots", str(beamline.roots.roots[0]))
        return CliRunner().invoke(main, ["reprocess", *map(str, arguments), *where])

    return run


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    file = tmp_path / "regions.yaml"
    file.write_text("top: {rows: [0, 2]}\n")
    return file


def newest(beamline: Beamline, uid: str) -> str:
    with CatalogueReader(beamline.database_url) as reader:
        row = reader.revision(uid)
        assert row is not None
        return row.revision


def test_runs_are_made_again_and_dagster_knows_of_it_though_none_of_it_runs(
    beamline: Beamline, wpb, regions: Path, instance: dg.DagsterInstance
) -> None:
    one, other = acquire(beamline, 0, plan_name="demo_plan"), acquire(beamline, 1)
    result = wpb("--plan", "demo_plan", "--regions", regions)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"1 runs were made again; revision {newest(beamline, one)}.\n"
    assert "1/1" in result.stderr
    made = stored_maps(beamline.results, one)
    assert made is not None
    np.testing.assert_array_equal(made.channels["top"], expected(0, slice(0, 2)))
    assert newest(beamline, other) == "live"
    (record,) = instance.fetch_materializations(dg.AssetKey("point_values"), limit=10).records
    assert record.partition_key == one
    assert record.asset_materialization is not None
    assert record.asset_materialization.metadata["revision"].value == newest(beamline, one)
    assert instance.get_dynamic_partitions("run") == [one]


def test_a_dry_run_says_what_would_be_made_of_which_run_and_makes_nothing(beamline: Beamline, wpb, regions: Path) -> None:
    uid = acquire(beamline, 0, plan_name="demo_plan")
    result = wpb("--since", "2020-01-01", "--regions", regions, "--dry-run")
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if uid in line)
    assert "red, green, blue, total" in line
    assert "top, total" in line
    assert result.stdout.endswith("1 runs would be made again.\n")
    assert newest(beamline, uid) == "live"


def test_without_dagster_the_revision_is_made_all_the_same_and_that_is_said(beamline: Beamline, wpb) -> None:
    uid = acquire(beamline, 0)
    result = wpb("--run", uid)
    assert result.exit_code == 0, result.output
    assert "Dagster is not set up here" in result.stderr
    assert newest(beamline, uid) != "live"


def test_stale_runs_are_named_with_the_reason_and_made_as_they_were_asked_for_before(beamline: Beamline, wpb, regions: Path) -> None:
    uid = acquire(beamline, 0)
    assert wpb("--run", uid, "--regions", regions).exit_code == 0
    with psycopg.connect(beamline.database_url) as connection:
        connection.execute("UPDATE revisions SET code_version = '0' WHERE revision <> 'live'")
        connection.execute("UPDATE runs SET ended_at = ended_at - interval '2 hours'")
    before = newest(beamline, uid)
    dry = wpb("--stale", "--dry-run")
    assert f"{uid}: its recipe is another one by now" in dry.stderr
    assert "top, total" in dry.stdout
    assert wpb("--stale").exit_code == 0
    with CatalogueReader(beamline.database_url) as reader:
        row = reader.revision(uid)
    assert row is not None
    assert row.revision != before
    assert [channel.name for channel in row.info.channels] == ["top", "total"]
    assert wpb("--stale").stdout.startswith("0 runs were made again")


def test_a_run_that_fails_is_told_and_the_exit_code_says_so(beamline: Beamline, wpb, tmp_path: Path) -> None:
    bad, good = acquire(beamline, 0), acquire(beamline, 1)
    (beamline.results.folder(bad) / "documents.jsonl").mkdir()
    result = wpb("--run", bad, "--run", good, "--attempts", "1")
    assert result.exit_code == 1
    assert f"run {bad} failed: documents: " in result.stderr
    assert "1 runs were made again, 1 could not be" in result.stdout
    assert newest(beamline, good) != "live"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say which runs: either --run, or conditions"),
        (("--run", "nobody"), "there is no run 'nobody' in the catalogue"),
        (("--since", "June"), "'June' is no day or time such as 2026-06-01"),
        (("--plan", "p", "--wpb", "list.yaml"), "list.yaml holds no mapping"),
        (("--plan", "p", "--wpb", "broken.yaml"), "broken.yaml is neither YAML nor JSON"),
        (("--plan", "p", "--wpb", "wrong.json"), "did you mean 'regions'?"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    arguments: tuple[str, ...], told: str, wpb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("list.yaml", "[1, 2]"), ("broken.yaml", "{"), ("wrong.json", '{"region": {}}')):
        Path(name).write_text(text)
    result = wpb(*arguments)
    assert result.exit_code in (1, 2)
    assert told in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_command_that_is_not_used_costs_no_import_of_dagster() -> None:
    code = "import sys; from wpb_stream.cli import main; assert 'reprocess' in main.commands; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
