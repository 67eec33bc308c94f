"""Numbers beside the frames: joined to their points, or what the values are divided by, in whatever order their documents come."""

from __future__ import annotations

import random
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_sequences import delivered
from tests.helpers.documents import CAMERA, MOTOR, Acquisition, maps_of, read
from tests.helpers.joined import BY_I0, NUMBER, SOURCES, Scan, by_point, codes, told, walked
from tests.helpers.liverun import BROKEN, NOT_YET, PACE, READ, Walk, arrays_of, walk_through
from wpb_stream.core.companions import Companions
from wpb_stream.core.documents import Document
from wpb_stream.core.join import Join
from wpb_stream.core.live import LiveRun, Pace, reconstruct
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.reducers import RegionStatistics, RegionSums
from wpb_stream.core.runs import replay
from wpb_stream.core.window import IN_THE_EVENT, FrameRef, FrameStatus, StreamFile
from wpb_stream.recipes import chooser
from wpb_stream.replay import read_recording

RECORDINGS = Path(__file__).parents[1] / "helpers" / "recordings"


@pytest.mark.parametrize("source", SOURCES)
def test_counts_are_divided_by_the_monitor_of_the_same_point(source: str) -> None:
    scan = Scan(BY_I0, source=source)
    live = walked(scan.documents)
    assert by_point(live, "red") == {point: counts / number for point, (counts, number) in scan.wanted.items()}
    assert [channel.units for channel in live.reconstruction.run.channels] == ["counts/i0"] * 4
    assert codes(live) == set()
    assert not live.missing


@pytest.mark.parametrize("source", SOURCES)
def test_numbers_become_channels_beside_those_of_the_frames(source: str) -> None:
    scan = Scan({"scalars": ["i0"]}, source=source)
    live = walked(scan.documents)
    assert by_point(live, "i0") == {point: number for point, (_, number) in scan.wanted.items()}
    assert by_point(live, "red") == {point: counts for point, (counts, _) in scan.wanted.items()}
    *frames, joined = live.reconstruction.run.channels
    assert [channel.units for channel in frames] == ["counts"] * 4
    assert (joined.name, joined.units, joined.region) == ("i0", "A" if source == "dataset" else "V", None)
    assert codes(live) == set()


def test_a_point_is_shown_once_however_its_documents_are_split() -> None:
    scan = Scan({**BY_I0, "scalars": ["i0"]}, (1, 2, 3, 4, 5, 6))
    assert walked(scan.documents).reconstruction.table.data["point"].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_monitor_of_zero_or_no_number_makes_no_value() -> None:
    made = Companions(("b",), "i0", (1, 2)).values(np.full((4, 2), 12.0), np.array([[5, 4], [5, 0], [5, np.nan], [5, np.inf]]))
    assert made[0].tolist() == [12.0, 3.0, 1.25]
    assert made[1:, 0].tolist() == [12.0] * 3
    assert np.isnan(made[1:, 1:]).all()
    scan = Scan(BY_I0, ())
    stream = scan.primary
    scan.documents = [document for document in scan.documents if document.name != "stop"]
    file = scan.file()
    for point, value in enumerate((2.0, "off", 0, None)):
        scan.frames(stream, file, point, point + 1)
        scan.number(stream, point + 1, value, 5.0)
    live = walked(scan.documents)
    values = by_point(live, "total")
    assert len(values) == 4
    assert [isnan(value) for value in values.values()] == [False, True, True, True]


def test_what_does_not_grow_with_the_beam_is_not_divided() -> None:
    live = walked(Scan({**BY_I0, "reduction": "centre_of_mass"}).documents)
    assert [channel.units for channel in live.reconstruction.run.channels] == ["pixels", "pixels", "counts/i0"]
    above = {"regions": {"hits": {"statistic": "above", "threshold": 5}, "mean": {"statistic": "mean"}}}
    live = walked(Scan({**BY_I0, **above}).documents)
    assert [channel.units for channel in live.reconstruction.run.channels] == ["pixels", "counts/pixel/i0", "counts/i0"]


def test_points_whose_monitor_never_comes_are_missing_and_never_shown_as_they_are() -> None:
    scan = Scan(BY_I0)
    live = walked([document for document in scan.documents if document.name != "event" or document.doc["seq_num"] != 2])
    assert live.missing == {1}
    assert 1 not in by_point(live, "red")
    assert live.reconstruction.table.rows > 0
    assert "For 1 points there is no number 'i0', without which they are not shown: they are missing." in told(live, "companion_missing")


def test_a_monitor_that_nothing_tells_of_is_named() -> None:
    scan = Scan({"normalise": {"by": "i00"}})
    live = walked(scan.documents)
    assert live.missing == set(range(6))
    assert live.reconstruction.table.rows == 0
    assert "No descriptor of this run tells of a number a point called 'i00'" in told(live, "companion_missing")


def test_a_number_that_nothing_tells_of_costs_no_map() -> None:
    scan = Scan({"scalars": ["i0", "typo"]})
    live = walked(scan.documents[:-1])
    assert by_point(live, "red") == {point: counts for point, (counts, _) in scan.wanted.items()}, "as they come"
    assert all(map(isnan, by_point(live, "typo").values()))
    assert "'typo': its map is empty there" in told(live, "companion_missing")


def test_points_without_one_of_their_numbers_are_shown_when_the_run_is_over() -> None:
    scan = Scan({"scalars": ["i0"]}, (1, 2, 3, 4, 5, 6))
    documents = [document for document in scan.documents if document.name != "event" or document.doc["seq_num"] != 2]
    walk = Walk()
    for document in documents:
        walk.take(document, 0.0)
        walk.read(0.0)
    (live,) = walk.lives.values()
    assert sorted(by_point(live, "i0")) == [0, 2, 3, 4, 5]
    walk.end(0.0)
    assert isnan(by_point(live, "i0")[1])
    assert by_point(live, "red")[1] == scan.wanted[1][0]
    assert codes(live) == {"companion_missing"}
    assert not live.missing
    walk.take(next(document for document in scan.documents if document not in documents), 100.0)
    walk.end(100.0)
    (again,) = walk.lives.values()
    assert by_point(again, "i0") == {point: number for point, (_, number) in scan.wanted.items()}, "it came after all: made anew"


def test_numbers_of_monitors_and_baselines_are_not_joined() -> None:
    for name in ("i0_monitor", "baseline", "interruptions"):
        scan = Acquisition((2, 3), wpb={"scalars": ["i0"]})
        stream, other, file = scan.stream(), scan.stream(name, i0=NUMBER), scan.file()
        scan.frames(stream, file, 0, 1)
        scan.event(other, i0=5.0)
        live = walked(scan.documents)
        assert isnan(by_point(live, "i0")[0])


def test_the_stream_of_the_frames_comes_before_one_described_earlier() -> None:
    scan = Acquisition((2, 3), wpb={"scalars": ["i0"]})
    other = scan.stream("counters", i0=NUMBER)
    later = other.compose_event(data={"i0": 5.0}, timestamps={"i0": 1.0}, time=4e9, validate=False)
    scan.documents.append(Document("event", dict(later)))
    stream, file = scan.stream(camera=CAMERA, i0=NUMBER), scan.file()
    scan.frames(stream, file, 0, 1)
    scan.event(stream, i0=7.0)
    assert by_point(walked(scan.documents), "i0") == {0: 7.0}, "what was taken from the other stream is forgotten"


def test_numbers_of_points_that_no_map_has_are_not_believed() -> None:
    scan = Acquisition((2, 3), wpb={"scalars": ["i0"]})
    stream = scan.stream(camera=CAMERA, i0=NUMBER)
    far = stream.compose_event(data={"i0": 5.0}, timestamps={"i0": 1.0}, seq_num=2**39, validate=False)
    live = walked([*scan.documents, Document("event", dict(far))])
    assert "internal" not in codes(live)


def test_a_number_that_comes_twice_asks_for_nothing_twice() -> None:
    join = Join(Companions(("i0",)), "primary", 6)
    join.see({"name": "primary", "uid": "d", "time": 1.0, "data_keys": {"i0": NUMBER}}, "primary")
    frame, number = FrameRef(2, StreamFile("f", "camera", "", ""), 7, 7), FrameRef(2, IN_THE_EVENT, 0, 50, (3.0,))
    assert join.frames([frame]) == []
    (row,) = join.numbers("i0", [number, number])
    assert (row.point, row.file, row.index, row.beside) == (2, frame.file, 7, (3.0,))
    assert join.frames([frame]) == []


def test_a_file_that_cannot_be_read_costs_the_channel_or_with_a_monitor_the_points() -> None:
    def status(ref: FrameRef) -> FrameStatus:
        return BROKEN if ref.file.data_key == "i0" and ref.index == 0 else READ

    for wpb, missing in (({"scalars": ["i0"]}, set[int]()), (BY_I0, {0})):
        live = walked(Scan(wpb, source="dataset").documents, status)
        assert live.missing == missing
        assert len(by_point(live, "red")) == 6 - len(missing)
        assert codes(live) == {"frame_missing" if missing else "companion_missing"}
    assert isnan(by_point(walked(Scan({"scalars": ["i0"]}, source="dataset").documents, status), "i0")[0])


def test_frames_are_not_read_before_their_numbers_are_there() -> None:
    late = True
    asked: list[str] = []

    def status(ref: FrameRef) -> FrameStatus:
        asked.append(ref.file.data_key)
        return NOT_YET if late and ref.file.data_key == "i0" else READ

    walk = Walk(status)
    scan = Scan(BY_I0, (1, 2, 3), source="dataset")
    for document in scan.documents[:-1]:
        walk.take(document, 0.0)
    walk.read(0.0)
    assert set(asked) == {"i0"}
    late = False
    walk.read(1.0)
    (live,) = walk.lives.values()
    assert by_point(live, "red") == {point: counts / number for point, (counts, number) in scan.wanted.items()}
    assert asked.count("camera") == 3


@pytest.mark.parametrize("waited", [False, True])
def test_a_number_that_was_announced_and_never_is_there_costs_the_channel_or_with_a_monitor_the_points(waited: bool) -> None:
    def status(ref: FrameRef) -> FrameStatus:
        return NOT_YET if ref.file.data_key == "i0" and ref.index == 0 else READ

    for wpb, missing in (({"scalars": ["i0"]}, set[int]()), (BY_I0, {0})):
        scan = Scan(wpb, (1, 2, 3), source="dataset")
        walk = Walk(status)
        for document in scan.documents[:-1]:
            walk.take(document, 0.0)
        walk.read(0.0)
        (live,) = walk.lives.values()
        assert sorted(by_point(live, "red")) == [1, 2], "it may come still"
        if waited:
            walk.read(PACE.frame_deadline_s)
            assert live.missing == {0}
        walk.take(scan.documents[-1], PACE.frame_deadline_s)
        walk.end(PACE.frame_deadline_s)
        assert live.missing == missing
        wanted = {point: counts for point, (counts, _) in scan.wanted.items()}
        if missing:
            assert sorted(by_point(live, "red")) == [1, 2]
            assert codes(live) == {"frame_missing"}
        else:
            assert by_point(live, "red") == wanted
            assert [point for point, value in by_point(live, "i0").items() if isnan(value)] == [0]
            assert codes(live) == {"companion_missing"} | ({"frame_missing", "frames_filled"} if waited else set[str]())
        run, refs = replay(scan.documents, chooser(lambda _: PlanDefaults()))
        batch = LiveRun.begin(run, "batch", Pace(), 0.0)
        reconstruct(batch, refs, lambda refs, reducer, accumulation: read(refs, reducer.size, status, accumulation))
        assert maps_of(batch) == maps_of(live)
        assert batch.missing == missing
        assert codes(batch) == codes(live) - ({"frame_missing", "frames_filled"} if waited and not missing else set[str]())


def test_several_numbers_a_point_are_added_or_averaged_where_they_are_positions() -> None:
    asked = Companions(("i0", "x"), None, (), frozenset({"x"}))
    frame = np.array([[1.0, 2.0, 6.0]])
    added, averaged = asked.reducer("i0"), asked.reducer("x")
    assert (added.values([frame]), averaged.values([frame])) == ([9.0], [3.0])
    assert (type(added), type(averaged)) == (RegionSums, RegionStatistics)


def test_names_of_channels_that_are_taken_get_a_line_behind() -> None:
    scan = Acquisition((2, 3), wpb={"scalars": ["red", "point"]})
    scan.stream(camera=CAMERA, red=NUMBER, point=NUMBER)
    live = walked(scan.documents)
    assert [channel.name for channel in live.reconstruction.run.channels] == ["red", "green", "blue", "total", "red_", "point_"]


def test_measured_positions_are_channels_named_as_the_motors() -> None:
    scan = Acquisition((2, 3), motors=["y", "x"], wpb={"positions": "measured"})
    stream, file = scan.stream(camera=CAMERA, x=MOTOR, y=MOTOR), scan.file()
    for point in range(6):
        scan.frames(stream, file, point, point + 1)
        scan.event(stream, x=0.1 * point, y=7.0)
    live = walked(scan.documents)
    assert [(channel.name, channel.units) for channel in live.reconstruction.run.channels[-2:]] == [("y", "mm"), ("x", "mm")]
    assert by_point(live, "x") == {point: 0.1 * point for point in range(6)}
    assert by_point(live, "y") == dict.fromkeys(range(6), 7.0)


# --- any order ---


@pytest.mark.parametrize("recording", ["sim-fly_scanspec_snake_7x9.jsonl"])
def test_a_recorded_fly_scan_has_the_sum_that_its_detector_wrote_beside_the_frames(recording: str) -> None:
    found = read_recording(RECORDINGS / recording)
    documents = [Document(name, {**doc, "wpb": {"scalars": ["det-sum"]}} if name == "start" else doc) for name, doc in found]
    live = walked(documents)
    assert len(by_point(live, "det-sum")) == 63
    assert not np.isnan(live.reconstruction.table.data["det-sum"]).any()
    assert codes(live) == set()


asked = st.sampled_from([BY_I0, {"scalars": ["i0"]}, {**BY_I0, "scalars": ["i0", "typo"]}])
visits = st.lists(st.integers(1, 7), min_size=1, max_size=12).map(tuple)


@settings(deadline=None, max_examples=100)
@given(asked, visits, st.sampled_from(SOURCES), st.sampled_from([0, 3, 12, 40]), st.booleans(), st.randoms(use_true_random=False))
def test_any_delivery_ends_in_the_maps_of_the_clean_one(
    wpb: dict[str, Any], visited: tuple[int, ...], source: str, window: int, lossy: bool, order: random.Random
) -> None:
    scan = Scan(wpb, visited, source=source)
    documents = [d for d in scan.documents if not (lossy and d.name in ("event", "stream_datum") and order.random() < 0.2)]
    clean = walked(documents)
    walk = walk_through(delivered([documents], order, window, files_in_order=False), order)
    (live,) = walk.lives.values()
    assert {name: values.tobytes() for name, values in live.reconstruction.table.maps([2, 3]).items()} == {
        name: values.tobytes() for name, values in clean.reconstruction.table.maps([2, 3]).items()
    }
    assert arrays_of(live) == arrays_of(clean)
    assert bool(arrays_of(clean)) == bool(clean.reconstruction.table.rows)
    assert live.reconstruction.run.channels == clean.reconstruction.run.channels
    assert live.missing == clean.missing
    assert codes(live) == codes(clean)
    if not lossy:
        wanted = {point: values for point, values in scan.wanted.items() if point < 6}
        divided = "normalise" in wpb
        assert by_point(live, "red") == {point: counts / number if divided else counts for point, (counts, number) in wanted.items()}
