"""Checks of the scan itself, each failing for its own reason.

Without Dagster's engine, which takes ten times as long: test_direct holds direct calls to it, and in test_run checks fail in it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import numpy as np
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from tests.dagster.test_run import acquired
from wpb_dagster.direct import steps_of, walk
from wpb_dagster.files_seen import record_of
from wpb_dagster.provenance import provenance_tags
from wpb_stream.core.documents import Document

pytestmark = pytest.mark.integration

Checked = Callable[[str], Mapping[str, dg.AssetCheckEvaluation]]
_numbers = itertools.count()
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@pytest.fixture
def checked(definitions: dg.Definitions, resources_of: Mapping[str, Any]) -> Checked:
    """Makes the assets of a run, and gives its checks by their names."""
    steps = steps_of(definitions.resolve_job_def("reconstruct_scan"))

    def run(uid: str) -> Mapping[str, dg.AssetCheckEvaluation]:
        tags = dict(provenance_tags(f"r{next(_numbers)}", "a test"))
        walked = walk(steps, uid, dg.DagsterRun(job_name="reconstruct_scan", tags=tags), resources_of)
        return {check.check_name: check for check in walked.checks}

    return run


def stopped(documents: list[Document], status: str, reason: str = "") -> list[Document]:
    """The same run, ended otherwise."""
    stop = Document("stop", documents[-1].doc | {"exit_status": status, "reason": reason})
    return [*documents[:-1], stop]


def scan(beamline: Beamline, frames: int = 20) -> Path:
    return write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(frames))


def test_a_scan_that_was_stopped_is_told_how_far_it_came_and_only_warned_of(beamline: Beamline, checked: Checked) -> None:
    documents = stopped(raster(scan(beamline), points=13), "abort", "beam lost")
    beamline.acquire(documents)
    check = checked(documents[0].doc["uid"])["map_complete"]
    assert (check.passed, check.severity) == (False, WARN)
    assert "7 of 20 planned points have no value." in str(check.description)
    assert "ended after point 13 (abort: beam lost), and the last 7 were not measured" in str(check.description)
    assert check.metadata["points after the last one"].value == 7


def test_points_that_no_document_announced_are_an_error_of_a_run_that_ended_well(beamline: Beamline, checked: Checked) -> None:
    documents = raster(scan(beamline))
    del documents[5]  # points 6 to 8
    beamline.acquire(documents)
    check = checked(documents[0].doc["uid"])["map_complete"]
    assert (check.passed, check.severity) == (False, ERROR)
    assert "3 of 20 planned points have no value. For 3 no document announced anything" in str(check.description)


def test_points_whose_frames_are_missing_are_an_error_that_names_the_other_check(beamline: Beamline, checked: Checked) -> None:
    uid = acquired(beamline, random_frames(18))[0].doc["uid"]
    check = checked(uid)["map_complete"]
    assert (check.passed, check.severity) == (False, ERROR)
    assert "2 of 20 planned points have no value. 2 could not be read: see the check all_frames_found." in str(check.description)


def test_a_scan_of_unknown_length_is_complete_with_the_points_it_has(beamline: Beamline, checked: Checked) -> None:
    documents = raster(scan(beamline, 3), shape=())
    beamline.acquire(documents)
    check = checked(documents[0].doc["uid"])["map_complete"]
    assert (check.passed, check.metadata["points measured"].value) == (True, 3)


def with_readings(documents: list[Document], y: list[float], x: list[float], **start: Any) -> list[Document]:
    """The same run with an event a point that has the motors' readings, in the stream of the frames."""
    keys = {name: {"source": "sim", "dtype": "number", "shape": []} for name in ("stage-y", "stage-x")}
    descriptor = documents[1].doc | {"data_keys": documents[1].doc["data_keys"] | keys}
    events = [
        {
            "uid": str(uuid4()),
            "descriptor": descriptor["uid"],
            "seq_num": k,
            "time": float(k),
            "data": {"stage-y": one, "stage-x": other},
            "timestamps": {"stage-y": 0.0, "stage-x": 0.0},
            "filled": {},
        }
        for k, (one, other) in enumerate(zip(y, x, strict=True), start=1)
    ]
    described = [Document("start", documents[0].doc | start), Document("descriptor", descriptor), *documents[2:-1]]
    return [*described, *(Document("event", event) for event in events), documents[-1]]


def snake() -> tuple[list[float], list[float]]:
    """Where the motors are on a raster of 4 x 5 points."""
    return [float(k // 5) for k in range(20)], [float(k % 5 if k // 5 % 2 == 0 else 4 - k % 5) for k in range(20)]


@pytest.mark.parametrize("joined", [False, True])
def test_a_reading_further_than_half_a_step_outside_is_named_by_its_point_and_axis(
    joined: bool, beamline: Beamline, checked: Checked
) -> None:
    y, x = snake()
    x[4] += 0.49
    x[7] = 4.51
    y[0] = -0.6
    asked = {"wpb": {"positions": "measured"}} if joined else {}
    documents = with_readings(raster(scan(beamline)), y, x, **asked)
    beamline.acquire(documents)
    check = checked(documents[0].doc["uid"])["positions_within_extents"]
    assert (check.passed, check.severity) == (False, ERROR)
    assert "1 along stage-y (points 0); 1 along stage-x (points 7)" in str(check.description)
    assert check.metadata["measured: stage-x"].value == "0 to 4.51"


def test_readings_within_the_extents_pass_and_are_told(beamline: Beamline, checked: Checked) -> None:
    documents = with_readings(raster(scan(beamline)), *snake())
    beamline.acquire(documents)
    check = checked(documents[0].doc["uid"])["positions_within_extents"]
    assert (check.passed, check.description) == (True, "All readings of stage-y and stage-x lie within the planned extents.")


def test_without_readings_and_for_relative_plans_there_is_nothing_to_compare(beamline: Beamline, checked: Checked) -> None:
    silent = acquired(beamline, random_frames(20))[0].doc["uid"]
    y, x = snake()
    relative = with_readings(raster(scan(beamline)), [value + 100 for value in y], x, plan_name="rel_grid_scan")
    beamline.acquire(relative)
    checks = [checked(uid)["positions_within_extents"] for uid in (silent, relative[0].doc["uid"])]
    assert [check.passed for check in checks] == [True, True]
    assert "not measured point by point" in str(checks[0].description)
    assert "relative to where the motors stood" in str(checks[1].description)


def old(path: Path) -> Path:
    """A file that was written an hour ago."""
    then = path.stat().st_mtime - 3600
    os.utime(path, (then, then))
    return path


def after(beamline: Beamline, checked: Checked, change: Callable[[Path], object], frames: np.ndarray | None = None):
    """The check of a run, materialised before its file was changed and after."""
    file = old(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20) if frames is None else frames))
    documents = raster(file)
    beamline.acquire(documents)
    uid = documents[0].doc["uid"]
    before = checked(uid)["file_unchanged"]
    assert (before.passed, before.description) == (True, "All 1 files are what they were when they were first read.")
    change(file)
    return uid, checked(uid)["file_unchanged"]


def test_a_file_with_other_bytes_is_an_error_that_names_it_and_says_what_to_do(beamline: Beamline, checked: Checked) -> None:
    def overwrite(file: Path) -> None:
        when = file.stat().st_mtime_ns
        value = bytearray(file.read_bytes())
        value[-2000:-1000] = bytes(1000)
        file.write_bytes(value)
        os.utime(file, ns=(when, when))

    uid, check = after(beamline, checked, overwrite, np.full((20, 64, 64), 7, np.uint8))
    assert (check.passed, check.severity) == (False, ERROR)
    assert "scan.h5 has other bytes than before in 1 of 16 sampled blocks" in str(check.description)
    assert str(record_of(beamline.results, uid)) in str(check.description)
    record_of(beamline.results, uid).unlink()
    assert checked(uid)["file_unchanged"].passed


def test_a_file_that_lost_bytes_or_is_gone_is_an_error(beamline: Beamline, checked: Checked) -> None:
    size = []

    def cut(file: Path) -> None:
        size.append(file.stat().st_size)
        os.truncate(file, size[0] - 100)

    _, shorter = after(beamline, checked, cut)
    assert (shorter.passed, shorter.severity) == (False, ERROR)
    assert f"has {size[0] - 100} bytes and had {size[0]}" in str(shorter.description)
    _, gone = after(beamline, checked, Path.unlink)
    assert (gone.passed, gone.severity) == (False, ERROR)
    assert "can no longer be read" in str(gone.description)


@pytest.mark.parametrize(("change", "told"), [(Path.touch, "was written to since"), (None, "has grown from")])
def test_a_file_that_was_touched_or_grew_is_a_warning(change: Any, told: str, beamline: Beamline, checked: Checked) -> None:
    def grow(file: Path) -> None:
        with file.open("ab") as opened:
            opened.write(bytes(100))

    _, check = after(beamline, checked, change or grow)
    assert (check.passed, check.severity) == (False, WARN)
    assert told in str(check.description)


def test_a_file_that_its_writer_finished_after_it_was_first_read_counts_as_it_is_then(beamline: Beamline, checked: Checked) -> None:
    documents = raster(scan(beamline))
    beamline.acquire(documents)
    uid = documents[0].doc["uid"]
    assert checked(uid)["file_unchanged"].passed
    with (beamline.roots.roots[0] / "scan.h5").open("ab") as opened:
        opened.write(bytes(100))
    assert checked(uid)["file_unchanged"].passed
