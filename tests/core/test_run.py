"""The documents of a run, in whatever order and however often they come, and the frames they ask for."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.corpus import OLDER_CAMERA, OlderAcquisition
from tests.helpers.documents import CAMERA, MOTOR, Acquisition, apply_all, raster_run, recipe_for, visited_run, winners
from wpb_stream.core import run as run_module
from wpb_stream.core import scalars
from wpb_stream.core.documents import MAX_INDEX, Document
from wpb_stream.core.run import MAX_NOTICES, Run
from wpb_stream.core.runs import Runs
from wpb_stream.core.scalars import Scalars
from wpb_stream.core.window import FrameRef


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


@settings(deadline=None, max_examples=200)
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


# --- several runs ---


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_interleaved_runs_do_not_mix(order: random.Random) -> None:
    waiting = [raster_run((2, 3)), raster_run((3, 2)), visited_run([1, 2, 1], (2, 2))]
    alone = {documents[0].uid: apply_all(documents) for documents in waiting}
    runs, refs = Runs(recipe_for), {uid: [] for uid in alone}
    while any(waiting):
        for applied in runs.apply(order.choice([documents for documents in waiting if documents]).pop(0)):
            refs[applied.run.uid].extend(applied.frames)
    assert refs == alone


def test_a_datum_between_two_runs_is_left_out_and_told() -> None:
    ours, other = Acquisition(), Acquisition()
    stream, file = ours.stream(), other.file()
    ours.frames(stream, file, 0, 1)
    runs = Runs(recipe_for)
    assert apply_all([*other.documents, *ours.documents], runs) == []
    assert codes(runs.apply(ours.documents[1])[0].run) == {"documents_contradict"}


def test_a_descriptor_of_a_uid_that_another_run_uses_steals_nothing() -> None:
    documents, thief = raster_run(), Acquisition()
    stolen = Document("descriptor", {**documents[1].doc, "run_start": thief.uid})
    runs = Runs(recipe_for)
    assert runs.owner(documents[1]) == documents[0].uid
    assert len(apply_all([*thief.documents, *documents[:2], stolen, *documents[2:]], runs)) == 12


def test_a_resource_without_a_run_belongs_to_the_run_of_its_first_datum() -> None:
    documents = raster_run(names_run=False)
    runs = Runs(recipe_for)
    assert len(apply_all(documents, runs)) == 12
    assert runs.owner(documents[2]) == documents[0].uid


def test_the_owner_of_a_document_is_known_as_soon_as_a_document_tells_it() -> None:
    documents = raster_run()
    runs = Runs(recipe_for)
    start, descriptor, resource, datum, stop = documents[0], documents[1], documents[2], documents[3], documents[-1]
    assert runs.owner(datum) is None
    assert [runs.owner(document) for document in (start, stop, descriptor, resource, datum)] == [start.uid] * 5


# --- waiting documents ---


def test_documents_wait_for_their_start_document() -> None:
    start, *others = raster_run()
    runs = Runs(recipe_for)
    assert [applied for document in others for applied in runs.apply(document)] == []
    assert runs.parked == len(others)
    assert len(apply_all([start], runs)) == 12
    assert runs.parked == 0
    assert start.uid in runs


def test_waiting_documents_are_bounded_and_those_that_waited_longest_go() -> None:
    runs = Runs(recipe_for, max_parked=20)
    scans = [raster_run((2, 2)) for _ in range(30)]
    for documents in scans:
        apply_all(documents[1:], runs)
        assert runs.parked <= 20
    assert runs.dropped == 30 * (len(scans[0]) - 1) - runs.parked
    assert len(apply_all(scans[-1][:1], runs)) == 4


def test_waiting_documents_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpb_stream.core.runs.MAX_PARKED_BYTES", 10_000)
    runs = Runs(recipe_for)
    large = [replace(document, size=3_000) for document in raster_run((2, 2))]
    apply_all(large[1:], runs)
    assert 0 < runs.parked_bytes <= 10_000
    assert runs.parked_bytes == 3_000 * runs.parked
    assert runs.dropped == len(large) - 1 - runs.parked


def test_resources_that_no_run_claims_are_bounded() -> None:
    runs = Runs(recipe_for, max_parked=20)
    for _ in range(50):
        run = Acquisition()
        run.file(names_run=False)
        runs.apply(run.documents[-1])
    assert len(runs._unclaimed) == 20
    assert runs.dropped == 30


def test_nothing_is_held_of_runs_that_were_forgotten() -> None:
    runs = Runs(recipe_for)
    for _ in range(5):
        documents = raster_run(names_run=False)
        apply_all(documents, runs)
        runs.forget(documents[0].uid)
        assert documents[0].uid not in runs
    assert not any((runs._runs, runs._owners, runs._unclaimed, runs._parked))


def test_forgetting_a_run_leaves_the_others_as_they_are() -> None:
    runs = Runs(recipe_for)
    kept, gone = raster_run(), raster_run()
    apply_all([*gone, *kept[:4]], runs)
    runs.forget(gone[0].uid)
    assert len(apply_all(kept[4:], runs)) == 11


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


def test_a_document_that_breaks_our_own_code_costs_the_run_a_notice_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Run, document: Document) -> list[FrameRef]:
        if document.name == "event":
            raise ZeroDivisionError
        return whole(self, document)

    whole = Run.apply
    monkeypatch.setattr(Run, "apply", broken)
    run = Acquisition((1, 2))
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1, 2)
    runs = Runs(recipe_for)
    apply_all(run.documents, runs)
    [event] = [
        Document("event", {"uid": "e", "descriptor": run.documents[1].doc["uid"], "seq_num": 1, "time": 1.0, "data": {}, "timestamps": {}})
    ]
    [applied] = runs.apply(event)
    assert applied.frames == []
    assert "internal" in [notice.code for notice in applied.run.notices]


def test_an_older_event_that_came_before_its_resource_finds_it_though_the_resource_names_no_run() -> None:
    run = OlderAcquisition((1, 2))
    stream = run.stream(camera=OLDER_CAMERA)
    resource = run.resource(names_run=False)
    run.older_event(stream, 1, run.datum(resource, point_number=0))
    start, descriptor, told, datum, event = run.documents
    refs = apply_all([start, descriptor, event, datum, told])
    assert [(ref.point, ref.index) for ref in refs] == [(0, 0)]


@pytest.mark.parametrize("start_first", [True, False])
def test_files_that_name_no_run_are_in_the_order_in_which_they_came_not_in_that_of_their_frames(start_first: bool) -> None:
    run = Acquisition((1, 1))
    stream = run.stream()
    earlier, later = run.file(names_run=False), run.file(names_run=False)
    run.frames(stream, later, 0, 1)
    run.frames(stream, earlier, 0, 1)
    start, descriptor, one, other, *datums = run.documents
    order = [start, descriptor, one, other] if start_first else [one, other, start, descriptor]
    (ref,) = apply_all([*order, *datums])
    assert ref.file.uid == later.stream_resource_doc["uid"]


def test_a_run_made_anew_keeps_the_order_of_its_files_though_one_of_them_has_not_been_pointed_at() -> None:
    run = Acquisition((1, 1))
    stream = run.stream()
    earlier, later = run.file(names_run=False), run.file(names_run=False)
    run.frames(stream, earlier, 0, 1)
    start, descriptor, one, other, datum = run.documents
    runs = Runs(recipe_for)
    apply_all([start, descriptor, one, other, datum], runs)
    anew = runs.anew(run.uid, [start, descriptor, one, datum])  # nothing in the catalogue tells whose the other is
    run.frames(stream, later, 0, 1)
    refs = apply_all([*anew, run.documents[-1]], runs)
    assert [ref.file.uid for ref in refs] == [earlier.stream_resource_doc["uid"], later.stream_resource_doc["uid"]]
