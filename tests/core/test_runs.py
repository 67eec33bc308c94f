"""Several runs at a time: which run a document belongs to, and those that wait until that is known."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.corpus import OLDER_CAMERA, OlderAcquisition
from tests.helpers.documents import Acquisition, apply_all, raster_run, recipe_for, visited_run
from wpb_stream.core.documents import Document
from wpb_stream.core.run import Run
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import FrameRef

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
    assert {notice.code for notice in runs.apply(ours.documents[1])[0].run.notices} - {"regions_guessed"} == {"documents_contradict"}


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
