"""When a run is over: its stop document, what overtakes it or never comes, and silence."""

from __future__ import annotations

from tests.helpers.documents import MOTOR, Acquisition, raster_run, read
from tests.helpers.liverun import CHANNELS, NOT_YET, begin, codes, drain, drain_ready, feed, live_of
from wpb_stream.core.documents import Document
from wpb_stream.core.late import FIRST_RETRY_S
from wpb_stream.core.live import Pace


def test_a_run_without_documents_for_long_enough_is_lost() -> None:
    documents = raster_run((1, 2))[:-1]
    runs, live = begin(documents[0], Pace(idle_s=60.0))
    for document in documents[1:]:
        feed(runs, live, document, 100.0)
    assert not live.finished(159.0)
    assert drain(live, 100.0) == 160.0
    assert live.end() == max(document.doc.get("time", 0.0) for document in documents) > documents[0].doc["time"]
    assert live.reconstruction.run.status == "lost"
    assert codes(live) == {"run_lost": 1}
    assert live.reconstruction.table.rows == 2


def test_a_time_after_calendars_end_that_was_stored_long_ago_ends_no_process() -> None:
    run = Acquisition()
    stream = run.stream(x=MOTOR)
    run.event(stream, x=1.0)
    run.documents[-1] = Document("event", {**run.documents[-1].doc, "time": 1e300})
    live = live_of(run.documents, Pace(idle_s=60.0))
    assert live.end() == max(document.doc["time"] for document in run.documents[:-1])


def test_every_document_keeps_a_run_from_being_lost() -> None:
    run = Acquisition()
    stream = run.stream("x_monitor", x=MOTOR)
    runs, live = begin(run.documents[0], Pace(idle_s=60.0))
    feed(runs, live, run.documents[1], 0.0)
    for now in (50.0, 100.0, 150.0):
        run.event(stream, x=now)
        feed(runs, live, run.documents[-1], now)
        assert not live.finished(now + 59.0)
    assert live.due_in(150.0) == 60.0
    assert live.finished(210.0)


def test_the_end_is_told_as_the_stop_document_has_it() -> None:
    run = Acquisition()
    run.stop("abort", "the beam went away")
    live = live_of(run.documents)
    assert live.end() == run.documents[-1].doc["time"]
    assert live.reconstruction.run.status == "abort"
    assert live.reconstruction.reason == "the beam went away"
    assert live.reconstruction.run.stopped is not None
    assert live.reconstruction.run.stopped.endswith("Z")
    assert not live.reconstruction.ended


def test_a_stopped_run_is_not_over_while_frames_are_late() -> None:
    documents = raster_run((1, 1))
    runs, live = begin(documents[0])
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    window = live.take(0.0)
    live.place(window, read(window, CHANNELS, lambda _: NOT_YET), 0.0)
    assert not live.finished(1.0)
    assert live.due_in(0.0) == FIRST_RETRY_S
    assert drain(live, 0.0) == FIRST_RETRY_S


def test_documents_that_the_stop_document_overtook_are_waited_for_and_the_map_is_whole() -> None:
    documents = raster_run((2, 3))
    stop, late = documents[-1], documents[-3:-1]
    counted = Document("stop", {**stop.doc, "num_events": {"primary": 6}})
    runs, live = begin(documents[0], Pace(stop_grace_s=5.0))
    for document in [*documents[1:-3], counted]:
        feed(runs, live, document, 100.0)
    drain_ready(live, 100.0)
    assert not live.finished(104.0)
    for document in late:
        feed(runs, live, document, 104.0)
    drain_ready(live, 104.0)
    assert live.finished(104.0)
    assert live.reconstruction.table.rows == 6


def test_documents_that_never_come_are_not_waited_for_longer_than_the_grace_and_are_told() -> None:
    documents = raster_run((2, 3))
    counted = Document("stop", {**documents[-1].doc, "num_events": {"primary": 6}})
    runs, live = begin(documents[0], Pace(stop_grace_s=5.0))
    for document in [*documents[1:-2], counted]:
        feed(runs, live, document, 100.0)
    drain_ready(live, 100.0)
    assert live.due_in(100.0) == 5.0
    assert live.finished(105.0)
    live.end()
    assert codes(live) == {"documents_missing": 1}


def test_a_run_of_which_only_the_start_and_a_stop_document_that_counts_points_came_is_told_to_have_lost_documents() -> None:
    documents = raster_run((2, 3))
    counted = Document("stop", {**documents[-1].doc, "num_events": {"primary": 6}})
    runs, live = begin(documents[0], Pace(stop_grace_s=5.0))
    feed(runs, live, counted, 100.0)
    assert live.due_in(100.0) == 5.0
    assert live.finished(105.0)
    live.end()
    assert codes(live) == {"documents_missing": 1, "no_frames": 1}


def test_a_run_taken_as_lost_is_outdated_once_frames_or_its_stop_document_come() -> None:
    for late in (-2, -1):
        documents = raster_run((1, 3))
        runs, live = begin(documents[0], Pace(idle_s=60.0))
        for document in documents[1:-2]:
            feed(runs, live, document, 100.0)
        drain_ready(live, 101.0)
        live.end()
        live.reconstruction.ended = True
        assert not live.outdated
        feed(runs, live, documents[late], 1000.0)
        assert live.outdated


def test_a_run_that_shows_another_detector_than_is_meant_is_outdated_but_not_while_it_is_ending() -> None:
    run = Acquisition((2, 3))
    encoder = run.stream("encoder", position={**MOTOR, "external": "STREAM:"})
    run.frames(encoder, run.file("position"), 0, 1)
    runs, live = begin(run.documents[0])
    for document in run.documents[1:]:
        feed(runs, live, document, 0.0)
    assert not live.outdated
    stream, first = run.stream(), len(run.documents) - 1
    run.frames(stream, run.file(), 0, 1)
    for document in run.documents[first:]:
        feed(runs, live, document, 0.0)
    assert live.outdated
    assert [ref.file.data_key for ref in live.take(1.0)] == ["position"]
    live.end()
    assert not live.outdated
    live.reconstruction.ended = True
    assert live.outdated


def test_it_is_over_at_the_very_moment_it_asked_to_be_woken_whatever_rounding_makes_of_it() -> None:
    documents = [document for document in raster_run((1, 3)) if document.doc.get("uid", "").rpartition("/")[2] != "1"]
    for step in range(2000):
        runs, live = begin(documents[0])
        now = 0.3 * step + 0.1
        for document in documents[1:]:
            feed(runs, live, document, now)
        while window := live.take(now):
            live.place(window, read(window, CHANNELS), now)
        wake = now + live.due_in(now)
        assert live.finished(wake) or live.due_in(wake) > 0.0
