"""The documents of a run, in whatever order and however often they come, and the frames they ask for."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.documents import CAMERA, MOTOR, Acquisition, apply_all, raster_run, recipe_for, visited_run, winners
from wpb_stream.core import run as run_module
from wpb_stream.core import scalars
from wpb_stream.core.documents import MAX_INDEX, Document
from wpb_stream.core.run import MAX_NOTICES, Run
from wpb_stream.core.runs import Runs
from wpb_stream.core.scalars import Scalars


def codes(run: Run) -> set[str]:
    return {notice.code for notice in run.notices} - {"regions_guessed", "snaking_guessed"}


def run_of(documents: list[Document]) -> Run:
    runs = Runs(recipe_for)
    (run,) = {applied.run.uid: applied.run for document in documents for applied in runs.apply(document)}.values()
    return run


# --- one run ---


@pytest.mark.parametrize("frames_per_datum", [1, 5, 12])
def test_each_point_asks_for_the_frame_of_its_index(frames_per_datum: int) -> None:
    refs = apply_all(raster_run(frames_per_datum=frames_per_datum))
    assert [(ref.point, ref.index) for ref in refs] == [(k, k) for k in range(12)]
    assert refs[0].file.uri == "file://localhost/data/camera.h5"
    assert refs[0].file.parameters == {"dataset": "/entry/data/data"}


@pytest.mark.parametrize(
    ("shape", "believed"),
    [([5, 30, 40], (5, 30, 40)), ([30, 40], (30, 40)), ([None, 30, 40], None), ([0, 30, 40], (0, 30, 40)), ([-1, 30, 40], None)],
)
def test_the_reader_is_told_the_shape_that_the_descriptor_gives_unless_it_is_none(shape: list[Any], believed: Any) -> None:
    run = Acquisition()
    stream, file = run.stream(camera={**CAMERA, "shape": shape}), run.file(multiplier=3)
    run.frames(stream, file, 2, 1)
    (ref,) = apply_all(run.documents)
    assert (ref.index, ref.file.shape, ref.file.parameters["multiplier"]) == (2, believed, 3)


def test_a_point_measured_again_after_a_pause_asks_for_the_later_frame() -> None:
    refs = apply_all(visited_run([1, 2, 3, 2, 3, 4]))
    assert {point: index for point, (_, index) in winners(refs).items()} == {0: 0, 1: 3, 2: 4, 3: 5}


def test_an_earlier_frame_announced_late_does_not_replace_a_later_one() -> None:
    *before, earlier, later, stop = visited_run([1, 1])
    assert [ref.index for ref in apply_all([*before, later, earlier, stop])] == [1]


def test_a_frame_in_a_later_file_counts_more_than_any_in_an_earlier_one() -> None:
    refs = apply_all(visited_run([1, 2, 3, 2], files=2))
    assert winners(refs)[1] == (refs[-1].file.uid, 1)
    assert refs[-1].version > refs[0].version + MAX_INDEX - 4


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_duplicates_change_nothing(seq_nums: list[int], order: random.Random) -> None:
    documents = visited_run(seq_nums)
    again = documents.copy()
    for document in order.sample(documents, len(documents) // 2 + 1):
        again.insert(order.randrange(again.index(document), len(again) + 1), document)
    assert apply_all(again) == apply_all(documents)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.booleans(), st.randoms(use_true_random=False))
def test_documents_in_any_order_ask_for_the_same_frames_in_the_end(seq_nums: list[int], names_run: bool, order: random.Random) -> None:
    run = Acquisition()
    stream, file, motors = run.stream(), run.file(names_run=names_run), run.stream("baseline", x=MOTOR)
    run.event(motors, x=1.0)
    for index, seq_num in enumerate(seq_nums):
        run.frames(stream, file, index, seq_num)
    run.event(motors, x=2.0)
    run.stop()
    shuffled = order.sample(run.documents, len(run.documents))
    runs = Runs(recipe_for)
    applied = [applied for document in shuffled for applied in runs.apply(document)]
    refs = [ref for each in applied for ref in each.frames]
    assert winners(refs) == winners(apply_all(run.documents))
    assert runs.parked == 0
    # Each document is handed on once: the catalogue learns from it which run they belong to.
    assert sorted(each.document.uid for each in applied) == sorted(document.uid for document in run.documents)


def test_a_scan_that_goes_on_beyond_its_shape_fills_the_map_and_says_so() -> None:
    documents = raster_run((3, 4), points=20, frames_per_datum=7)
    assert [ref.point for ref in apply_all(documents)] == list(range(12))
    run = run_of(documents)
    assert codes(run) == {"overrun"}
    assert len([notice for notice in run.notices if notice.code == "overrun"]) == 1


def test_a_scan_that_ends_early_asks_for_what_there_is() -> None:
    documents = raster_run((3, 4), points=5)
    assert [ref.point for ref in apply_all(documents)] == list(range(5))
    assert codes(run_of(documents)) == set()


def test_a_datum_without_width_asks_for_nothing() -> None:
    run = Acquisition()
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 5, 3, width=0)
    assert apply_all(run.documents) == []


def test_a_run_without_a_recipe_is_followed_without_frames() -> None:
    documents = raster_run((), points=2)
    run = run_of(documents)
    assert apply_all(documents) == []
    assert codes(run) == {"no_recipe"}
    assert run.status == "success"


@pytest.mark.parametrize("exit_status", ["success", "abort", "fail"])
def test_the_status_is_that_of_the_first_stop_document(exit_status: str) -> None:
    run = Acquisition()
    state = run_of(run.documents)
    assert state.status == "running"
    run.stop(exit_status)
    state.apply(run.documents[-1])
    state.apply(Document("stop", {**run.documents[-1].doc, "uid": "other", "exit_status": "fail"}))
    assert state.status == exit_status


def test_frames_announced_after_the_stop_document_are_still_asked_for() -> None:
    *documents, datum, stop = raster_run()
    assert [ref.point for ref in apply_all([*documents, stop, datum])] == list(range(12))


# --- streams and detectors ---


def test_only_the_stream_and_the_detector_of_the_map_are_read() -> None:
    run = Acquisition()
    scalars = {"source": "sim", "shape": [1], "dtype": "number", "external": "STREAM:"}
    monitor = run.stream("monitor", current=scalars)
    primary = run.stream("primary", camera=CAMERA, sum=scalars)
    current, camera, total = run.file("current"), run.file("camera"), run.file("sum")
    for index in range(3):
        run.frames(monitor, current, index, index + 1)
        run.frames(primary, total, index, index + 1)
        run.frames(primary, camera, index, index + 1)
    refs = apply_all(run.documents)
    assert [(ref.file.data_key, ref.point) for ref in refs] == [("camera", 0), ("camera", 1), ("camera", 2)]


def test_the_first_of_several_cameras_is_read_and_the_choice_is_told() -> None:
    run = Acquisition()
    stream = run.stream("primary", left=CAMERA, right=CAMERA)
    run.frames(stream, run.file("right"), 0, 1)
    run.frames(stream, run.file("left"), 0, 1)
    assert [ref.file.data_key for ref in apply_all(run.documents)] == ["left"]
    assert codes(run_of(run.documents)) == {"detector_guessed"}


def test_the_detector_that_the_metadata_names_is_read() -> None:
    run = Acquisition(wpb={"data_key": "right"})
    stream = run.stream("primary", left=CAMERA, right=CAMERA)
    run.frames(stream, run.file("left"), 0, 1)
    run.frames(stream, run.file("right"), 0, 1)
    assert [ref.file.data_key for ref in apply_all(run.documents)] == ["right"]
    assert codes(run_of(run.documents)) == set()


def test_units_are_those_of_the_first_descriptor_that_has_them() -> None:
    run = Acquisition()
    run.stream("primary", x={**MOTOR, "units": ""}, camera=CAMERA)
    run.stream("baseline", x={**MOTOR, "units": "um"})
    state = run_of(run.documents)
    assert state.units("x") == "um"
    assert state.units("y") is None


def test_a_stream_described_again_goes_on() -> None:
    run = Acquisition()
    first, file = run.stream(), run.file()
    run.frames(first, file, 0, 1)
    run.frames(run.stream(), file, 1, 2)
    assert [ref.point for ref in apply_all(run.documents)] == [0, 1]


# --- notices ---


def test_a_notice_is_told_once() -> None:
    run = Run({"uid": "a"}, None)
    for _ in range(3):
        run.notice("overrun", "Too far.")
    assert [notice.code for notice in run.notices] == ["no_recipe", "overrun"]


def test_notices_of_one_kind_are_bounded_and_the_last_says_that_there_were_more() -> None:
    run = Run({"uid": "a"}, None)
    for number in range(10_000):
        run.notice("frame_missing", f"Frame {number} did not appear.")
    run.notice("overrun", "Too far.")
    told = [notice.message for notice in run.notices if notice.code == "frame_missing"]
    assert len(told) == MAX_NOTICES + 1
    assert "more of this kind" in told[-1]
    assert run.notices[-1].code == "overrun"


# --- what it costs ---


def test_a_datum_of_a_million_points_is_taken_in_without_an_object_for_those_seen_before() -> None:
    run = Acquisition((1000, 1000))
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1, 1_000_000)
    runs = Runs(recipe_for)
    assert len(apply_all(run.documents, runs)) == 1_000_000
    assert apply_all([Document("stream_datum", {**run.documents[-1].doc, "uid": "again"})], runs) == []


def test_what_a_detector_writes_is_looked_at_once_however_many_frames_it_announces(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def datasets_of(*args: Any) -> Scalars | None:
        looked.append(args[2])
        return scalars.datasets_of(*args)

    monkeypatch.setattr(run_module, "datasets_of", datasets_of)
    assert len(apply_all(raster_run())) == 12
    assert looked == ["camera"]
