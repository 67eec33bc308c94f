"""Nothing is lost silently: what documents contradict, and what they lack, is told at the run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.corpus import OLDER_CAMERA, OlderAcquisition
from tests.helpers.documents import CAMERA, MOTOR, Acquisition, apply_all, raster_run, recipe_for
from tests.helpers.liverun import live_of
from wpb_stream.core import run as run_module
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun
from wpb_stream.core.run import Run
from wpb_stream.core.runs import Runs

NUMBER = {**MOTOR, "external": "STREAM:"}
OLDER_FILE = {"spec": "AD_HDF5", "root": "/data", "resource_path": "x.h5", "resource_kwargs": {}}


def run_of(documents: list[Document], runs: Runs | None = None) -> Run:
    runs = runs or Runs(recipe_for)
    (run,) = {applied.run.uid: applied.run for document in documents for applied in runs.apply(document)}.values()
    return run


def told(run: Run | LiveRun, code: str) -> str:
    """The messages of one code."""
    notices = run.notices if isinstance(run, Run) else run.reconstruction.notices
    return " ".join(notice.message for notice in notices if notice.code == code)


def ended(documents: list[Document]) -> LiveRun:
    live = live_of(documents)
    live.end()
    return live


def changed(documents: list[Document], name: str, **fields: Any) -> list[Document]:
    return [Document(document.name, {**document.doc, **fields}) if document.name == name else document for document in documents]


# --- what contradicts ---


def test_a_datum_of_more_frames_than_points_is_used_as_far_as_both_go_and_told() -> None:
    run = Acquisition((2, 3))
    run.frames(run.stream(), run.file(), 0, 1, 5)
    documents = changed(run.documents, "stream_datum", seq_nums={"start": 1, "stop": 4})
    assert [ref.point for ref in apply_all(documents)] == [0, 1, 2]
    assert "5 indices for 3 points" in told(run_of(documents), "documents_contradict")


def test_a_datum_of_a_key_that_its_descriptor_does_not_have_is_told() -> None:
    run = Acquisition((2, 3))
    run.frames(run.stream(), run.file("other"), 0, 1)
    assert apply_all(run.documents) == []
    assert "(other)" in told(run_of(run.documents), "documents_contradict")


def older_stream(data_keys: list[str] | None, *, described: tuple[str, ...]) -> list[Document]:
    """A run whose stream resource does not say what it holds, as in event-model 1.18 to 1.20."""
    run = Acquisition((1, 2))
    stream, file = run.stream(**dict.fromkeys(described, CAMERA)), run.file("left")
    run.frames(stream, file, 0, 1, 2)
    *before, resource, datum = run.documents
    named = {} if data_keys is None else {"data_keys": data_keys}
    return [
        *before,
        Document("stream_resource", {"uid": resource.uid, "run_start": run.uid, **OLDER_FILE}),
        Document("stream_datum", {**datum.doc, **named}),
    ]


def test_an_older_stream_resource_may_hold_several_data_keys() -> None:
    refs = apply_all(older_stream(["right", "left"], described=("left", "right")))
    assert [(ref.file.data_key, ref.index) for ref in refs] == [("left", 0), ("left", 1)]


def test_an_older_datum_that_does_not_say_what_it_is_of_is_of_the_only_key_there_is() -> None:
    assert [ref.file.data_key for ref in apply_all(older_stream(None, described=("left",)))] == ["left", "left"]


@pytest.mark.parametrize("data_keys", [None, []])
def test_an_older_datum_that_may_be_of_several_keys_is_told_and_not_guessed(data_keys: list[str] | None) -> None:
    documents = older_stream(data_keys, described=("left", "right"))
    assert apply_all(documents) == []
    assert "none is named" in told(run_of(documents), "documents_contradict")


def test_an_event_that_counts_from_0_is_told() -> None:
    run = OlderAcquisition((1, 2))
    stream, resource = run.stream(camera=OLDER_CAMERA), run.resource()
    for seq_num in (0, 1):
        run.older_event(stream, seq_num, run.datum(resource))
    assert [ref.point for ref in apply_all(run.documents)] == [0]
    assert "counted from 1" in told(run_of(run.documents), "documents_contradict")


def test_no_document_stands_for_more_points_than_the_bound_and_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "MAX_WIDTH", 4)
    run = Acquisition((2, 3))
    run.frames(run.stream(), run.file(), 0, 1, 6)
    assert [ref.point for ref in apply_all(run.documents)] == [0, 1, 2, 3]
    assert "only 4 are believed" in told(run_of(run.documents), "documents_contradict")
    older = OlderAcquisition((2, 3))
    stream, resource = older.stream(camera=OLDER_CAMERA), older.resource()
    older.older_event(stream, 1, older.datum(resource, frame=5))
    assert [ref.point for ref in apply_all(older.documents)] == [0, 1, 2, 3]
    assert "only 4 are believed" in told(run_of(older.documents), "documents_contradict")


# --- what is missing ---


def test_a_file_whose_document_never_came_is_told_although_nothing_counts_the_points() -> None:
    documents = [document for document in raster_run((2, 3)) if document.name != "stream_resource"]
    assert not any(documents[-1].doc["num_events"].values())
    assert "refer to others which did not" in told(ended(documents), "documents_missing")


def test_a_file_whose_document_is_late_completes_its_run() -> None:
    documents = raster_run((2, 3))
    runs = Runs(recipe_for)
    run = run_of([*documents[:2], *documents[3:]], runs)
    assert not run.complete
    apply_all([documents[2]], runs)
    assert run.complete


def test_a_descriptor_that_never_came_is_told_by_the_counts_of_the_stop_document() -> None:
    documents = [document for document in raster_run((2, 3)) if document.name != "descriptor"]
    documents = changed(documents, "stop", num_events={"primary": 6})
    assert "never described" in told(ended(documents), "documents_missing")


def test_a_datum_that_never_came_is_told() -> None:
    run = OlderAcquisition((1, 2))
    stream, resource = run.stream(camera=OLDER_CAMERA), run.resource()
    for seq_num in (1, 2):
        run.older_event(stream, seq_num, run.datum(resource))
    run.stop()
    without = [document for document in run.documents if document.doc.get("datum_id") != f"{resource.resource_doc['uid']}/1"]
    assert len(without) == len(run.documents) - 1
    assert told(ended(run.documents), "documents_missing") == ""
    assert "whose datum did not" in told(ended(without), "documents_missing")


@pytest.mark.parametrize("stopped", [True, False])
def test_points_that_no_document_announced_are_counted_and_told_whether_or_not_the_run_was_stopped(stopped: bool) -> None:
    documents = raster_run((2, 3))
    documents = [document for document in documents if document.doc.get("seq_nums", {}).get("start") not in (2, 3)]
    live = ended(documents if stopped else documents[:-1])
    assert "For 2 of the 6 points" in told(live, "documents_missing")
    assert live.reconstruction.table.rows == 4


def test_a_stop_document_that_counts_nothing_misses_nothing() -> None:
    for num_events in ({"primary": 0}, {}):
        documents = changed(raster_run((2, 3)), "stop", num_events=num_events)
        assert told(ended(documents), "documents_missing") == ""


@pytest.mark.parametrize("data_key", ["x", "nothing"])
def test_a_data_key_that_was_asked_for_and_writes_no_files_is_named(data_key: str) -> None:
    run = Acquisition((2, 3), wpb={"data_key": data_key})
    run.frames(run.stream(camera=CAMERA, x=MOTOR), run.file(), 0, 1, 6)
    run.stop()
    assert f"called {data_key!r}" in told(ended(run.documents), "no_frames")


def test_a_run_that_is_made_anew_takes_its_stop_document_in_last_for_it_must_not_end_before_its_points() -> None:
    documents = raster_run((2, 3))
    runs = Runs(recipe_for)
    apply_all(documents, runs)
    stop = documents[-1]
    assert stop.name == "stop"
    anew = runs.anew(documents[0].uid, [stop, *documents[:-1]])
    assert anew == documents


def test_what_a_run_that_is_made_anew_still_waits_for_is_not_forgotten() -> None:
    run = Acquisition((2, 3))
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1, 6)
    start, descriptor, resource, datum = run.documents
    runs = Runs(recipe_for)
    assert apply_all([datum, start, descriptor], runs) == []  # the datum's run was not known when it was stored
    assert runs.waiting(run.uid) == [datum]
    anew = runs.anew(run.uid, [datum, start, descriptor])
    assert anew == [start, descriptor, datum]
    assert runs.parked == 0
    assert len(apply_all([*anew, resource], runs)) == 6
