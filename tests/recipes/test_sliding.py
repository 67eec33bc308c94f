"""Sliding means as a start document asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from event_model import compose_run

from tests.helpers.liverun import Walk
from wpb_stream.core.documents import Document
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.core.sliding import SlidingMeans
from wpb_stream.recipes import chooser

START = {"uid": "u", "time": 1.0, "shape": [3, 4], "motors": ["y", "x"]}


def recipe_of(**wpb: Any) -> Recipe:
    made = chooser(lambda _: PlanDefaults())({**START, "wpb": wpb})
    assert made is not None
    return made


def test_they_are_of_the_total_or_of_the_channels_that_are_named_joined_ones_too() -> None:
    assert recipe_of(sliding={"points": 5}).derived == (SlidingMeans(5, ("total",), named=False),)
    made = recipe_of(sliding={"points": 2, "channels": ["i0", "red"]}, scalars=["i0"])
    assert made.derived == (SlidingMeans(2, ("i0", "red")),)
    assert made.arrays == ("sliding.i0", "sliding.red")
    assert "channel_unknown" not in {notice.code for notice in made.notices}


@pytest.mark.parametrize(
    ("sliding", "words"),
    [
        ({}, "wpb.sliding must be like"),
        ({"points": 5, "windows": 2}, "it may have points, channels"),
        ({"points": 1}, "wpb.sliding.points must be a whole number from 2 to 1,000, not 1"),
        ({"points": 2.5}, "wpb.sliding.points"),
        ({"points": 5, "channels": "total"}, "wpb.sliding.channels must be a list"),
        ({"points": 5, "channels": ["total", "total"]}, "wpb.sliding.channels must be a list of different names"),
    ],
)
def test_a_mistake_is_told_by_its_key(sliding: dict[str, Any], words: str) -> None:
    (told,) = [notice.message for notice in recipe_of(sliding=sliding).notices if notice.code == "recipe_refused"]
    assert words in told


def test_they_cannot_be_had_of_bins() -> None:
    made = recipe_of(sliding={"points": 5}, positions=["y", "x"], bins=[3, 4], extents=[[0, 1], [0, 1]])
    assert any("wpb.sliding cannot be had of bins" in notice.message for notice in made.notices)


@pytest.mark.parametrize("named", [["diode"], None])
def test_they_are_of_the_numbers_in_events_where_there_are_no_frames(named: list[str] | None) -> None:
    asked = {"points": 2} | ({"channels": [*named, "nobody"]} if named else {})
    run = compose_run(metadata={"shape": [4], "wpb": {"sliding": asked}})
    described = run.compose_descriptor(name="primary", data_keys={"diode": {"source": "sim", "dtype": "number", "shape": []}})
    events = [described.compose_event(data={"diode": 2.0 * k}, timestamps={"diode": 0.0}) for k in range(4)]
    walk = Walk()
    for name, doc in [("start", run.start_doc), ("descriptor", described.descriptor_doc), *(("event", event) for event in events)]:
        walk.take(Document(name, dict(doc)), 0.0)
    walk.take(Document("stop", dict(run.compose_stop())), 0.0)
    walk.end(0.0)
    (live,) = walk.lives.values()
    np.testing.assert_array_equal(live.moment().made().arrays["sliding.diode"], [0.0, 1.0, 3.0, 5.0])
    told = [notice.message for notice in live.run.notices if notice.code == "channel_unknown"]
    assert [*told] == (["wpb.sliding.channels: there is no channel 'nobody'; known are diode."] if named else [])
