"""Runs in which no detector writes to files: the numbers in their events are the values."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pytest

from tests.helpers.documents import CAMERA, MOTOR, Acquisition
from tests.helpers.liverun import batch_of, begin, codes, feed
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.runs import Runs
from wpb_stream.core.scalars import MAX_CHANNELS, scalars_of
from wpb_stream.core.window import carried
from wpb_stream.recipes import chooser

NUMBER = {"source": "sim", "shape": [], "dtype": "number", "units": "A"}
SHAPE = {"shape": [2, 3], "snaking": [False, True], "motors": ["y", "x"]}


def live_of(documents: list[Document]) -> LiveRun:
    """As the streaming process does it: each document as it comes, and nothing read from any file."""
    runs, live = begin(documents[0], Pace(window_frames=2))
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
        place(live)
    place(live)
    return live


def place(live: LiveRun) -> None:
    while window := live.take(1.0):
        result = carried(window)
        assert result is not None, "something is to be read from a file"
        live.place(window, result, 1.0)


def scan(**metadata: Any) -> tuple[Acquisition, Any]:
    run = Acquisition(**metadata)
    return run, run.stream(diode=NUMBER, i0=NUMBER, y=MOTOR, x=MOTOR)


def test_a_scan_of_a_diode_is_a_map_of_its_readings() -> None:
    run, stream = scan(**SHAPE)
    for point in range(6):
        run.event(stream, diode=10.0 + point, i0=2.0, y=0.0, x=0.0)
    run.stop()
    live = live_of(run.documents)
    assert [(channel.name, channel.units, channel.region) for channel in live.reconstruction.run.channels] == [
        ("diode", "A", None),
        ("i0", "A", None),
    ]
    maps = live.reconstruction.table.maps(live.reconstruction.run.shape)
    assert maps["diode"].tolist() == [[10.0, 11.0, 12.0], [15.0, 14.0, 13.0]]
    live.end()
    assert codes(live) == {}
    assert "regions_guessed" not in [notice.code for notice in live.reconstruction.notices]


def test_live_and_batch_are_equal_to_the_bit() -> None:
    run, stream = scan(**SHAPE)
    for point in range(6):
        run.event(stream, diode=0.1 * point, i0=1 / 3, y=0.0, x=0.0)
    run.stop()
    assert live_of(run.documents).reconstruction.table.data.tobytes() == batch_of(run.documents).reconstruction.table.data.tobytes()


def test_a_point_measured_again_has_its_later_reading_whatever_order_they_come_in() -> None:
    run, stream = scan(**SHAPE)
    for value in (1.0, 2.0, 3.0):
        run.event(stream, diode=value, i0=1.0, y=0.0, x=0.0)
    *_, second, _ = run.documents
    again = Document(
        "event", {**second.doc, "uid": "again", "time": second.doc["time"] + 60, "data": {**second.doc["data"], "diode": 20.0}}
    )
    for documents in ([*run.documents, again], [*run.documents[:-2], again, *run.documents[-2:]], [*run.documents, again, second]):
        maps = live_of(documents).reconstruction.table.maps([2, 3])
        assert maps["diode"][0].tolist() == [1.0, 20.0, 3.0]


def test_a_reading_that_is_no_number_is_absent_and_others_are_numbers() -> None:
    run = Acquisition(shape=[4])
    stream = run.stream(a={**NUMBER, "dtype": "integer"}, b={**NUMBER, "dtype": "boolean"})
    for a, b in ((1, True), ("text", None), ([1.0], {}), (10**400, False)):
        run.event(stream, a=a, b=b)
    data = live_of(run.documents).reconstruction.table.data
    assert data["a"][0] == 1.0
    assert all(map(isnan, data["a"][1:3]))
    assert data["a"][3] == np.inf
    assert (data["b"][0], data["b"][3], isnan(data["b"][1])) == (1.0, 0.0, True)


def test_a_run_of_unknown_length_grows() -> None:
    run = Acquisition(shape=())
    stream = run.stream(diode=NUMBER)
    for point in range(100):
        run.event(stream, diode=float(point))
    run.stop()
    runs = Runs(chooser(lambda start: PlanDefaults()))
    (began,) = runs.apply(run.documents[0])
    live = LiveRun.begin(began.run, "live", Pace(), 0.0)
    for document in run.documents[1:]:
        feed(runs, live, document, 0.0)
    place(live)
    live.end()
    assert live.reconstruction.run.shape == [100]
    assert live.reconstruction.table.maps([100])["diode"].tolist() == list(range(100))


def test_a_camera_comes_before_readings_even_if_it_is_described_later() -> None:
    run, stream = scan(**SHAPE)
    run.event(stream, diode=1.0, i0=1.0, y=0.0, x=0.0)
    runs, live = begin(run.documents[0])
    for document in run.documents[1:]:
        feed(runs, live, document, 0.0)
    assert not live.outdated
    run.stream("fly", camera=CAMERA)
    feed(runs, live, run.documents[-1], 0.0)
    assert live.outdated, "to be made anew, from the camera"


def test_readings_beside_a_camera_are_no_points() -> None:
    run = Acquisition(**SHAPE)
    stream = run.stream(camera=CAMERA, diode=NUMBER)
    run.event(stream, diode=1.0)
    runs, live = begin(run.documents[0])
    for document in run.documents[1:]:
        feed(runs, live, document, 0.0)
    assert live.take(10.0) == []
    assert [channel.name for channel in live.reconstruction.run.channels] == ["red", "green", "blue", "total"]


def test_one_reading_is_shown_where_the_plan_names_it() -> None:
    run, stream = scan(**SHAPE, wpb={"data_key": "i0"})
    run.event(stream, diode=1.0, i0=2.0, y=0.0, x=0.0)
    assert live_of(run.documents).reconstruction.table.channels == ("i0",)


def test_monitors_and_baselines_are_no_points() -> None:
    for name in ("baseline", "diode_monitor", "interruptions"):
        run = Acquisition(**SHAPE)
        stream = run.stream(name, diode=NUMBER)
        run.event(stream, diode=1.0)
        run.stop()
        live = live_of(run.documents)
        live.end()
        assert live.reconstruction.table.rows == 0
        assert codes(live)["no_frames"] == 1


def test_events_that_are_missing_are_told() -> None:
    run, stream = scan(**SHAPE)
    for point in range(6):
        run.event(stream, diode=float(point), i0=1.0, y=0.0, x=0.0)
    run.stop()
    live = live_of([document for document in run.documents if document.doc.get("seq_num") != 3])
    live.end()
    assert codes(live)["documents_missing"] == 1


def described(data_keys: dict[str, Any], **descriptor: Any) -> list[str]:
    found = scalars_of({"data_keys": data_keys, **descriptor}, {"motors": ["stage"], "hints": {"dimensions": [[["t"], "primary"]]}})
    return [channel.name for channel in found.channels] if found else []


def test_what_devices_hint_at_is_shown_and_else_all_numbers_but_the_motors() -> None:
    keys = dict.fromkeys(("diode", "diode_gain", "stage-x", "t"), NUMBER) | {"label": {"source": "", "dtype": "string", "shape": []}}
    objects = {"object_keys": {"stage": ["stage-x"], "diode": ["diode", "diode_gain"]}}
    assert described(keys, **objects) == ["diode", "diode_gain"]
    assert described(keys, **objects, hints={"diode": {"fields": ["diode"]}, "stage": {"fields": ["stage-x"]}}) == ["diode"]
    assert described({"stage-x": NUMBER}, **objects) == ["stage-x"]
    assert described({"spectrum": {**NUMBER, "shape": [10]}, "text": keys["label"]}) == []
    assert described({"camera": CAMERA, "diode": NUMBER}) == []


def test_names_that_are_taken_and_more_than_can_be_shown_cost_nothing() -> None:
    assert described({"point": NUMBER, "cell": NUMBER, "point_": NUMBER}) == ["point_", "cell_", "point__"]
    assert len(described({f"d{k}": NUMBER for k in range(100)})) == MAX_CHANNELS


@pytest.mark.parametrize("hostile", [{"hints": 5}, {"hints": {"a": [1]}}, {"object_keys": [1]}, {"hints": {"a": {"fields": 7}}}])
def test_whatever_a_descriptor_holds_costs_no_run(hostile: dict[str, Any]) -> None:
    assert described({"diode": NUMBER}, **hostile) == ["diode"]
