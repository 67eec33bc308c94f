"""Bluesky's spirals, made again from start documents: as Bluesky itself makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bluesky import plan_patterns
from cycler import Cycler
from hypothesis import given, settings
from hypothesis import strategies as st

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.recipes import chooser
from wpb_stream.recipes.spirals import positions_of
from wpb_stream.settings import load

centres = st.floats(-1e3, 1e3)
ranges = st.floats(0.1, 10.0)
radii = st.floats(0.2, 2.0)
tilts = st.floats(-1.0, 1.0)


def made(pattern: str, arguments: dict[str, Any]) -> dict[str, list[float]]:
    """As a start document has it: the devices by their `repr`."""
    described = arguments | {"x_motor": "Motor('x')", "y_motor": "Motor('y')"}
    found = positions_of({"plan_pattern": pattern, "plan_pattern_args": described})
    return {side: along.tolist() for side, along in found.items()}


def expected(pattern: Callable[..., Cycler[Any, Any]], arguments: dict[str, Any]) -> dict[str, list[float]]:
    try:
        cycle = pattern("x", "y", **arguments)
    except StopIteration:  # what becomes of a spiral without points
        return {"x": [], "y": []}
    return {side: [float(at) for at in along] for side, along in cycle.by_key().items()}


@settings(deadline=None)
@given(centres, centres, ranges, ranges, radii, st.floats(0.5, 9.0), st.none() | radii, tilts)
def test_a_spiral_is_blueskys(
    x_start: float, y_start: float, x_range: float, y_range: float, dr: float, nth: float, dr_y: float | None, tilt: float
) -> None:
    arguments: dict[str, Any] = {"x_start": x_start, "y_start": y_start, "x_range": x_range, "y_range": y_range, "dr": dr, "nth": nth}
    arguments |= {"dr_y": dr_y, "tilt": tilt}
    assert made("spiral", arguments) == expected(plan_patterns.spiral, arguments)


@settings(deadline=None)
@given(centres, centres, ranges, ranges, radii, st.floats(0.5, 4.0), st.none() | radii, tilts)
def test_a_fermat_spiral_is_blueskys(
    x_start: float, y_start: float, x_range: float, y_range: float, dr: float, factor: float, dr_y: float | None, tilt: float
) -> None:
    arguments: dict[str, Any] = {"x_start": x_start, "y_start": y_start, "x_range": x_range, "y_range": y_range, "dr": dr}
    arguments |= {"factor": factor, "dr_y": dr_y, "tilt": tilt}
    assert made("spiral_fermat", arguments) == expected(plan_patterns.spiral_fermat, arguments)


@settings(deadline=None)
@given(centres, centres, ranges, ranges, st.integers(2, 12), st.integers(2, 12))
def test_a_square_spiral_is_blueskys(x_center: float, y_center: float, x_range: float, y_range: float, x_num: int, y_num: int) -> None:
    arguments: dict[str, Any] = {"x_center": x_center, "y_center": y_center, "x_range": x_range, "y_range": y_range}
    arguments |= {"x_num": x_num, "y_num": y_num}
    assert made("spiral_square", arguments) == expected(plan_patterns.spiral_square_pattern, arguments)


ROUND = {"x_start": 0, "y_start": 0, "x_range": 2, "y_range": 2, "dr": 0.5, "nth": 4, "factor": 1}
SQUARE = {"x_center": 0, "y_center": 0, "x_range": 2, "y_range": 3, "x_num": 3, "y_num": 4}


@pytest.mark.parametrize("pattern", ["spiral", "spiral_fermat", "spiral_square"])
@pytest.mark.parametrize(
    "absurd",
    [
        *({}, {"dr": 0}, {"dr": 1e-12}, {"dr": -1e-300}, {"dr": "1"}, {"dr": None}, {"dr": float("nan")}, {"dr": [1]}),
        *({"nth": 1e90}, {"factor": 1e90}, {"factor": 0}, {"x_range": 10**4000}, {"x_range": float("inf")}),
        *({"dr": 1e-9, "nth": 1e-12}, {"x_range": 1e99, "y_range": 1e99}, {"x_range": 1e12, "factor": 1e-9}),
        *({"x_num": 10**12}, {"x_num": 10**6, "y_num": 2}, {"x_num": 1}, {"x_num": 3.5}, {"x_num": -3}, {"y_num": "4"}, {"x_num": True}),
    ],
)
def test_absurd_arguments_are_refused_and_the_run_is_shown_all_the_same(pattern: str, absurd: dict[str, Any]) -> None:
    arguments = (ROUND | SQUARE | absurd) if absurd else {}
    start = {"plan_name": pattern, "plan_pattern": pattern, "plan_pattern_args": arguments, "num_points": 5}
    recipe = chooser(load().defaults_of)(start)
    assert recipe is not None
    assert recipe.grid.points == 5
    assert "positions_refused" in [notice.code for notice in recipe.notices]


def test_arguments_that_lead_to_no_point_are_refused() -> None:
    with pytest.raises(RecipeError, match="finite numbers"):
        positions_of({"plan_pattern": "spiral", "plan_pattern_args": {}})
    assert positions_of({"plan_pattern": "spiral", "plan_pattern_args": ROUND | {"dr": 50}})["x"].size == 0
