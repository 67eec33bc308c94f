"""When a run is shown by its planned positions, and what its map says then."""

from __future__ import annotations

from typing import Any

import pytest
from scanspec.specs import Concat, Ellipse, Linspace, Spec, Spiral, Squash

from wpb_stream.core.recipe import Recipe
from wpb_stream.recipes import chooser
from wpb_stream.settings import load

ELLIPSE = Ellipse("x", 0.0, 4.0, 1.0, "y", 0.0, 4.0, 1.0)


def made(spec: Spec[str] | None = None, **start: Any) -> Recipe:
    described = {"scanspec": spec.serialize()} if spec is not None else {}
    recipe = chooser(load().defaults_of)({"plan_name": "a plan", **described, **start})
    assert recipe is not None
    return recipe


def codes(recipe: Recipe) -> set[str]:
    return {notice.code for notice in recipe.notices} - {"regions_guessed"}


def test_a_product_of_lines_is_a_raster_still() -> None:
    recipe = made(Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 0.0, 3.0, 4))
    assert (recipe.name, recipe.grid.shape) == ("raster", (3, 4))


def test_the_number_of_points_is_told_apart_from_that_of_cells() -> None:
    recipe = made(ELLIPSE)
    assert (recipe.name, recipe.grid.points, recipe.grid.size, recipe.grows) == ("positions", 13, 25, False)
    assert codes(recipe) == set()


@pytest.mark.parametrize("told", [{"num_points": 13}, {"shape": [13]}, {"num_points": 13.0}, {"shape": "13"}, {"num_points": None}])
def test_a_start_document_that_names_the_number_of_points_may_agree(told: dict[str, Any]) -> None:
    assert made(ELLIPSE, **told).name == "positions"


@pytest.mark.parametrize("told", [{"num_points": 12}, {"shape": [14]}, {"num_points": 10**12, "shape": [14]}])
def test_positions_of_another_number_than_the_run_has_points_are_not_believed(told: dict[str, Any]) -> None:
    recipe = made(ELLIPSE, **told)
    assert (recipe.name, recipe.grid.shape[0]) == ("raster", (told.get("shape") or [12])[0])
    assert "positions_refused" in codes(recipe)


def test_a_shape_of_several_dimensions_and_the_wpb_entry_count_more() -> None:
    squashed = Squash(Linspace("y", 0.0, 2.0, 3) * Linspace("x", 0.0, 3.0, 4))
    assert made(squashed, shape=[3, 4]).name == "raster"
    assert made(ELLIPSE, wpb={"shape": [1, 13]}).grid.shape == (1, 13)
    assert made(ELLIPSE, wpb={"recipe": "line"}).name == "line"
    assert [axis.name for axis in made(ELLIPSE, wpb={"axes": ["v", "u"]}).grid.axes] == ["v", "u"]


def test_motors_that_the_start_document_names_otherwise_are_in_the_order_of_the_spec() -> None:
    assert [axis.name for axis in made(ELLIPSE, motors=["x", "y"]).grid.axes] == ["y", "x"]
    assert [axis.name for axis in made(ELLIPSE, motors=["stage-y", "stage-x"]).grid.axes] == ["stage-y", "stage-x"]
    assert [axis.name for axis in made(ELLIPSE, motors=["top", 5]).grid.axes] == ["y", "x"]


def test_repetitions_are_at_no_position() -> None:
    slow = made(2 * ELLIPSE).grid.axes[0]
    assert (slow.name, slow.start, slow.stop) == ("axis 0", None, None)


def test_what_is_lost_on_the_map_is_told() -> None:
    there = Linspace("x", 0.0, 1.0, 3)
    assert codes(made(Spiral("x", 0.0, 1.0, 0.1, "y", 0.0))) == {"positions_binned"}
    assert codes(made(Concat(there, there))) == {"positions_repeated"}


@pytest.mark.parametrize("spec", [{"type": "Mask"}, {"type": 5}, {"a": 1}, {"type": "Spiral"}, {"type": "Linspace", "num": -1}])
def test_a_spec_that_cannot_be_evaluated_leaves_a_line(spec: dict[str, Any]) -> None:
    recipe = made(scanspec=spec)
    assert (recipe.name, recipe.grows) == ("line", True)
    assert codes(recipe) == {"positions_refused", "shape_guessed"}


def test_a_text_that_is_no_spec_is_another_argument_of_that_name() -> None:
    for text in ("", "fast", "dict(a=1)"):
        assert codes(made(plan_args={"spec": text})) == {"shape_guessed"}
