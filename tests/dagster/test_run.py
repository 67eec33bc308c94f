"""A finished run through the whole asset graph: real catalogue, real files, a Dagster instance on PostgreSQL."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import h5py
import numpy as np
import pytest
from event_model import compose_run
from PIL import Image

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from wpb_dagster.checks import live_equals_batch
from wpb_dagster.io_managers import stored_maps
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.board import Versioned
from wpb_stream.core.documents import Document
from wpb_stream.core.table import PointTable

pytestmark = pytest.mark.integration

Materialise = Callable[[str], dg.ExecuteInProcessResult]
ASSETS = {"documents", "frames", "point_values", "maps", "preview", "nexus_file", "line_statistics", "summary"}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def made_of(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}


def acquired(beamline: Beamline, frames: np.ndarray, **scan: object) -> list[Document]:
    file = write_frames(beamline.roots.roots[0] / "scan.h5", frames)
    documents = raster(file, **scan)  # type: ignore[arg-type]
    beamline.acquire(documents)
    return documents


def test_a_finished_scan_gives_its_maps_its_picture_and_a_nexus_file_and_passes_all_checks(
    beamline: Beamline, materialise: Materialise
) -> None:
    frames = random_frames(20)
    uid = acquired(beamline, frames)[0].doc["uid"]
    result = materialise(uid)
    assert result.success
    assert made_of(result) == ASSETS
    assert {name: check.passed for name, check in checks_of(result).items()} == {
        "all_frames_found": True,
        "file_unchanged": True,
        "live_equals_batch": True,
        "map_complete": True,
        "positions_within_extents": True,
        "values_finite": True,
    }
    expected = frames.sum(axis=(1, 2), dtype=np.float64).reshape(4, 5)
    expected[1::2] = expected[1::2, ::-1]
    maps = stored_maps(beamline.results, uid)
    assert maps is not None
    np.testing.assert_array_equal(maps.channels["total"], expected)
    picture = Image.open(io.BytesIO(beamline.results.preview(uid) or b""))
    assert picture.format == "PNG"
    with h5py.File(beamline.results.folder(uid) / "maps.nxs") as file:
        np.testing.assert_array_equal(file["entry/maps/total"][...], expected)
        assert list(file["entry/maps"].attrs["axes"]) == ["stage_y", "stage_x"]


def test_the_metadata_say_what_people_look_for(beamline: Beamline, materialise: Materialise) -> None:
    uid = acquired(beamline, random_frames(20))[0].doc["uid"]
    result = materialise(uid)
    values = metadata_of(result, "point_values")
    assert (values["scan id"], values["plan"], values["shape (slow axis first)"]) == (7, "grid_scan", "4 x 5")
    assert (values["frames expected"], values["frames found"], values["frames missing"]) == (20, 20, 0)
    assert values["viewer"] == f"http://viewer.example/?run={uid}"
    preview = metadata_of(result, "preview")
    assert preview["preview"] == f"![preview](http://viewer.example/api/runs/{uid}/preview.png)"
    assert str(preview["preview (kept here)"]).startswith("![preview](data:image/png;base64,")
    assert Path(str(metadata_of(result, "nexus_file")["NeXus file"])).exists()


def test_the_statistics_of_each_line_are_a_table_and_a_file(beamline: Beamline, materialise: Materialise) -> None:
    frames = random_frames(20)
    uid = acquired(beamline, frames)[0].doc["uid"]
    found = metadata_of(materialise(uid), "line_statistics")
    assert found["lines"] == 4 * 4
    with Path(str(found["file"])).open(newline="") as file:
        rows = list(csv.DictReader(file))
    totals = frames.sum(axis=(1, 2), dtype=np.float64).reshape(4, 5)
    totals[1::2] = totals[1::2, ::-1]
    for line, row in enumerate([row for row in rows if row["channel"] == "total"]):
        assert (row["line"], float(row["maximum"]), float(row["minimum"])) == (str(line), totals[line].max(), totals[line].min())
        assert (float(row["maximum at"]), float(row["minimum at"])) == (totals[line].argmax(), totals[line].argmin())


def test_what_is_accumulated_is_an_asset_a_part_of_the_nexus_file_and_checked(beamline: Beamline, materialise: Materialise) -> None:
    frames = random_frames(20)
    uid = acquired(beamline, frames, wpb={"arrays": ["mean_frame", "maximum_frame"]})[0].doc["uid"]
    result = materialise(uid)
    assert made_of(result) == ASSETS | {"arrays"}
    mean = (frames.sum(axis=0) / 20).astype(np.float32)
    with h5py.File(beamline.results.folder(uid) / "maps.nxs") as file:
        np.testing.assert_array_equal(file["entry/arrays/mean_frame/data"][...], mean)
        np.testing.assert_array_equal(file["entry/arrays/maximum_frame/data"][...], frames.max(axis=0))
    metadata = metadata_of(result, "arrays")
    told = [record.data for record in metadata["arrays"].records]  # type: ignore[attr-defined]
    assert [(row["name"], row["shape"], row["highest"]) for row in told] == [
        ("mean_frame", "12 x 16", f"{mean.max():.6g}"),
        ("maximum_frame", "12 x 16", f"{frames.max()}"),
    ]
    assert str(metadata["images"]).startswith("![preview](data:image/png;base64,")
    check = checks_of(result)["live_equals_batch"]
    assert (check.passed, check.description) == (True, "All 4 maps and 2 arrays are equal to the last bit.")


@pytest.mark.parametrize("lost", [False, True])
def test_an_accumulated_image_that_differs_fails_the_check(beamline: Beamline, materialise: Materialise, lost: bool) -> None:
    frames = random_frames(20)
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", frames), wpb={"arrays": ["mean_frame", "maximum_frame"]})
    live, _ = beamline.reconstruct(documents, "live")
    arrays = dict(live.reconstruction.arrays)
    mean = arrays.pop("mean_frame").values.copy()
    if not lost:
        mean[3, 4] = np.nextafter(mean[3, 4], np.float32(np.inf))
        arrays["mean_frame"] = Versioned(mean)
    beamline.acquire(documents, arrays=arrays)
    check = checks_of(materialise(documents[0].doc["uid"]))["live_equals_batch"]
    assert not check.passed
    assert "what was made besides: mean_frame." in str(check.description)


def test_the_fits_a_plan_asks_for_are_a_table_and_a_file(beamline: Beamline, materialise: Materialise) -> None:
    frames = random_frames(20)
    wpb = {"fit": {"model": "polynomial", "degree": 2}}
    uid = acquired(beamline, frames, wpb=wpb)[0].doc["uid"]
    result = materialise(uid)
    assert made_of(result) == {*ASSETS, "arrays", "line_fits"}
    found = metadata_of(result, "line_fits")
    assert (found["model"], found["lines"]) == ("polynomial of degree 2", 4)
    with Path(str(found["file"])).open(newline="") as file:
        rows = list(csv.DictReader(file))
    totals = frames.sum(axis=(1, 2), dtype=np.float64).reshape(4, 5)
    totals[1::2] = totals[1::2, ::-1]
    for line, row in enumerate(rows):
        assert (row["channel"], row["line"]) == ("total", str(line))
        expected, covariance = np.polyfit(np.arange(5), totals[line], 2, cov=True)
        np.testing.assert_allclose([float(row[f"c{k}"]) for k in range(3)], expected[::-1], rtol=1e-6)
        np.testing.assert_allclose([float(row[f"c{k}_stderr"]) for k in range(3)], np.sqrt(np.diag(covariance))[::-1], rtol=1e-4)


def test_a_scan_of_a_device_without_files_has_all_its_assets_and_passes_its_checks(beamline: Beamline, materialise: Materialise) -> None:
    run = compose_run(metadata={"plan_name": "grid_scan", "shape": [2, 3], "snaking": [False, True], "motors": ["y", "x"]})
    diode = {"source": "sim", "dtype": "number", "shape": []}
    described = run.compose_descriptor(name="primary", data_keys={"diode": diode})
    events = [described.compose_event(data={"diode": 0.1 * k}, timestamps={"diode": 0.0}, time=float(k + 1)) for k in range(6)]
    documents = [("start", run.start_doc), ("descriptor", described.descriptor_doc), *(("event", event) for event in events)]
    beamline.acquire([Document(name, dict(doc)) for name, doc in [*documents, ("stop", run.compose_stop())]])
    uid = run.start_doc["uid"]
    result = materialise(uid)
    assert made_of(result) == ASSETS
    assert all(check.passed for check in checks_of(result).values())
    maps = stored_maps(beamline.results, uid)
    assert maps is not None
    np.testing.assert_array_equal(maps.channels["diode"], [[0.0, 0.1, 0.2], [0.1 * 5, 0.1 * 4, 0.1 * 3]])
    frames = metadata_of(result, "frames")
    assert frames["file names"] == ""


def test_events_of_the_stream_that_lack_its_detector_are_told_and_cost_no_asset(beamline: Beamline, materialise: Materialise) -> None:
    frames = random_frames(20)
    start, described, *announced, stop = raster(write_frames(beamline.roots.roots[0] / "scan.h5", frames))
    # A second descriptor of the stream, which event-model would not compose: its device has numbers, and no files.
    diode = Document(
        "descriptor", {**described.doc, "uid": "diode", "data_keys": {"diode": {"source": "sim", "dtype": "number", "shape": []}}}
    )
    event = {"uid": "e", "descriptor": "diode", "seq_num": 3, "time": 1.0, "data": {"diode": 0.5}, "timestamps": {"diode": 0.0}}
    beamline.acquire([start, described, diode, Document("event", event), *announced, stop])
    result = materialise(start.doc["uid"])
    assert made_of(result) == ASSETS
    assert all(check.passed for check in checks_of(result).values())
    assert "lack 'camera'" in str(metadata_of(result, "frames")["notices"])
    maps = stored_maps(beamline.results, start.doc["uid"])
    assert maps is not None
    expected = frames.sum(axis=(1, 2), dtype=np.float64).reshape(4, 5)
    expected[1::2] = expected[1::2, ::-1]
    np.testing.assert_array_equal(maps.channels["total"], expected)


def test_the_recomputed_values_are_a_new_revision_in_the_catalogue(beamline: Beamline, materialise: Materialise) -> None:
    uid = acquired(beamline, random_frames(20))[0].doc["uid"]
    result = materialise(uid)
    with CatalogueReader(beamline.database_url) as reader:
        newest = reader.revision(uid)
    assert newest is not None
    assert (newest.revision, newest.produced_by, newest.rows) == (result.run_id, f"dagster {result.run_id}", 20)
    assert (newest.info.status, newest.info.stopped is not None) == ("success", True)
    assert beamline.results.load(newest.file).rows == 20


def test_one_changed_live_value_fails_the_check_which_names_the_cell(beamline: Beamline, materialise: Materialise) -> None:
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20)))
    _, table = beamline.reconstruct(documents, "live")
    assert table is not None
    changed = table.data.copy()
    changed["green"][7] = np.nextafter(changed["green"][7], np.inf)  # the third point of the second row, which runs backwards
    beamline.acquire(documents, PointTable.from_array(changed))
    check = checks_of(materialise(documents[0].doc["uid"]))["live_equals_batch"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "1 in green" in str(check.description)
    assert check.metadata["differing cells: green"].value == 1
    assert check.metadata["differing cells: total"].value == 0
    (record,) = check.metadata["first differences"].records  # type: ignore[union-attr]
    assert (record.data["channel"], record.data["cell"]) == ("green", "[1, 2]")


def test_a_missing_frame_fails_the_check_with_the_count_and_leaves_its_cell_empty(beamline: Beamline, materialise: Materialise) -> None:
    uid = acquired(beamline, random_frames(18))[0].doc["uid"]  # the documents announce 20
    result = materialise(uid)
    checks = checks_of(result)
    assert result.success
    assert not checks["all_frames_found"].passed
    assert "2 of 20 frames are missing" in str(checks["all_frames_found"].description)
    assert checks["all_frames_found"].metadata["first missing points"].value == "18, 19"
    assert checks["live_equals_batch"].passed, "the live map lacks the same two"
    maps = stored_maps(beamline.results, uid)
    assert maps is not None
    assert np.argwhere(np.isnan(maps.channels["total"])).tolist() == [[3, 0], [3, 1]]


def test_a_frame_that_came_after_the_live_reconstruction_gave_up_is_told_as_late(beamline: Beamline, materialise: Materialise) -> None:
    uid = acquired(beamline, random_frames(19))[0].doc["uid"]
    write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20))
    checks = checks_of(materialise(uid))
    assert checks["all_frames_found"].passed
    assert not checks["live_equals_batch"].passed
    assert "their frames came late" in str(checks["live_equals_batch"].description)


def test_values_that_are_no_numbers_fail_the_check(beamline: Beamline, materialise: Materialise) -> None:
    frames = random_frames(20).astype(np.float32)
    frames[4, 0, 0] = np.nan
    uid = acquired(beamline, frames)[0].doc["uid"]
    checks = checks_of(materialise(uid))
    assert not checks["values_finite"].passed
    assert "1 in red" in str(checks["values_finite"].description)
    assert checks["live_equals_batch"].passed


def test_without_a_live_revision_the_comparison_warns_and_says_why(beamline: Beamline, materialise: Materialise) -> None:
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20)))
    beamline.acquire(documents, live=False)
    result = materialise(documents[0].doc["uid"])
    check = checks_of(result)["live_equals_batch"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "no live revision" in str(check.description)


def test_a_run_without_a_shape_is_a_line_as_long_as_its_points(beamline: Beamline, materialise: Materialise) -> None:
    frames = random_frames(3)
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", frames), shape=())
    beamline.acquire(documents)
    result = materialise(documents[0].doc["uid"])
    assert result.success
    made = stored_maps(beamline.results, documents[0].doc["uid"])
    assert made is not None
    np.testing.assert_array_equal(made.channels["total"], frames.astype(np.uint64).sum(axis=(1, 2)))
    assert all(check.passed for check in checks_of(result).values())


def test_a_run_without_frames_keeps_its_documents_and_skips_the_rest(beamline: Beamline, materialise: Materialise) -> None:
    documents = raster(Path("/nowhere.h5"), camera=False)
    beamline.acquire(documents)
    result = materialise(documents[0].doc["uid"])
    assert result.success
    assert made_of(result) == {"documents"}


def test_a_check_started_by_itself_takes_the_run_materialised_last_and_says_what_to_do_if_there_is_none(
    beamline: Beamline, materialise: Materialise, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = dg.define_asset_job("check", selection=dg.AssetSelection.checks(live_equals_batch))
    alone = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def("check")
    before = checks_of(alone.execute_in_process(instance=instance))["live_equals_batch"]
    uid = acquired(beamline, random_frames(20))[0].doc["uid"]
    materialise(uid)
    after = checks_of(alone.execute_in_process(instance=instance))["live_equals_batch"]
    assert (before.passed, "materialise a run first" in str(before.description)) == (False, True)
    assert (after.passed, after.metadata["run"].value) == (True, uid)


@pytest.mark.parametrize("uid", ["../../etc/x", "/", ".."])
def test_a_hostile_uid_leaves_nothing_outside_the_results_folder(
    uid: str, beamline: Beamline, materialise: Materialise, tmp_path: Path
) -> None:
    acquired(beamline, random_frames(20), uid=uid)
    assert materialise(uid).success
    made = {path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in (".npz", ".nxs", ".png", ".jsonl", ".json", ".md")}
    assert len(made) == 9
    assert {path.parent for path in made} == {beamline.results.folder(uid)}
    assert beamline.results.folder(uid).parent == beamline.results.root


def test_a_partition_of_a_run_that_the_catalogue_does_not_know_fails_with_a_sentence(beamline: Beamline, materialise: Materialise) -> None:
    result = materialise("nobody")
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert not result.success
    assert "The catalogue has no run nobody" in str(failure.event_specific_data.user_failure_data.description)  # type: ignore[union-attr]
