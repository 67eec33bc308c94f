"""The start document decides; a mistake in it costs no run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.recipe import Channel, Notice, PlanDefaults, Recipe, choose
from wpb_stream.recipes.raster import Raster

START = {"uid": "a", "time": 1.0}


class Line:
    """A facility's own recipe: fits runs that name a length."""

    def __init__(self, name: str = "line") -> None:
        self.name = name

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        return "length" in start

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        if "wpb" in start and "impossible" in start["wpb"]:
            raise RecipeError("wpb.impossible is impossible")
        if start["length"] > 100:
            raise RecipeError("too long")
        return Recipe(self.name, Grid((start["length"],), (Axis("x"),)), (Channel("total", "Total"),), notices=(Notice("own", "Own."),))


MAKERS = [Line("first"), Line("second")]


def chosen(start: Mapping[str, Any], defaults: PlanDefaults | None = None) -> str | None:
    recipe = choose({**START, **start}, MAKERS, defaults or PlanDefaults())
    return recipe and recipe.name


def test_the_first_recipe_that_fits_is_taken() -> None:
    assert chosen({"length": 5}) == "first"


def test_a_run_that_no_recipe_fits_has_none() -> None:
    assert chosen({}) is None


def test_the_recipe_that_the_metadata_names_is_taken() -> None:
    assert chosen({"length": 5, "wpb": {"recipe": "second"}}) == "second"


def test_the_recipe_that_the_settings_name_is_taken_unless_the_metadata_names_another() -> None:
    assert chosen({"length": 5}, PlanDefaults(recipe="second")) == "second"
    assert chosen({"length": 5, "wpb": {"recipe": "first"}}, PlanDefaults(recipe="second")) == "first"


@pytest.mark.parametrize("wpb", [{"recipe": "third"}, {"recipe": ["first"]}, {"recipe": 5}, {"impossible": True}])
def test_a_mistake_in_the_wpb_entry_is_told_and_the_best_guess_made(wpb: dict[str, Any]) -> None:
    recipe = choose({**START, "length": 5, "wpb": wpb}, MAKERS, PlanDefaults())
    assert recipe is not None
    assert recipe.name == "first"
    assert [notice.code for notice in recipe.notices] == ["recipe_refused", "own"]


def test_an_impossible_run_has_no_recipe_and_raises_nothing() -> None:
    assert chosen({"length": 101}) is None
    assert chosen({"length": 101, "wpb": {"impossible": True}}) is None


def test_a_channel_without_a_region_covers_the_whole_frame() -> None:
    recipe = choose({**START, "length": 5}, MAKERS, PlanDefaults())
    assert recipe is not None
    (region,) = recipe.regions
    assert region.resolve((30, 40)) == (slice(0, 30), slice(0, 40))


def test_a_facilitys_recipe_that_fails_is_told_and_no_run_is_lost_by_it() -> None:
    class Broken:
        name = "facility"

        def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
            return start["no such key"]

        def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
            raise AssertionError

    recipe = choose({"shape": [2, 3]}, [Broken(), Raster()], PlanDefaults())
    assert recipe is not None
    assert (recipe.name, recipe.notices[0].code) == ("raster", "recipe_refused")
    assert "'facility'" in recipe.notices[0].message


def test_the_digest_of_what_the_settings_say_is_another_one_for_other_settings_alone() -> None:
    said = PlanDefaults(shape=(3, 4), regions={"red": {"rows": (0, 1)}, "green": {}}, wpb={"arrays": ["mean_frame"]})
    same = PlanDefaults(shape=(3, 4), regions={"green": {}, "red": {"rows": (0, 1)}}, wpb={"arrays": ["mean_frame"]})
    assert said.digest == same.digest
    others = [PlanDefaults(), replace(said, shape=(4, 3)), replace(said, wpb={}), replace(said, regions={})]
    assert len({said.digest, *(other.digest for other in others)}) == 5
