"""What is let go each night: real catalogue, a Dagster instance on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import psycopg
import pytest

from tests.dagster.scans import Beamline
from tests.dagster.test_reprocess import acquire
from tests.dagster.test_stale import schedule_of
from wpb_stream.catalogue.reader import CatalogueReader

pytestmark = pytest.mark.integration


@pytest.fixture
def dagster_url(beamline: Beamline) -> str:
    name = psycopg.conninfo.conninfo_to_dict(beamline.database_url)["dbname"]
    return beamline.database_url.replace(f"/{name}?", f"/{name}_dagster?")


def kinds_of_events(url: str, run: str) -> set[str | None]:
    with psycopg.connect(url) as connection:
        return {kind for (kind,) in connection.execute("SELECT dagster_event_type FROM event_logs WHERE run_id = %s", [run])}


def test_old_log_lines_go_and_what_was_made_checked_and_ended_stays(
    beamline: Beamline, materialise, instance: dg.DagsterInstance, definitions: dg.Definitions, dagster_url: str
) -> None:
    old, young = materialise(acquire(beamline, 0)), materialise(acquire(beamline, 1))
    with psycopg.connect(dagster_url) as connection:
        connection.execute("UPDATE event_logs SET timestamp = timestamp - interval '31 days' WHERE run_id = %s", [old.run_id])
    before = kinds_of_events(dagster_url, young.run_id)
    assert {"STEP_START", "LOADED_INPUT"} <= before
    assert definitions.resolve_job_def("tidy_up").execute_in_process(instance=instance).success
    assert kinds_of_events(dagster_url, young.run_id) == before
    assert kinds_of_events(dagster_url, old.run_id) == {
        "ASSET_CHECK_EVALUATION",
        "ASSET_CHECK_EVALUATION_PLANNED",
        "ASSET_MATERIALIZATION",
        "ASSET_MATERIALIZATION_PLANNED",
        "PIPELINE_START",
        "PIPELINE_SUCCESS",
    }
    records = instance.fetch_materializations(dg.AssetKey("maps"), limit=10).records
    assert {record.event_log_entry.run_id for record in records} == {old.run_id, young.run_id}
    assert instance.get_run_stats(old.run_id).materializations == instance.get_run_stats(young.run_id).materializations


def test_old_revisions_go(
    beamline: Beamline,
    materialise,
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    resources_of: Mapping[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uid = acquire(beamline, 0)
    first, second = materialise(uid), materialise(uid)
    monkeypatch.setenv("WPB_KEEP_REVISIONS", "1")
    assert definitions.resolve_job_def("tidy_up").execute_in_process(instance=instance).success
    with CatalogueReader(beamline.database_url) as reader:
        kept = [reader.revision(uid, name) is not None for name in ("live", first.run_id, second.run_id)]
    assert kept == [True, False, True]


def test_it_is_done_each_night_unless_someone_stops_it() -> None:
    schedule = schedule_of("tidy_up_nightly")
    assert (schedule.cron_schedule, schedule.job.name, schedule.default_status) == (
        "0 5 * * *",
        "tidy_up",
        dg.DefaultScheduleStatus.RUNNING,
    )
