"""Many finished runs made again in one Dagster run: real catalogue, real files, a Dagster instance on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from wpb_dagster.io_managers import stored_maps
from wpb_stream.catalogue.reader import CatalogueReader

pytestmark = pytest.mark.integration

Reprocess = Callable[..., dg.ExecuteInProcessResult]
MADE = {"documents", "frames", "point_values", "maps", "preview", "nexus_file", "line_statistics"}


@pytest.fixture
def reprocess(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Reprocess:
    """Runs the job, in this process, with this run config."""

    def run(**config: Any) -> dg.ExecuteInProcessResult:
        job = definitions.resolve_job_def("reprocess")
        return job.execute_in_process(run_config={"ops": {"reprocess_each": {"config": config}}}, instance=instance, raise_on_error=False)

    return run


def acquire(beamline: Beamline, number: int, time: float | None = None, **metadata: Any) -> str:
    """A finished run whose frames are in a file of its own.

    :param time: when it started, seconds since 1970
    """
    file = write_frames(beamline.roots.roots[0] / f"scan-{number}.h5", random_frames(20, number))
    documents = raster(file, scan_id=number, **metadata)
    if time is not None:
        documents[0].doc["time"] = time
    beamline.acquire(documents)
    return documents[0].doc["uid"]


def expected(number: int, rows: slice) -> np.ndarray:
    """The map of the sums over some rows of the frames, every second row backwards."""
    totals = random_frames(20, number)[:, rows].sum(axis=(1, 2), dtype=np.float64).reshape(4, 5)
    totals[1::2] = totals[1::2, ::-1]
    return totals


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data
    return str(failure.user_failure_data.description if failure.user_failure_data else failure.error)


def test_runs_are_made_again_with_other_regions_and_each_is_a_materialisation_of_every_asset(
    beamline: Beamline, reprocess: Reprocess, instance: dg.DagsterInstance
) -> None:
    uids = [acquire(beamline, number, wpb={"arrays": ["mean_frame"]}) for number in range(3)]
    wpb = {"regions": {"top": {"rows": [0, 2]}}}
    result = reprocess(runs=[uids[0], uids[2]], wpb=wpb)
    assert result.success
    for number, uid in ((0, uids[0]), (2, uids[2])):
        made = stored_maps(beamline.results, uid)
        assert made is not None
        np.testing.assert_array_equal(made.channels["top"], expected(number, slice(0, 2)))
        with CatalogueReader(beamline.database_url) as reader:
            row = reader.revision(uid)
        assert row is not None
        assert (row.revision, row.produced_by) == (result.run_id, f"dagster {result.run_id}")
        assert [channel.name for channel in row.info.channels] == ["top", "total"]
        assert row.info.arrays == ["mean_frame"], "other keys of the entry are what the start document says"
    with CatalogueReader(beamline.database_url) as reader:
        left = reader.revision(uids[1])
    assert left is not None
    assert left.revision == "live"
    assert set(instance.get_dynamic_partitions("run")) == {uids[0], uids[2]}
    for asset in (*MADE, "arrays"):
        records = instance.fetch_materializations(dg.AssetKey(asset), limit=10).records
        assert sorted(str(record.partition_key) for record in records) == sorted([uids[0], uids[2]])
        assert {record.event_log_entry.run_id for record in records} == {result.run_id}
        materialization = records[0].asset_materialization
        assert materialization is not None
        assert (materialization.tags or {})["dagster/code_version"] == "1"
    values = instance.fetch_materializations(dg.AssetKey("point_values"), limit=1).records[0].asset_materialization
    assert values is not None
    assert values.metadata["frames found"].value == 20
    assert values.metadata["check all_frames_found"].value == "passed"


def test_without_other_settings_the_maps_are_bit_for_bit_what_they_were(beamline: Beamline, reprocess: Reprocess) -> None:
    uid = acquire(beamline, 5)
    assert reprocess(runs=[uid]).success
    with CatalogueReader(beamline.database_url) as reader:
        before, after = reader.revision(uid, "live"), reader.revision(uid)
    assert before is not None
    assert after is not None
    assert after.revision != "live"
    assert beamline.results.load(after.file).data.tobytes() == beamline.results.load(before.file).data.tobytes()


def test_a_bad_run_stops_no_other_is_tried_again_and_told_with_its_error(
    beamline: Beamline, reprocess: Reprocess, instance: dg.DagsterInstance
) -> None:
    bad, good = acquire(beamline, 0), [acquire(beamline, 1), acquire(beamline, 2)]
    (beamline.results.folder(bad) / "documents.jsonl").mkdir()  # nothing can be written there
    result = reprocess(runs=[bad, *good], processes=1, attempts=3)
    assert not result.success
    assert "1 of 3 runs could not be made again" in failure_of(result)
    assert f"{bad}: documents: " in failure_of(result)
    records = instance.fetch_materializations(dg.AssetKey("nexus_file"), limit=10).records
    assert sorted(str(record.partition_key) for record in records) == sorted(good)
    told = [
        entry.user_message for entry in instance.all_logs(result.run_id) if "failed" in entry.user_message and bad in entry.user_message
    ]
    assert ["tried again" in line for line in told if line[1] == "/"] == [True, True, False]


def test_what_fits_no_run_is_told_in_a_sentence_and_leaves_the_revision_that_is_there(beamline: Beamline, reprocess: Reprocess) -> None:
    uid = acquire(beamline, 0)
    result = reprocess(runs=[uid], wpb={"regions": {"red": {"rows": [9, 2]}}}, attempts=1)
    assert not result.success
    assert "wpb.regions.red" in failure_of(result)
    assert "best guess" not in failure_of(result)
    with CatalogueReader(beamline.database_url) as reader:
        row = reader.revision(uid)
    assert row is not None
    assert row.revision == "live"


def test_runs_are_chosen_by_when_they_started_their_plan_and_how_they_ended(beamline: Beamline, reprocess: Reprocess, instance) -> None:
    wanted = acquire(beamline, 0, plan_name="demo_plan", time=1_780_272_000.0)  # 2026-06-01T00:00Z
    acquire(beamline, 1, plan_name="demo_plan", time=1_780_271_999.0)
    acquire(beamline, 2, plan_name="grid_scan", time=1_780_272_000.0)
    acquire(beamline, 3, plan_name="demo_plan", time=1_780_358_400.0)
    assert reprocess(since="2026-06-01", until="2026-06-02", plan="demo_plan", status="success").success
    assert instance.get_dynamic_partitions("run") == [wanted]


def test_a_run_that_still_streams_is_left_out(beamline: Beamline, reprocess: Reprocess, instance) -> None:
    file = write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20))
    beamline.begin(raster(file, plan_name="demo_plan"))
    ended = acquire(beamline, 1, plan_name="demo_plan")
    assert reprocess(plan="demo_plan").success
    assert instance.get_dynamic_partitions("run") == [ended]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "say which runs"),
        ({"runs": ["u"], "plan": "demo_plan"}, "say which runs"),
        ({"stale": True, "plan": "demo_plan"}, "say which runs"),
        ({"stale": True, "wpb": {"arrays": ["mean_frame"]}}, "does not go with"),
        ({"since": "June"}, "'June' is no day or time such as 2026-06-01"),
        ({"plan": "p", "wpb": {"region": {}}}, "did you mean 'regions'?"),
        ({"plan": "p", "processes": 0}, "greater than or equal to 1"),
        ({"runs": ["nobody"]}, "there is no run 'nobody' in the catalogue"),
    ],
)
def test_a_mistake_in_the_run_config_is_told_in_a_sentence(
    config: dict[str, Any], told: str, beamline: Beamline, reprocess: Reprocess
) -> None:
    assert told in failure_of(reprocess(**config))
