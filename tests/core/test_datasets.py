"""Runs without images: the numbers in their files are their channels, and those of their events are divided and joined as well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.documents import CAMERA, MOTOR, Acquisition
from tests.helpers.joined import BY_I0, DATASET, NUMBER, answer, by_point, codes, told, walked
from wpb_stream.core.documents import Document


def test_the_datasets_of_a_run_without_images_are_its_channels() -> None:
    scan = Acquisition((2, 3), motors=["x"])
    keys = {"i0": DATASET, "it": {**DATASET, "dtype": "integer"}, "x": DATASET, "trace": {**DATASET, "shape": [9], "dtype": "array"}}
    stream = scan.stream(**keys, y=MOTOR)
    files = {name: scan.file(name) for name in ("i0", "it")}
    for point in range(6):
        for name in ("it", "i0"):
            scan.frames(stream, files[name], point, point + 1)
    scan.stop()
    live = walked(scan.documents)
    assert [(channel.name, channel.units) for channel in live.reconstruction.run.channels] == [("i0", "A"), ("it", "A")]
    for name, file in files.items():
        assert by_point(live, name) == {point: answer(file, point) for point in range(6)}
    assert codes(live) == set()
    assert "regions_guessed" not in {notice.code for notice in live.run.notices}


def test_they_are_divided_by_the_monitor_among_them_which_is_shown_as_it_is() -> None:
    scan = Acquisition((2, 3), wpb=BY_I0)
    stream = scan.stream(i0=DATASET, it=DATASET)
    files = {name: scan.file(name) for name in ("i0", "it")}
    for point in range(6):
        for file in files.values():
            scan.frames(stream, file, point, point + 1)
    scan.stop()
    live = walked(scan.documents)
    assert [(channel.name, channel.units) for channel in live.reconstruction.run.channels] == [("i0", "A"), ("it", "A/i0")]
    assert by_point(live, "i0") == {point: answer(files["i0"], point) for point in range(6)}
    assert by_point(live, "it") == {point: answer(files["it"], point) / answer(files["i0"], point) for point in range(6)}


def test_one_dataset_alone_is_shown_where_the_plan_names_it() -> None:
    scan = Acquisition((2, 3), wpb={"data_key": "it"})
    stream = scan.stream(camera=CAMERA, i0=DATASET, it=DATASET)
    scan.frames(stream, scan.file("it"), 0, 1)
    live = walked(scan.documents)
    assert [channel.name for channel in live.reconstruction.run.channels] == ["it"]
    assert live.reconstruction.table.rows == 1


def test_readings_of_events_are_divided_and_joined_as_well() -> None:
    scan = Acquisition((2, 3), motors=["x"], wpb={**BY_I0, "scalars": ["x", "i0", "far"]})
    stream, other = scan.stream(diode=NUMBER, i0=NUMBER, x=MOTOR), scan.stream("later", far=MOTOR)
    for point in range(6):
        scan.event(stream, diode=10.0 + point, i0=4.0, x=float(point))
    for point in range(6):
        scan.event(other, far=-float(point))
    scan.stop()
    live = walked(scan.documents)
    assert [(channel.name, channel.units) for channel in live.reconstruction.run.channels] == [
        ("diode", "V/i0"), ("i0", "V"), ("x", "mm"), ("far", "mm"),
    ]  # fmt: skip
    assert by_point(live, "diode") == {point: (10.0 + point) / 4 for point in range(6)}
    assert by_point(live, "i0") == dict.fromkeys(range(6), 4.0)
    assert by_point(live, "x") == {point: float(point) for point in range(6)}
    assert by_point(live, "far") == {point: -float(point) for point in range(6)}
    assert codes(live) == set()


@pytest.mark.parametrize("data_key", [CAMERA, DATASET], ids=["images", "numbers"])
@pytest.mark.parametrize("events_first", [True, False])
def test_events_of_a_stream_that_lack_its_detector_are_told_and_are_no_points_whenever_they_come(
    data_key: dict[str, Any], events_first: bool
) -> None:
    scan = Acquisition((2, 3))
    written = scan.stream(camera=data_key)
    lacking = {**written.descriptor_doc, "uid": "another", "data_keys": {"diode": NUMBER, "other": NUMBER}}
    event = {"uid": "e", "descriptor": "another", "seq_num": 4, "time": 1.0, "data": {"diode": 0.5, "other": 0.25}, "timestamps": {}}
    documents = [Document("descriptor", lacking), Document("event", event)]  # which event-model would not compose
    if events_first:
        scan.documents[1:1] = documents
    file = scan.file("camera")
    for point in range(3):
        scan.frames(written, file, point, point + 1)
    scan.documents += [] if events_first else documents
    scan.stop()
    live = walked(scan.documents)
    first = live.reconstruction.run.channels[0].name
    assert first == ("camera" if data_key is DATASET else "red")
    assert by_point(live, first) == {point: answer(file, point) for point in range(3)}
    assert "lack 'camera', which it has by another descriptor" in told(live, "documents_contradict")
