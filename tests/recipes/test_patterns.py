"""What is read from the plan patterns in start documents, real and absurd ones."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.recipes.patterns import MAX_POSITIONS, Course, courses_of
from wpb_stream.recipes.raster import Raster

Y, X = 'Motor(name="y")', "EpicsMotor(prefix='BL:X', name='x')"


def listed(*args: Any, snake_axes: str = "False", **start: Any) -> dict[str, Any]:
    """The start document of a `list_grid_scan`."""
    positions = args[1::2]
    extents = [[min(way), max(way)] for way in positions]
    pattern = {"plan_pattern": "outer_list_product", "plan_pattern_args": {"args": list(args), "snake_axes": snake_axes}}
    return {
        "shape": [len(way) for way in positions],
        "extents": extents,
        "snake_axes": snake_axes,
        "motors": ["y", "x"],
        **pattern,
        **start,
    }


def made(start: dict[str, Any]) -> Recipe:
    return Raster().make(start, PlanDefaults())


def codes(recipe: Recipe) -> set[str]:
    return {notice.code for notice in recipe.notices} - {"regions_guessed"}


def test_a_list_grid_scan_goes_the_way_of_its_lists_and_not_of_its_sorted_extents() -> None:
    recipe = made(listed(Y, [3, 2, 1], X, [0, 1, 2, 3]))
    assert [(axis.start, axis.stop) for axis in recipe.grid.axes] == [(3.0, 1.0), (0.0, 3.0)]
    assert codes(recipe) == set()


@pytest.mark.parametrize(
    ("text", "expected"), [(f"[{X}]", [False, True]), (f"({Y}, {X})", [False, True]), ("[]", [False, False]), (f"[{Y}]", [False, False])]
)
def test_axes_that_snake_are_found_by_the_names_of_their_motors(text: str, expected: list[bool]) -> None:
    recipe = made(listed(Y, [0, 1], X, [0, 1, 2], snake_axes=text))
    assert [axis.snaking for axis in recipe.grid.axes] == expected
    assert codes(recipe) == set()


def test_an_axis_without_even_steps_counts_its_points_and_says_so() -> None:
    recipe = made(listed(Y, [0, 1, 2], X, [0, 1, 5]))
    assert [(axis.start, axis.stop) for axis in recipe.grid.axes] == [(0.0, 2.0), (None, None)]
    assert codes(recipe) == {"positions_uneven"}


def test_the_wpb_entry_counts_more_than_the_pattern() -> None:
    recipe = made(listed(Y, [0, 1, 2], X, [0, 1, 5], wpb={"extents": [[7, 8], [9, 10]], "axes": ["v", "u"]}))
    assert [(axis.name, axis.start) for axis in recipe.grid.axes] == [("v", 7.0), ("u", 9.0)]
    assert codes(recipe) == set()


def test_a_pattern_of_another_shape_than_the_run_says_nothing_of_its_axes() -> None:
    recipe = made(listed(Y, [3, 2, 1], X, [0, 1], shape=[2, 2], extents=[[1, 3], [0, 1]]))
    assert [(axis.start, axis.stop) for axis in recipe.grid.axes] == [(1.0, 3.0), (0.0, 1.0)]


def test_a_scan_of_two_motors_is_a_line_along_the_first() -> None:
    pattern = {"plan_pattern": "inner_product", "plan_pattern_args": {"num": 5, "args": [X, -1, 1, Y, 0, 9]}}
    recipe = made({"num_points": 5, "motors": ["x", "y"], **pattern})
    assert [(axis.name, axis.start, axis.stop) for axis in recipe.grid.axes] == [("x", -1.0, 1.0)]


def test_the_shape_of_a_grid_that_is_not_visited_row_by_row_is_no_map() -> None:
    start = {"shape": [3, 4], "extents": [[0, 1], [0, 1]], "num_points": 12, "motors": ["x", "y"]}
    assert made({**start, "hints": {"gridding": "rectilinear_nonsequential"}}).grid.shape == (12,)
    assert made({**start, "hints": {"gridding": "rectilinear"}}).grid.shape == (3, 4)
    assert made({**start, "hints": {"gridding": "rectilinear_nonsequential"}, "wpb": {"shape": [3, 4]}}).grid.shape == (3, 4)


@pytest.mark.parametrize("steps", [[0.1 * k for k in range(50)], [5.0], [0.0, 0.333, 0.667, 1.0]])
def test_steps_that_are_even_but_for_rounding_are_even(steps: list[float]) -> None:
    assert courses_of({"plan_pattern": "inner_list_product", "plan_pattern_args": {"args": [X, steps]}}) == [
        Course(X, steps[0], steps[-1], len(steps), True)
    ]


@pytest.mark.parametrize(
    "pattern_args",
    [
        *(None, "args", [], {"args": None}, {"args": []}, {"args": [X]}, {"args": "ab"}, {"args": [X, None]}, {"args": [X, []]}),
        *({"args": [X, ["0", "1"]]}, {"args": [X, [float("nan"), 1]]}, {"args": [X, [True, False]]}, {"args": {"x": [1]}}),
        *({"args": [X, 0, 1]}, {"args": [X, 0, 1], "num": "5"}, {"args": [X, 0, 1], "num": 0}, {"args": [X, 0, 1], "num": True}),
        *({"args": [X, 0, float("inf")], "num": 5}, {"args": [X, [0.0] * (MAX_POSITIONS + 1)]}, {"start": 0, "num": 3}),
    ],
)
@pytest.mark.parametrize("pattern", ["inner_product", "linspace", "inner_list_product", "outer_list_product", ["inner_product"], None])
def test_arguments_that_are_none_say_nothing(pattern: object, pattern_args: object) -> None:
    start = {"plan_pattern": pattern, "plan_pattern_args": pattern_args}
    assert courses_of(start) is None
    assert made({"num_points": 5, "snake_axes": "[1]", **start}).grid.shape == (5,)
