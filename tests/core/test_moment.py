"""Arrays are made of what a run was when they were asked for, and whatever fails in that costs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.helpers.documents import MOTOR, Acquisition
from tests.helpers.liverun import codes, feed
from wpb_stream.core.derived import Derived, Map, OfChannels
from wpb_stream.core.geometry import Grid
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import carried
from wpb_stream.recipes import chooser


@dataclass(frozen=True)
class Own:
    """What a facility makes of maps."""

    make: Callable[[Mapping[str, Map]], Any]
    names: tuple[str, ...] = ("own",)
    key = "own"
    channels: tuple[str, ...] = ("diode",)
    named = False

    def arrays(self, maps: Mapping[str, Map], grid: Grid) -> dict[str, Map]:
        return {"own": self.make(maps)}

    def of(self, channels: tuple[str, ...], grid: Grid, /) -> tuple[OfChannels, str | None]:
        return self, None


def growing(*derived: Derived) -> tuple[Acquisition, Callable[[int], LiveRun]]:
    """A run of unknown length, and what feeds it so many events."""
    run = Acquisition(shape=())
    stream = run.stream(diode=MOTOR)
    choose = chooser(lambda _: PlanDefaults())

    def recipe(start: dict[str, Any]) -> Recipe:
        made = choose(start)
        assert made is not None
        return replace(made, derived=derived)

    runs = Runs(recipe)
    (began,) = runs.apply(run.documents[0])
    live = LiveRun.begin(began.run, "live", Pace(window_seconds=0.0), 0.0)
    feed(runs, live, run.documents[1], 0.0)

    def grow(points: int) -> LiveRun:
        for _ in range(points):
            run.event(stream, diode=1.0)
            feed(runs, live, run.documents[-1], 0.0)
        while window := live.take(1.0):
            result = carried(window)
            assert result is not None
            live.place(window, result, 1.0)
        return live

    return run, grow


def test_arrays_are_of_the_rows_and_the_grid_there_were_when_they_were_asked_for() -> None:
    _, grow = growing(Own(lambda maps: np.nan_to_num(maps["diode"])))
    moment = grow(2).moment()
    expected = moment.made().arrays["own"]
    assert expected.sum() == 2
    assert grow(500).moment().made().arrays["own"].sum() == 502
    np.testing.assert_array_equal(moment.made().arrays["own"], expected)


def test_what_could_not_be_made_is_told_when_the_rest_is_shown() -> None:
    _, grow = growing(Own(lambda maps: 1 / 0), Own(lambda maps: maps["diode"]))
    live = grow(2)
    made = live.moment().made()
    assert not codes(live)["arrays_failed"]
    live.show(made, 0.0)
    assert codes(live)["arrays_failed"] == 1
    assert list(live.reconstruction.arrays) == ["own"]


def test_numbers_that_are_no_array_are_made_one_and_anything_else_is_told() -> None:
    _, grow = growing(Own(lambda maps: [1, 2]))
    array = grow(2).moment().made().arrays["own"]
    assert (array.dtype, array.tolist()) == (np.float64, [1.0, 2.0])
    _, grow = growing(Own(lambda maps: "text"))
    made = grow(2).moment().made()
    assert made.arrays == {}
    assert "own could not be made of the maps" in made.notices[0].message
