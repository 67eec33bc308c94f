"""Raster recipes from the start documents that plans really write, and from those nobody should write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.documents import apply_all
from wpb_stream.core.documents import Document
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.geometry import MAX_CELLS, Axis
from wpb_stream.core.recipe import PlanDefaults, Recipe, choose
from wpb_stream.core.regions import thirds
from wpb_stream.core.runs import Runs
from wpb_stream.recipes import all_makers, chooser
from wpb_stream.recipes.raster import Raster
from wpb_stream.recipes.reductions import MAX_REGIONS
from wpb_stream.settings import load

RECORDINGS = Path(__file__).parent.parent / "helpers" / "recordings"
MOTORS = ["stage-y", "stage-x"]


def make(start: dict[str, Any], defaults: PlanDefaults | None = None) -> Recipe:
    recipe = choose({"uid": "a", "time": 1.0, **start}, [Raster()], defaults or PlanDefaults())
    assert recipe is not None
    return recipe


def codes(recipe: Recipe) -> list[str]:
    return [notice.code for notice in recipe.notices]


def snaking(recipe: Recipe) -> list[bool]:
    return [axis.snaking for axis in recipe.grid.axes]


# --- real start documents ---


def demo_plan_runs() -> list[list[Document]]:
    events = json.loads((RECORDINGS / "b01-1-demo-plan-2025-06.json").read_text())["events"]
    documents = [Document(event["name"], event["doc"]) for event in events if "name" in event]
    cut = len(documents) // 2
    return [documents[:cut], documents[cut:]]


@pytest.mark.parametrize("number", [0, 1])
def test_the_recorded_demo_plan_snakes_by_the_settings_and_takes_thirds_and_says_so(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    documents = demo_plan_runs()[number]
    recipe = chooser(load().defaults_of)(documents[0].doc)
    assert recipe is not None
    assert recipe.grid.shape == (7, 9)
    assert snaking(recipe) == [False, True]
    assert recipe.regions[:3] == thirds()
    assert [channel.name for channel in recipe.channels] == ["red", "green", "blue", "total"]
    assert [channel.colour for channel in recipe.channels] == ["red", "green", "blue", None]
    told = {notice.code: notice.message for notice in recipe.notices}
    assert set(told) == {"snaking_guessed", "regions_guessed"}
    assert "thirds of the frame's height" in told["regions_guessed"]
    assert "stage units" in told["regions_guessed"]


@pytest.mark.parametrize("number", [0, 1])
def test_the_recorded_demo_plan_asks_for_its_63_frames(number: int) -> None:
    runs = Runs(chooser(lambda _: PlanDefaults(snaking=(False, True))))
    refs = apply_all(demo_plan_runs()[number], runs)
    assert [(ref.point, ref.index) for ref in refs] == [(k, k) for k in range(63)]


def test_a_recorded_fly_scan_asks_for_the_frames_of_its_camera_only() -> None:
    lines = (RECORDINGS / "sim-fly_scanspec_snake_7x9.jsonl").read_text().splitlines()
    refs = apply_all(Document(line["name"], line["doc"]) for line in map(json.loads, lines))
    assert [(ref.point, ref.index) for ref in refs] == [(k, k) for k in range(63)]
    assert {ref.file.data_key for ref in refs} == {"det"}


def test_grid_scan_says_everything_but_the_regions() -> None:
    recipe = make({"shape": [7, 9], "extents": [[0, 6], [0, 8]], "snaking": [False, True], "motors": MOTORS, "num_points": 63})
    assert recipe.grid.axes == (Axis("stage-y", None, 0.0, 6.0, False), Axis("stage-x", None, 0.0, 8.0, True))
    assert codes(recipe) == ["regions_guessed"]


@pytest.mark.parametrize(("text", "expected"), [("True", [False, True]), ("False", [False, False])])
def test_list_grid_scan_says_its_snaking_as_text(text: str, expected: list[bool]) -> None:
    recipe = make({"shape": [3, 3], "extents": [[0, 4], [0, 3]], "snake_axes": text, "motors": MOTORS})
    assert snaking(recipe) == expected
    assert codes(recipe) == ["regions_guessed"]


def test_rel_grid_scan_gives_its_extents_as_it_was_asked() -> None:
    recipe = make({"shape": [2, 3], "extents": [[-1, 1], [-1, 1]], "snaking": [False, False], "motors": MOTORS})
    assert [(axis.start, axis.stop) for axis in recipe.grid.axes] == [(-1.0, 1.0), (-1.0, 1.0)]


def test_count_is_a_line_of_its_points() -> None:
    recipe = make({"num_points": 3, "hints": {"dimensions": [[["time"], "primary"]]}})
    assert recipe.grid.shape == (3,)
    assert recipe.grid.axes == (Axis("axis 0"),)
    assert codes(recipe) == ["regions_guessed"]


def test_a_spec_scan_without_snaking_is_told_to_be_a_guess() -> None:
    recipe = make({"shape": [3, 4], "motors": MOTORS})
    assert snaking(recipe) == [False, False]
    assert "snaking_guessed" in codes(recipe)


def test_regions_in_pixels_are_taken_as_they_are() -> None:
    recipe = make({"shape": [3, 4], "snaking": [False, True], "colour_rois": {"R": [0, 5, 10, 20], "other": [1, 2, 3, 4]}})
    assert [(channel.name, channel.colour) for channel in recipe.channels] == [("red", "red"), ("other", None), ("total", None)]
    assert recipe.regions[0].resolve((100, 100)) == (slice(0, 10), slice(5, 20))
    assert codes(recipe) == []


def test_a_run_that_names_no_shape_has_no_recipe() -> None:
    assert choose({"uid": "a", "time": 1.0}, [Raster()], PlanDefaults()) is None


# --- the wpb entry and the settings ---


def test_the_wpb_entry_counts_more_than_the_rest_of_the_start_document() -> None:
    wpb = {"shape": [2, 2], "snaking": [False, True], "extents": [[0, 1], [5, 6]], "axes": ["v", "u"], "data_key": "camera"}
    wpb["regions"] = {"edge": {"rows": [0, 5]}}
    recipe = make({"shape": [3, 4], "snaking": [False, False], "motors": MOTORS, "wpb": wpb})
    assert recipe.grid.shape == (2, 2)
    assert recipe.grid.axes == (Axis("v", None, 0.0, 1.0, False), Axis("u", None, 5.0, 6.0, True))
    assert recipe.data_key == "camera"
    assert [channel.name for channel in recipe.channels] == ["edge", "total"]
    assert recipe.regions[0].resolve((30, 40)) == (slice(0, 5), slice(0, 40))
    assert codes(recipe) == []


def test_the_settings_fill_what_the_start_document_leaves_out() -> None:
    defaults = PlanDefaults(
        shape=(2, 2), snaking=(False, True), extents=((0, 1), (5, 6)), axes=("v", "u"), regions={"edge": {"rows": (0, 5)}}
    )
    recipe = make({}, defaults)
    assert recipe.grid.shape == (2, 2)
    assert recipe.grid.axes[1] == Axis("u", None, 5.0, 6.0, True)
    assert [channel.name for channel in recipe.channels] == ["edge", "total"]
    assert codes(recipe) == ["snaking_guessed"]
    assert make({"shape": [3, 4]}, defaults).grid.shape == (3, 4)


@pytest.mark.parametrize(
    ("wpb", "told"),
    [
        ({"recipe": "tomogram"}, "tomogram"),
        ({"data_key": ["camera"]}, "wpb.data_key"),
        ({"regions": {"a": {"rows": [5, 2]}}}, "wpb.regions.a"),
        ({"regions": {"a": {"rows": [0, 5, 9]}}}, "wpb.regions.a"),
        ({"regions": {"a": {"rows": ["0", "5"]}}}, "wpb.regions.a"),
        ({"regions": {"a": {"lines": [0, 5]}}}, "wpb.regions.a"),
        ({"regions": {"a": [0, 5]}}, "wpb.regions.a"),
        ({"regions": {"total": {"rows": [0, 5]}}}, "total"),
        ({"regions": {"": {"rows": [0, 5]}}}, "no name"),
        ({"regions": {"../a": {"rows": [0, 5]}}}, "no name"),
        ({"regions": {f"r{k}": {"rows": [0, 5]} for k in range(MAX_REGIONS + 1)}}, "allowed"),
        ({"shape": [MAX_CELLS, 2]}, "cells"),
    ],
)
def test_a_mistake_in_the_wpb_entry_costs_no_run_and_is_told(wpb: dict[str, Any], told: str) -> None:
    recipe = make({"shape": [3, 4], "snaking": [False, True], "wpb": wpb})
    assert recipe.grid.shape == (3, 4)
    assert [channel.name for channel in recipe.channels] == ["red", "green", "blue", "total"]
    assert codes(recipe) == ["recipe_refused", "regions_guessed"]
    assert told in recipe.notices[0].message
    assert len(recipe.notices[0].message) < 400


# --- hostile values ---


@pytest.mark.parametrize("shape", ["3x4", [-3, 4], [0, 4], [3.0, 4.0], [True, True], [[3], [4]], {"y": 3}, [1] * 9, [], None, 5])
def test_a_shape_that_is_none_falls_back_to_the_settings(shape: object) -> None:
    assert make({"shape": shape}, PlanDefaults(shape=(2, 2))).grid.shape == (2, 2)
    assert choose({"uid": "a", "shape": shape}, [Raster()], PlanDefaults()) is None


@pytest.mark.parametrize("num_points", ["3", 3.0, True, 0, -1, None, [3]])
def test_a_number_of_points_that_is_none_makes_no_line(num_points: object) -> None:
    assert choose({"uid": "a", "num_points": num_points}, [Raster()], PlanDefaults()) is None


def test_a_map_of_too_many_cells_is_refused() -> None:
    with pytest.raises(RecipeError, match=str(MAX_CELLS)):
        Raster().make({"shape": [MAX_CELLS, 2]}, PlanDefaults())
    assert choose({"uid": "a", "shape": [MAX_CELLS, 2]}, [Raster()], PlanDefaults()) is None


@pytest.mark.parametrize(
    "extents", ["0", [[0, 1]], [[0, "1"], None], [[0, float("nan")], [float("inf"), 1]], [{"start": 0}, 5], {"y": [0, 1]}]
)
def test_extents_that_are_none_leave_the_axes_without_positions(extents: object) -> None:
    assert [(axis.start, axis.stop) for axis in make({"shape": [3, 4], "extents": extents}).grid.axes] == [(None, None)] * 2


@pytest.mark.parametrize("motors", ["stage", ["one"], None, {"y": 1}])
def test_motors_that_do_not_match_the_shape_leave_numbered_axes(motors: object) -> None:
    assert [axis.name for axis in make({"shape": [3, 4], "motors": motors}).grid.axes] == ["axis 0", "axis 1"]


@pytest.mark.parametrize(
    "rois",
    [
        {"red": [0.5, 1.5]},
        {"R": [0, 0, 5.5, 5]},
        {"R": [5, 0, 2, 5]},
        {"R": [-1, 0, 5, 5]},
        {"R": [0, 0, 5, 5], "red": [0, 0, 6, 6]},
        {"total": [0, 0, 5, 5]},
        {"x" * 100: [0, 0, 5, 5]},
        {f"r{k}": [0, 0, 5, 5] for k in range(MAX_REGIONS + 1)},
        "red",
        [[0, 0, 5, 5]],
    ],
)
def test_regions_that_are_no_pixel_boxes_of_usable_names_become_thirds_with_a_notice(rois: object) -> None:
    recipe = make({"shape": [3, 4], "snaking": [False, True], "colour_rois": rois})
    assert recipe.regions[:3] == thirds()
    assert codes(recipe) == ["regions_guessed"]


def test_the_raster_is_among_the_recipes_that_are_installed() -> None:
    assert "raster" in [maker.name for maker in all_makers()]
