"""Which runs are made again at night: real catalogue, real assets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import psycopg
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from tests.dagster.test_reprocess import Reprocess, acquire, expected, reprocess
from wpb_dagster.definitions import defs
from wpb_dagster.io_managers import stored_maps
from wpb_dagster.resources import Recipes
from wpb_dagster.stale import stale_runs
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import LINE_FITS, NEXUS

pytestmark = pytest.mark.integration

__all__ = ["reprocess"]
TOMORROW = timedelta(hours=20)
REGIONS = {"regions": {"top": {"rows": [0, 2]}}}


def stale(beamline: Beamline, later: timedelta = TOMORROW, **settings: Any) -> dict[str, str]:
    """Uid and reason of each run that is found, that much later, with these `plans`."""
    with CatalogueReader(beamline.database_url) as reader:
        found = stale_runs(reader, Recipes(plans=settings or None), datetime.now(UTC) + later)
        return {each.uid: each.reason for each in found}


def test_a_run_that_was_made_as_it_would_be_today_is_left_alone(beamline: Beamline, materialise) -> None:
    uid = acquire(beamline, 0)
    assert materialise(uid).success
    assert stale(beamline) == {}
    assert stale(beamline, grid_scan={"shape": [4, 5]}) == {uid: "the settings say something else of it by now"}
    assert stale(beamline, another_plan={"shape": [4, 5]}) == {}


def test_a_run_that_dagster_never_made_is_found_for_some_days_and_not_while_the_stop_sensor_may_be_at_it(beamline: Beamline) -> None:
    uid = acquire(beamline, 0)
    assert stale(beamline) == {uid: "it was not made in Dagster, or failed"}
    assert stale(beamline, timedelta(minutes=30)) == {}
    assert stale(beamline, timedelta(days=8)) == {}


def test_a_run_whose_frames_were_not_all_there_is_found_for_some_days(beamline: Beamline, materialise) -> None:
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(18)))  # the documents announce 20
    beamline.acquire(documents)
    uid = documents[0].doc["uid"]
    assert materialise(uid).success
    assert stale(beamline) == {uid: "2 of its frames were not there"}
    assert stale(beamline, timedelta(days=8)) == {}


@pytest.mark.parametrize("asset", ["nexus_file", "line_fits"])
def test_a_run_of_which_an_asset_failed_is_found_for_some_days_until_all_are_made(asset: str, beamline: Beamline, materialise) -> None:
    uid = acquire(beamline, 0, wpb={"fit": {"model": "gaussian", "channels": ["total"]}})
    blocked = beamline.results.folder(uid) / {"nexus_file": NEXUS, "line_fits": LINE_FITS}[asset]
    blocked.mkdir()
    assert not materialise(uid).success
    with psycopg.connect(beamline.database_url) as connection:
        connection.execute("UPDATE runs SET ended_at = ended_at - interval '2 hours'")
    assert stale(beamline) == {uid: "not all of its assets could be made"}
    assert stale(beamline, timedelta(minutes=30)) == {}, "somebody may be at it"
    assert stale(beamline, timedelta(days=8)) == {}
    blocked.rmdir()
    assert materialise(uid).success
    assert stale(beamline) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE revisions SET code_version = '0' WHERE revision <> 'live'", "its recipe is another one by now"),
        ("UPDATE revisions SET code_version = NULL, settings = NULL", "the settings say something else of it by now"),
        ("UPDATE runs SET ended_seq = nextval('runs_ended_seq')", "documents came after it was made"),
    ],
)
def test_a_run_made_by_other_code_or_before_it_ended_anew_is_found_however_old_it_is(
    change: str, reason: str, beamline: Beamline, materialise
) -> None:
    uid = acquire(beamline, 0)
    assert materialise(uid).success
    with psycopg.connect(beamline.database_url) as connection:
        connection.execute(change.encode())
    assert stale(beamline, timedelta(days=1000)) == {uid: reason}


def test_runs_that_stream_or_have_nothing_to_reconstruct_are_never_found(beamline: Beamline) -> None:
    file = write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20))
    beamline.begin(raster(file))
    beamline.acquire(raster(file, camera=False))
    assert stale(beamline) == {}


def test_the_nightly_run_makes_stale_runs_again_with_what_was_asked_for_before_and_then_there_are_none(
    beamline: Beamline, reprocess: Reprocess, instance: dg.DagsterInstance, definitions: dg.Definitions, resources_of: Mapping[str, Any]
) -> None:
    uids = [acquire(beamline, number) for number in range(2)]
    assert reprocess(runs=uids[:1], wpb=REGIONS).success
    assert reprocess(runs=uids[1:]).success
    with psycopg.connect(beamline.database_url) as connection:
        connection.execute("UPDATE revisions SET code_version = '0' WHERE revision <> 'live'")
        connection.execute("UPDATE runs SET ended_at = ended_at - interval '2 hours'")
    (request,) = schedule_of("reprocess_stale").evaluate_tick(dg.build_schedule_context(instance)).run_requests or []
    job = definitions.resolve_job_def("reprocess")
    result = job.execute_in_process(run_config=request.run_config, instance=instance)
    with CatalogueReader(beamline.database_url) as reader:
        rows = [reader.revision(uid) for uid in uids]
    assert [row.revision for row in rows if row] == [result.run_id] * 2
    made = stored_maps(beamline.results, uids[0])
    assert made is not None
    assert list(made.channels) == ["top", "total"]
    np.testing.assert_array_equal(made.channels["top"], expected(0, slice(0, 2)))
    assert stale(beamline) == {}
    again = job.execute_in_process(run_config=request.run_config, instance=instance)
    assert again.success
    assert again.get_asset_materialization_events() == []


def schedule_of(name: str) -> dg.ScheduleDefinition:
    return defs.get_repository_def().get_schedule_def(name)


def test_stale_runs_are_made_again_each_night_unless_someone_stops_it() -> None:
    schedule = schedule_of("reprocess_stale")
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.job.name) == ("0 3 * * *", "UTC", "reprocess")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
