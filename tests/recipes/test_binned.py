"""What a start document may ask of bins, and what it is told where that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.binning import Binned
from wpb_stream.core.companions import Companions
from wpb_stream.core.geometry import Axis
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.recipes import chooser

BINS = {"bins": [3, 4], "extents": [[0, 2], [8, 2]], "positions": ["py", "px"]}
AXES = (Axis("py", None, 0.0, 2.0), Axis("px", None, 8.0, 2.0))


def make(wpb: dict[str, Any], **start: Any) -> Recipe:
    recipe = chooser(lambda _: PlanDefaults())({"uid": "u", "time": 1.0, **start, "wpb": wpb})
    assert recipe is not None
    return recipe


def test_points_are_put_where_the_positions_say() -> None:
    recipe = make({**BINS, "scalars": ["count"]}, shape=[7, 9], motors=["y", "x"])
    assert recipe.grid == Binned((3, 4), AXES, ("py", "px"))
    assert (recipe.name, recipe.grows) == ("bins", True)
    assert [channel.name for channel in recipe.channels] == ["red", "green", "blue", "total", "count_", "py", "px", "count"]
    assert recipe.companions == Companions(("count", "py", "px"), None, (), frozenset({"py", "px"}), ("py", "px"))
    assert recipe.companions.required == {"py", "px"}


def test_motors_and_extents_stand_in_for_what_is_not_asked() -> None:
    recipe = make({"bins": [3, 4]}, motors=["py", "px"], extents=[[0, 2], [8, 2]])
    assert recipe.grid == Binned((3, 4), AXES, ("py", "px"))
    assert make({**BINS, "positions": "measured", "axes": ["py", "px"]}).grid == recipe.grid


def test_a_region_called_count_keeps_its_name() -> None:
    recipe = make({**BINS, "regions": {"count": {"rows": [0, 5]}}})
    assert [channel.name for channel in recipe.channels] == ["count", "total", "py", "px", "count_"]


@pytest.mark.parametrize(
    ("wpb", "told"),
    [
        ({"bins": 5}, "wpb.bins"),
        ({"bins": []}, "wpb.bins"),
        ({"bins": [3, 1]}, "wpb.bins.1"),
        ({"bins": [3, 4.0]}, "wpb.bins.1"),
        ({"bins": [10_000, 10_000]}, "10000 x 10000 are more than 16000000 cells"),
        ({"shape": [3, 4]}, "cannot be had together with wpb.shape or wpb.snaking"),
        ({"snaking": [False, True]}, "cannot be had together with wpb.shape or wpb.snaking"),
        ({"positions": ["y"]}, "wpb.bins has 2 axes"),
        ({"positions": ["y", "y"]}, "wpb.bins has 2 axes"),
        ({"positions": ["y", 5]}, "wpb.bins has 2 axes"),
        ({"positions": None}, "wpb.bins has 2 axes"),
        ({"extents": None}, "wpb.bins needs wpb.extents"),
        ({"extents": [[0, 2]]}, "wpb.extents has 1 entries; the scan has 2 axes"),
        ({"extents": [[0, 2], None]}, "wpb.extents of 'px' must be two different positions"),
        ({"extents": [[0, 2], [5, 5]]}, "wpb.extents of 'px' must be two different positions"),
        ({"extents": [[0, 2], [-1e308, 1e308]]}, "wpb.extents of 'px' must be two different positions"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(wpb: dict[str, Any], told: str) -> None:
    recipe = make({**BINS, **wpb})
    assert not isinstance(recipe.grid, Binned)
    (message,) = [notice.message for notice in recipe.notices if notice.code == "recipe_refused"]
    assert told in message


def test_the_cells_of_the_planned_grid_may_be_the_bins() -> None:
    planned = {"shape": [3, 4], "motors": ["py", "px"], "extents": [[0, 2], [8, 2]], "snaking": [False, True]}
    recipe = make({"bins": "planned"}, **planned)
    assert recipe.grid == Binned((3, 4), AXES, ("py", "px"))
    named = make({"bins": "planned", "positions": ["encoder-y", "encoder-x"], "shape": [3, 4]}, **{**planned, "shape": [12]})
    assert named.grid == Binned((3, 4), AXES, ("encoder-y", "encoder-x"))


@pytest.mark.parametrize(
    ("start", "told"),
    [({"shape": [3, 4], "motors": ["py", "px"]}, "needs the extents of the planned grid"), ({"motors": ["py", "px"]}, "needs a shape")],
)
def test_a_grid_that_is_not_known_cannot_be_the_bins(start: dict[str, Any], told: str) -> None:
    recipe = make({"bins": "planned"}, **start)
    (message,) = [notice.message for notice in recipe.notices if notice.code == "recipe_refused"]
    assert told in message


@pytest.mark.parametrize("bins", [[3, 4], "planned"])
@pytest.mark.parametrize(
    ("recipe", "start"), [("raster", {"shape": [3, 4]}), ("line", {}), ("positions", {"plan_name": "spiral", "plan_pattern": "spiral"})]
)
@pytest.mark.parametrize("by_settings", [False, True])
def test_bins_are_not_passed_over_by_another_recipe(recipe: str, start: dict[str, Any], bins: Any, by_settings: bool) -> None:
    named = PlanDefaults(recipe=recipe) if by_settings else PlanDefaults()
    wpb = {**BINS, "bins": bins, **({} if by_settings else {"recipe": recipe})}
    made = chooser(lambda _: named)({"uid": "u", "time": 1.0, **start, "wpb": wpb})
    assert made is not None
    (message,) = [notice.message for notice in made.notices if notice.code == "recipe_refused"]
    assert f'wpb.bins cannot be had with "recipe": "{recipe}": leave out wpb.bins, or that name' in message
