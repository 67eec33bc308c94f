"""A run being reconstructed, with a clock of the tests' own: in whatever windows and however late frames come, the map is the same."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.documents import MOTOR, Acquisition, apply_all, maps_of, raster_run, read, visited_run
from tests.helpers.liverun import BROKEN, CHANNELS, NOT_YET, READ, batch_of, begin, codes, drain, feed, live_of
from wpb_stream.core.documents import Document
from wpb_stream.core.late import FIRST_RETRY_S, LONGEST_RETRY_S
from wpb_stream.core.live import Pace
from wpb_stream.core.window import FrameRef, FrameStatus, WindowResult

# --- windows ---


@pytest.mark.parametrize("window_frames", [1, 2, 5, 12, 100])
def test_windows_of_any_size_give_the_same_table(window_frames: int) -> None:
    documents = visited_run([1, 2, 3, 2, 3, 4, 5])
    table = live_of(documents, Pace(window_frames=window_frames)).reconstruction.table
    assert table.data.tobytes() == live_of(documents).reconstruction.table.data.tobytes()


def test_rows_hold_point_cell_and_the_value_of_each_channel() -> None:
    live = live_of(raster_run((2, 3)))
    data = live.reconstruction.table.data
    assert data["point"].tolist() == [0, 1, 2, 3, 4, 5]
    assert data["cell"].tolist() == [0, 1, 2, 5, 4, 3]
    assert (data["total"] - data["red"]).tolist() == [3 / 64] * 6
    assert live.reconstruction.run.rows == 6


def test_frames_are_read_when_the_window_is_full_or_old_enough() -> None:
    documents = raster_run()
    runs, live = begin(documents[0], Pace(window_frames=3, window_seconds=0.5))
    for document in documents[1:5]:
        feed(runs, live, document, 1.0)
    assert live.take(1.0) == []
    assert live.due_in(1.2) == pytest.approx(0.3)
    assert [ref.point for ref in live.take(1.5)] == [0, 1]
    for document in documents[5:9]:
        feed(runs, live, document, 2.0)
    assert live.due_in(2.0) == 0.0
    assert [ref.point for ref in live.take(2.0)] == [2, 3, 4]


def test_the_stop_document_closes_the_window() -> None:
    documents = raster_run((1, 2))
    runs, live = begin(documents[0])
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    assert live.due_in(0.0) == 0.0
    assert len(live.take(0.0)) == 2


def test_frames_that_change_their_size_in_mid_run_are_told_of_once() -> None:
    documents = raster_run((2, 3))
    runs, live = begin(documents[0], Pace(window_frames=2))
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    for shape in ((4, 5), (4, 5), (6, 5)):
        window = live.take(0.0)
        assert "frames_differ" not in codes(live)
        live.place(window, replace(read(window, CHANNELS), frame_shape=shape), 0.0)
    assert codes(live)["frames_differ"] == 1
    assert live.reconstruction.table.rows == 6


# --- late frames ---


def test_a_late_frame_is_asked_for_again_after_growing_waits_up_to_the_longest() -> None:
    documents = raster_run((1, 1))
    runs, live = begin(documents[0], Pace(frame_deadline_s=5.0))
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    asked: list[float] = []
    now = 0.0
    while not live.finished(now):
        if window := live.take(now):
            asked.append(now)
            live.place(window, read(window, CHANNELS, lambda _: NOT_YET), now)
        else:
            now += live.due_in(now)
    waits = np.diff(asked).tolist()
    assert waits[:6] == pytest.approx([FIRST_RETRY_S * 2**k for k in range(6)])
    assert set(np.round(waits[6:], 9)) == {LONGEST_RETRY_S}
    assert asked[-1] >= 5.0 > asked[-2]


def test_a_frame_that_does_not_appear_is_marked_missing_with_a_notice() -> None:
    live = live_of(raster_run((1, 3)), status=lambda ref: NOT_YET if ref.point == 1 else READ)
    assert live.missing == {1}
    assert codes(live) == {"frame_missing": 1}
    assert live.reconstruction.table.data["point"].tolist() == [0, 2]
    assert np.isnan(live.reconstruction.table.maps([1, 3])["total"]).tolist() == [[False, True, False]]


def test_a_broken_frame_is_given_up_at_once() -> None:
    asked: list[int] = []

    def status(ref: FrameRef) -> FrameStatus:
        asked.append(ref.point)
        return BROKEN if ref.point == 1 else READ

    live = live_of(raster_run((1, 3)), status=status)
    assert asked == [0, 1, 2]
    assert live.missing == {1}


def test_a_late_frame_that_appears_is_placed_after_those_that_overtook_it() -> None:
    tries: Counter[int] = Counter()

    def status(ref: FrameRef) -> FrameStatus:
        tries[ref.point] += 1
        return NOT_YET if ref.point == 0 and tries[0] < 5 else READ

    live = live_of(raster_run((1, 3)), status=status)
    assert live.reconstruction.table.data["point"].tolist() == [1, 2, 0]
    assert live.missing == set()
    assert codes(live) == {}


def test_an_earlier_frame_read_late_does_not_replace_a_later_one() -> None:
    tries: Counter[int] = Counter()

    def status(ref: FrameRef) -> FrameStatus:
        tries[ref.index] += 1
        return NOT_YET if ref.index == 0 and tries[0] < 3 else READ

    live = live_of(visited_run([1, 1], (1, 1)), status=status)
    assert tries[0] == 3
    assert [value % 1000 for value in live.reconstruction.table.data["red"]] == [1.0]


def test_a_point_whose_later_frame_is_broken_keeps_its_earlier_value_and_is_not_missing() -> None:
    live = live_of(visited_run([1, 1], (1, 1)), status=lambda ref: BROKEN if ref.index == 1 else READ)
    assert live.missing == set()
    assert live.reconstruction.table.rows == 1


def test_a_point_whose_earlier_frame_is_broken_is_no_longer_missing_once_the_later_one_is_read() -> None:
    live = live_of(visited_run([1, 1], (1, 1)), status=lambda ref: BROKEN if ref.index == 0 else READ)
    assert live.missing == set()
    assert live.reconstruction.table.rows == 1


def test_thousands_of_late_frames_are_asked_for_in_windows_that_leave_room_for_new_ones() -> None:
    run = Acquisition((100, 100))
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1, width=8_960)
    runs, live = begin(run.documents[0])
    for document in run.documents[1:]:
        feed(runs, live, document, 0.0)
    while window := live.take(0.05):
        if window[0].point < len(window):
            assert len(window) == 64
        live.place(window, read(window, CHANNELS, lambda _: NOT_YET), 0.05)
    run.frames(stream, file, 8_960, 8_961, width=10)
    feed(runs, live, run.documents[-1], 1.0)
    window = live.take(1.05)
    assert len(window) == 64 + 10
    assert {ref.point for ref in window} >= set(range(8_960, 8_970))
    run.stop()
    feed(runs, live, run.documents[-1], 1.1)
    live.place(window, read(window, CHANNELS), 1.1)
    drain(live, 1.1)
    assert live.reconstruction.table.rows == 8_970
    assert live.missing == set()


def test_thousands_of_missing_frames_tell_a_bounded_number_of_notices() -> None:
    run = Acquisition((100, 100))
    run.frames(run.stream(), run.file(), 0, 1, width=10_000)
    run.stop()

    runs, live = begin(run.documents[0])
    for document in run.documents[1:]:
        feed(runs, live, document, 0.0)
    while window := live.take(0.0):
        nothing = WindowResult(np.full((len(window), CHANNELS), np.nan), np.full(len(window), BROKEN, np.uint8))
        live.place(window, nothing, 0.0)
    assert len(live.missing) == 10_000
    assert len(live.reconstruction.notices) < 50


# --- description ---


def test_units_come_with_a_descriptor_and_pixels_with_the_first_frame() -> None:
    run = Acquisition((1, 2), motors=["y", "x"], extents=[[0, 1], [5, 6]])
    runs, live = begin(run.documents[0])
    made = live.reconstruction
    assert [(axis.name, axis.units, axis.start, axis.stop) for axis in made.run.axes] == [("y", None, 0, 1), ("x", None, 5, 6)]
    assert made.run.channels[0].region == {"rows": ["0/3", "1/3"], "columns": [0, None]}
    baseline, stream, file = run.stream("baseline", x=MOTOR), run.stream(), run.file()
    feed(runs, live, run.documents[1], 0.0)
    assert made.run.axes[1].units == "mm"
    assert made.described == 1
    run.event(baseline, x=1.0)
    run.frames(stream, file, 0, 1)
    run.frames(stream, file, 1, 2)
    for document in run.documents[2:]:
        feed(runs, live, document, 0.0)
    window = live.take(1.0)
    live.place(window, read(window, CHANNELS), 1.0)
    assert made.run.channels[0].region == {"rows": [0, 10], "columns": [0, 40]}
    assert made.run.axes[1].units == "mm"
    assert (made.described, made.run.rows) == (2, 2)


def test_a_run_without_a_recipe_is_described_without_a_map() -> None:
    live = live_of(raster_run((), points=2))
    info = live.reconstruction.run
    assert (info.recipe, info.shape, info.axes, info.channels, info.points_expected) == (None, [], [], [], None)
    assert (info.uid, info.scan_id, info.plan_name) == (live.run.uid, 7, "grid_scan")


def test_room_for_rows_is_not_taken_before_they_come() -> None:
    _, live = begin(Acquisition((4000, 4000)).documents[0])
    assert live.reconstruction.table._data.nbytes < 2**26


# --- live equals batch ---


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=25),
    st.integers(1, 3),
    st.integers(1, 8),
    st.dictionaries(st.integers(0, 24), st.integers(1, 6) | st.just(inf), max_size=8),
    st.sets(st.integers(0, 24), max_size=3),
    st.randoms(use_true_random=False),
)
def test_live_and_batch_are_equal_bit_for_bit_under_duplicates_rewinds_and_late_frames(
    seq_nums: list[int], files: int, window_frames: int, lateness: dict[int, float], broken: set[int], order: random.Random
) -> None:
    documents = visited_run(seq_nums, files=files)
    delivered = documents.copy()
    for document in order.sample(documents, len(documents) // 2):
        delivered.insert(order.randrange(delivered.index(document) + 1, len(delivered) + 1), document)
    number = {ref: count for count, ref in enumerate(apply_all(documents))}
    tries: Counter[FrameRef] = Counter()

    def status(ref: FrameRef) -> FrameStatus:
        tries[ref] += 1
        if number[ref] in broken:
            return BROKEN
        return NOT_YET if tries[ref] <= lateness.get(number[ref], 0) else READ

    runs, live = begin(delivered[0], Pace(window_frames=window_frames, window_seconds=0.01))
    now = 0.0
    for document in delivered[1:]:
        feed(runs, live, document, now)
        now += order.choice([0.0, 0.005, 0.3])
        if window := live.take(now):
            live.place(window, read(window, CHANNELS, status), now)
    drain(live, now, status)
    gone = broken | {count for count, times in lateness.items() if times == inf}
    batch = batch_of(delivered, lambda ref: BROKEN if number[ref] in gone else READ)
    assert maps_of(live) == maps_of(batch)
    assert live.missing == batch.missing


# --- the end ---


def counted_run() -> list[Document]:
    """A run whose stop document counts its points, as Bluesky's do."""
    documents = raster_run((1, 3))
    return [*documents[:-1], Document("stop", {**documents[-1].doc, "num_events": {"primary": 3}})]


def test_a_stop_document_that_came_before_the_descriptor_is_no_end() -> None:
    start, descriptor, *rest, stop = counted_run()
    runs, live = begin(start, Pace(stop_grace_s=5.0))
    feed(runs, live, stop, 0.0)
    assert not live.finished(4.0)
    for document in (descriptor, *rest):
        feed(runs, live, document, 4.0)
    assert drain(live, 4.0) == 4.0
    assert live.reconstruction.table.rows == 3


def test_frames_beyond_the_map_count_for_its_end() -> None:
    documents = visited_run([1, 2, 3, 4, 5], (1, 3))
    stop = Document("stop", {**documents[-1].doc, "num_events": {"primary": 5}})
    live = live_of([*documents[:-1], stop])
    live.end()
    assert codes(live) == {"overrun": 1}


def test_a_run_that_goes_on_after_it_was_lost_ends_again_though_its_frames_stay_away() -> None:
    documents = [document for document in counted_run() if document.name != "event"][:-1]
    runs, live = begin(documents[0], Pace(frame_deadline_s=1.0, idle_s=20.0))
    for document in documents[1:-1]:
        feed(runs, live, document, 0.0)
    assert drain(live, 0.0, lambda _: NOT_YET) == 20.0
    feed(runs, live, documents[-1], 100.0)
    assert drain(live, 100.0, lambda _: NOT_YET) == 120.0
    assert live.missing == {0, 1, 2}
