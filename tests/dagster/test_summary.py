"""The summary of a run, the versions of what it is made of, and the tags of the Dagster run that made it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.data_version import extract_data_version_from_entry

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from tests.dagster.test_run import acquired, made_of, metadata_of
from tests.dagster.test_scan_checks import stopped

pytestmark = pytest.mark.integration

Materialise = Callable[[str], dg.ExecuteInProcessResult]
MINIMAL = ("documents", "summary")


def summary_in(beamline: Beamline, uid: str) -> dict[str, Any]:
    return json.loads((beamline.results.folder(uid) / "summary.json").read_text())


def versions_of(instance: dg.DagsterInstance, uid: str) -> dict[str, str | None]:
    """By asset the data version of its newest materialisation for a run."""
    found: dict[str, str | None] = {}
    for name in ("documents", "frames", "point_values", "maps"):
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[uid])
        (record,) = instance.fetch_materializations(wanted, limit=1).records
        version = extract_data_version_from_entry(record.event_log_entry)
        found[name] = version.value if version else None
    return found


def test_the_summary_says_what_was_scanned_how_it_ended_what_is_missing_and_what_each_check_found(
    beamline: Beamline, materialise: Materialise
) -> None:
    frames = random_frames(18)
    uid = acquired(beamline, frames, instrument="i22", data_session="cm1")[0].doc["uid"]
    result = materialise(uid)
    told = summary_in(beamline, uid)
    assert (told["run"], told["scan_id"], told["plan"], told["status"], told["shape"]) == (uid, 7, "grid_scan", "success", [4, 5])
    assert told["frames"] == {"expected": 20, "found": 18, "missing": 2}
    assert told["tags"]["wpb/instrument"] == "i22"
    totals = frames.sum(axis=(1, 2), dtype=np.float64)
    (total,) = [each for each in told["maps"] if each["channel"] == "total"]
    assert (total["measured"], total["lowest"], total["mean"], total["highest"]) == (18, totals.min(), totals.mean(), totals.max())
    assert {each["check"]: each["passed"] for each in told["checks"]} == {
        "all_frames_found": False,
        "file_unchanged": True,
        "live_equals_batch": True,
        "map_complete": False,
        "positions_within_extents": True,
        "values_finite": True,
    }
    assert told["links"]["viewer"] == f"http://viewer.example/?run={uid}"
    assert told["links"]["NeXus file"] == str(beamline.results.folder(uid) / "maps.nxs")
    metadata = metadata_of(result, "summary")
    assert metadata["checks not passed"] == "all_frames_found, map_complete"
    assert "Frames: 18 of 20, **2 missing**" in str(metadata["summary"])
    assert str(metadata["summary"]) == (beamline.results.folder(uid) / "summary.md").read_text()


def test_the_summary_comes_last_after_every_check_and_what_is_made_where_it_is_asked_for(
    beamline: Beamline, materialise: Materialise
) -> None:
    uid = acquired(beamline, random_frames(20), wpb={"fit": {"model": "polynomial", "degree": 1}})[0].doc["uid"]
    steps = [event.step_key for event in materialise(uid).all_events if event.event_type_value == "STEP_SUCCESS"]
    assert steps[-1] == "summary"
    assert "line_fits" in steps
    assert "fits" in summary_in(beamline, uid)["links"]


def test_a_summary_that_could_be_made_at_once_waits_for_the_checks(
    beamline: Beamline, materialise: Materialise, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    uid = acquired(beamline, random_frames(20))[0].doc["uid"]
    materialise(uid)
    selection = dg.AssetSelection.assets("summary") | dg.AssetSelection.checks_for_assets("maps", "point_values", "frames")
    job = dg.define_asset_job("again", selection=selection)
    again = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def("again")
    result = again.execute_in_process(instance=instance, partition_key=uid)
    steps = [event.step_key for event in result.all_events if event.event_type_value == "STEP_SUCCESS"]
    assert (len(steps), steps[-1]) == (7, "summary")


def test_a_summary_made_again_by_itself_tells_the_checks_that_were_made_before(
    beamline: Beamline, materialise: Materialise, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    uid = acquired(beamline, random_frames(20))[0].doc["uid"]
    materialise(uid)
    job = definitions.resolve_job_def("reconstruct_scan")
    job.execute_in_process(instance=instance, partition_key=uid, asset_selection=[dg.AssetKey("summary")])
    assert len(summary_in(beamline, uid)["checks"]) == 6


def test_of_a_run_that_failed_without_any_frame_there_is_a_summary_with_the_reason(
    beamline: Beamline, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    documents = stopped(raster(beamline.roots.roots[0] / "none.h5", camera=False), "fail", "the shutter is closed")
    beamline.acquire(documents)
    uid = documents[0].doc["uid"]
    instance.add_dynamic_partitions("run", [uid])
    job = definitions.resolve_job_def("reconstruct_scan")
    result = job.execute_in_process(instance=instance, partition_key=uid, asset_selection=[dg.AssetKey(name) for name in MINIMAL])
    assert made_of(result) == set(MINIMAL)
    told = summary_in(beamline, uid)
    assert (told["status"], told["frames"], told["maps"], told["checks"]) == ("fail", None, [], [])


def test_recomputed_with_the_same_result_every_asset_has_the_version_it_had(
    beamline: Beamline, materialise: Materialise, instance: dg.DagsterInstance
) -> None:
    uid = acquired(beamline, random_frames(20))[0].doc["uid"]
    materialise(uid)
    first = versions_of(instance, uid)
    materialise(uid)
    assert versions_of(instance, uid) == first
    assert None not in first.values()


def test_other_frames_are_another_version_of_values_and_maps_and_of_nothing_before(
    beamline: Beamline, materialise: Materialise, instance: dg.DagsterInstance
) -> None:
    frames = random_frames(20)
    uid = acquired(beamline, frames)[0].doc["uid"]
    materialise(uid)
    first = versions_of(instance, uid)
    frames[3, 0, 0] ^= 1
    write_frames(beamline.roots.roots[0] / "scan.h5", frames)
    materialise(uid)
    again = versions_of(instance, uid)
    assert {name for name in first if first[name] != again[name]} == {"point_values", "maps"}


def test_a_dagster_run_that_no_sensor_launched_has_the_tags_a_scientist_remembers_too(
    beamline: Beamline, materialise: Materialise, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    uid = acquired(beamline, random_frames(20), instrument="i22", data_session="cm1")[0].doc["uid"]
    launched = [materialise(uid)]
    job = definitions.resolve_job_def("reconstruct_scan")
    for name in ("maps", "preview", "nexus_file", "line_statistics", "summary"):
        launched.append(job.execute_in_process(instance=instance, partition_key=uid, asset_selection=[dg.AssetKey(name)]))
    for result in launched:
        tags = instance.get_run_by_id(result.run_id).tags  # type: ignore[union-attr]
        assert {name: tags.get(f"wpb/{name}") for name in ("scan_id", "plan_name", "instrument", "data_session")} == {
            "scan_id": "7",
            "plan_name": "grid_scan",
            "instrument": "i22",
            "data_session": "cm1",
        }


def test_each_map_is_told_on_dagsters_page_and_its_mean_is_a_number_that_can_be_plotted(
    beamline: Beamline, materialise: Materialise
) -> None:
    frames = random_frames(20)
    uid = acquired(beamline, frames)[0].doc["uid"]
    metadata = metadata_of(materialise(uid), "maps")
    assert [record.data["channel"] for record in metadata["maps"].records] == ["red", "green", "blue", "total"]  # type: ignore[attr-defined]
    assert metadata["mean: total"] == frames.sum(axis=(1, 2), dtype=np.float64).mean()
