"""Which detector is meant does not depend on which document arrives first."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from tests.helpers.documents import CAMERA, MOTOR, Acquisition
from wpb_stream.core.detectors import Detectors

NUMBER = {**MOTOR, "external": "STREAM:"}


def descriptors(**streams: dict[str, Any]) -> list[dict[str, Any]]:
    run = Acquisition()
    return [run.stream(name, **data_keys).descriptor_doc for name, data_keys in streams.items()]


def chosen(described: list[dict[str, Any]], wanted: str | None = None) -> set[tuple[str, str] | None]:
    """What is chosen, over all orders."""
    found: set[tuple[str, str] | None] = set()
    for order in permutations(described):
        detectors = Detectors(wanted)
        for descriptor in order:
            detectors.see(descriptor)
        found.add(detectors.chosen)
    return found


def test_of_several_cameras_the_one_whose_stream_was_described_first_is_taken() -> None:
    assert chosen(descriptors(second={"b": CAMERA, "a": CAMERA}, first={"c": CAMERA})) == {("second", "b")}


def test_images_come_before_numbers_that_were_described_earlier() -> None:
    assert chosen(descriptors(encoder={"position": NUMBER}, primary={"sum": NUMBER, "camera": CAMERA})) == {("primary", "camera")}


def test_without_images_the_first_that_writes_to_files_is_taken() -> None:
    assert chosen(descriptors(primary={"x": MOTOR, "sum": NUMBER, "max": NUMBER}, encoder={"position": NUMBER})) == {("primary", "sum")}


def test_what_bluesky_adds_is_no_detector() -> None:
    assert chosen(descriptors(baseline={"camera": CAMERA}, interruptions={"x": CAMERA})) == {None}


def test_the_one_that_is_asked_for_is_taken_in_the_stream_of_the_scan() -> None:
    described = descriptors(baseline={"dark": CAMERA, "camera": CAMERA}, primary={"other": CAMERA, "camera": CAMERA})
    assert chosen(described, "camera") == {("primary", "camera")}
    assert chosen(described, "dark") == {("baseline", "dark")}
    assert chosen(described, "nothing") == {None}


def test_a_stream_described_again_is_as_old_as_its_first_description() -> None:
    run = Acquisition()
    described = [run.stream(name, **{name: CAMERA}).descriptor_doc for name in ("left", "right", "left")]
    assert chosen(described) == {("left", "left")}


def test_a_choice_among_cameras_is_told_with_their_streams_where_these_differ() -> None:
    detectors = Detectors()
    one, other = descriptors(primary={"left": CAMERA, "x": MOTOR}, side={"left": CAMERA})
    detectors.see(one)
    assert detectors.guess is None
    detectors.see(other)
    assert detectors.guess is not None
    assert "left of stream primary, left of stream side" in detectors.guess
