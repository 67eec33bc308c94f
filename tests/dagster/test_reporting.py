"""Materialisations of runs that were made again, in Dagster's event log: real assets, a Dagster instance on PostgreSQL."""

from __future__ import annotations

import dagster as dg
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.exc import ProgrammingError

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from tests.dagster.test_reprocess import Reprocess, reprocess
from tests.dagster.test_sensors import stale, uid_of
from wpb_dagster.reporting import Reporter
from wpb_dagster.sensors import run_started, run_stopped

pytestmark = pytest.mark.integration

__all__ = ["reprocess"]


def test_runs_made_again_are_stale_to_dagster_once_something_they_are_made_of_is_another(
    beamline: Beamline, reprocess: Reprocess, instance: dg.DagsterInstance, tick, definitions: dg.Definitions
) -> None:
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20)))
    late, uid = documents[-2], uid_of(documents)
    beamline.acquire([document for document in documents if document is not late])
    tick(run_started)
    first = tick(run_stopped)
    assert reprocess(runs=[uid]).success
    assert stale(instance, definitions, uid) == set()
    beamline.make_anew([*documents[:-2], documents[-1], late])
    tick(run_stopped, first.cursor)
    assert stale(instance, definitions, uid) == {"documents"}
    assert reprocess(runs=[uid]).success
    assert stale(instance, definitions, uid) == set()


def test_what_is_added_while_others_are_written_is_written_too_and_all_of_it_before_the_end(instance: dg.DagsterInstance) -> None:
    made = [dg.AssetMaterialization("documents", partition=str(number)) for number in range(50)]
    with Reporter(instance) as reporter:
        for each in made:
            reporter.add([each])
    records = instance.fetch_materializations(dg.AssetKey("documents"), limit=100, ascending=True).records
    assert [record.partition_key for record in records] == [str(number) for number in range(50)]
    assert {record.run_id for record in records} == {""}


def test_what_cannot_be_written_is_told(instance: dg.DagsterInstance, postgres_url: str) -> None:
    database = conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_url, dbname=f"{database}_dagster") as connection:
        connection.execute("ALTER TABLE event_logs RENAME TO elsewhere")
    with pytest.raises(ProgrammingError, match='relation "event_logs" does not exist'), Reporter(instance) as reporter:
        reporter.add([dg.AssetMaterialization("documents", partition="a")])
