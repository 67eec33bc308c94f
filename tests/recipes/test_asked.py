"""The ``wpb`` entry of a start document: each key checked, and a mistake told in a notice while the best guess runs."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from pydantic import ValidationError

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.recipes import chooser
from wpb_stream.recipes.asked import EXAMPLES, Asked, as_asked, asked_of

START = {"uid": "u", "time": 1.0, "plan_name": "grid_scan", "shape": [7, 9], "snaking": [False, True]}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"shape": "7x9"}, "wpb.shape must be like [7, 9], not '7x9'. "),
        ({"shape": [7, "9"]}, "wpb.shape.1: should be a whole number, not '9'. "),
        ({"shape": [7, 0]}, "wpb.shape.1: should be greater than 0, not 0. "),
        ({"shape": []}, "wpb.shape: "),
        ({"shape": [2] * 9}, "wpb.shape: "),
        ({"snaking": [0, 1]}, "wpb.snaking.0: "),
        ({"snaking": [True]}, "wpb.snaking has 1 entries; the scan has 2 axes"),
        ({"axes": ["y", "x", "z"]}, "wpb.axes has 3 entries; the scan has 2 axes"),
        ({"axes": ["y", 5]}, "wpb.axes.1: "),
        ({"extents": [[0, 1]]}, "wpb.extents has 1 entries"),
        ({"extents": [[0, float("nan")], None]}, "wpb.extents.0.1: "),
        ({"extents": [[0, 1, 2], None]}, "wpb.extents.0: "),
        ({"data_key": 5}, 'wpb.data_key must be like "camera", not 5. '),
        ({"recipe": ["raster"]}, "wpb.recipe"),
        ({"regions": [1, 2]}, 'wpb.regions must be like {"red": {"rows": [0, 400]}}, not [1, 2]. '),
        ({"normalise": "i0"}, 'wpb.normalise must be like {"by": "i0"}, not \'i0\'. '),
        ({"bins": 20}, "wpb.bins must be like [20, 30], not 20. "),
        ({"regoins": {}}, "wpb.regoins is no key of the wpb entry: did you mean 'regions'? The best"),
        ({"quite another": 1}, "wpb.quite another is no key of the wpb entry: known are recipe, "),
        (5, 'wpb must be like {"regions": {"red": {"rows": [0, 400]}}}, not 5. '),
        ("raster", "wpb must be like "),
    ],
)
def test_a_mistake_is_told_by_its_key_and_the_best_guess_runs(entry: Any, told: str) -> None:
    recipe = chooser(lambda _: PlanDefaults())({**START, "wpb": entry})
    assert recipe is not None
    assert (recipe.name, recipe.grid.shape) == ("raster", (7, 9))
    refused = [notice.message for notice in recipe.notices if notice.code == "recipe_refused"]
    if told != "wpb.recipe":
        assert len(refused) == 1
        assert refused[0].startswith(told)
        assert refused[0].endswith("The best guess without the wpb entry is shown instead.")


def test_a_line_of_unknown_length_is_checked_as_well() -> None:
    recipe = chooser(lambda _: PlanDefaults())({"uid": "u", "time": 1.0, "wpb": {"datakey": "camera"}})
    assert recipe is not None
    assert recipe.name == "line"
    assert [notice.message for notice in recipe.notices if "did you mean 'data_key'?" in notice.message]


def test_what_is_right_is_taken_in_whatever_kind_of_list_it_came() -> None:
    entry = {"shape": (2, 3), "snaking": [False, True], "extents": [None, (0, 1.5)], "axes": ["y", "x"], "data_key": "camera"}
    asked = asked_of({"wpb": entry}, 2)
    assert asked == Asked(shape=[2, 3], snaking=[False, True], extents=[None, (0.0, 1.5)], axes=["y", "x"], data_key="camera")
    assert asked_of({}) == Asked()


def test_a_long_value_is_not_told_in_full() -> None:
    with pytest.raises(RecipeError) as caught:
        asked_of({"wpb": {"shape": "x" * 10_000}})
    assert len(str(caught.value)) < 250


def test_axes_of_planned_positions_are_counted_as_well() -> None:
    spiral = {"plan_name": "spiral", "plan_pattern": "spiral", "hints": {"gridding": "rectilinear_nonsequential"}}
    arguments = {"x_motor": "x", "y_motor": "y", "x_start": 0, "y_start": 0, "x_range": 4, "y_range": 4, "dr": 0.5, "nth": 6}
    start = {"uid": "u", "time": 1.0, **spiral, "plan_pattern_args": arguments, "wpb": {"axes": ["only one"]}}
    recipe = chooser(lambda _: PlanDefaults())(start)
    assert recipe is not None
    assert recipe.name == "positions"
    assert [notice.message for notice in recipe.notices if "wpb.axes has 1 entries; the scan has 2 axes" in notice.message]


@pytest.mark.parametrize(("key", "example"), EXAMPLES.items())
def test_what_a_key_is_said_to_be_like_is_taken(key: str, example: str) -> None:
    value = ast.literal_eval(example)
    asked_of({"wpb": {key: value} if key else value}, None)


def test_every_key_of_one_type_has_an_example() -> None:
    def taken(key: str) -> bool:
        try:
            Asked.model_validate({key: object()})
        except ValidationError:
            return False
        return True

    assert {key for key in Asked.model_fields if not taken(key)} == set(EXAMPLES) - {""}


def test_channels_that_are_asked_for_again_stay_in_their_order() -> None:
    """Dagster gives what it is asked for back in the order of the alphabet."""
    thirds = {name: {"rows": [2 * n, 2 * n + 2]} for n, name in enumerate(("red", "green", "blue"))}
    again = dict(sorted({**thirds, "red": {"rows": [0, 5]}, "a": {"rows": [1, 2]}}.items()))
    choose = chooser(lambda _: PlanDefaults())
    for asked in ({}, {"wpb": {"regions": thirds}}):
        recipe = as_asked(choose, {**START, **asked}, {"regions": again})
        assert [channel.name for channel in recipe.channels] == ["red", "green", "blue", "a", "total"]
