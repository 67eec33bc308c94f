"""What a start document can ask of the projections of a sample that turns."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.core.slices import Slices
from wpb_stream.recipes import chooser
from wpb_stream.recipes.tomography import MAX_PROJECTIONS

TURN = {"uid": "u", "time": 1.0, "plan_name": "scan", "num_points": 181, "motors": ["theta"], "extents": [[0, 180]]}


def recipe_of(start: dict[str, Any], **wpb: Any) -> Recipe:
    made = chooser(lambda _: PlanDefaults())({**start, "wpb": wpb})
    assert made is not None
    return made


def test_the_angles_are_the_positions_of_the_axis() -> None:
    made = recipe_of(TURN, tomography={"slices": [5, 7], "flat": 1000, "dark": 3, "centre": 30.5, "filter": "hann"})
    assert made.accumulation is not None
    assert made.accumulation.slices == Slices((5, 7), 0.0, math.radians(1), 30.5, "hann", 1000.0, 3.0)
    assert made.arrays == ("sinogram.5", "slice.5", "sinogram.7", "slice.7")
    assert not made.notices or {notice.code for notice in made.notices} == {"regions_guessed"}


def test_the_angles_may_be_told_and_a_flat_in_a_file_stands_for_its_counts() -> None:
    flat = {"file": "file:///data/flat.h5", "dataset": "flat"}
    made = recipe_of(TURN, tomography={"slices": [5], "angles": [90, -90]}, flat=flat, arrays=["mean_frame"], bad_pixels=[[1, 2]])
    assert made.accumulation is not None
    slices = made.accumulation.slices
    assert slices == Slices((5,), math.radians(90), -math.radians(1))
    assert made.arrays == ("mean_frame", "sinogram.5", "slice.5")
    assert len(made.accumulation.bad) == 1


@pytest.mark.parametrize(
    ("tomography", "words"),
    [
        ({"flat": 1}, "wpb.tomography must be like"),
        ({"slices": [1], "flats": 1}, "it may have slices, angles"),
        ({"slices": [1]}, "wpb.tomography.flat must be the counts"),
        ({"slices": [], "flat": 1}, "wpb.tomography.slices must be 1 to 8"),
        ({"slices": [1, 1], "flat": 1}, "wpb.tomography.slices"),
        ({"slices": [-1], "flat": 1}, "wpb.tomography.slices"),
        ({"slices": [1.5], "flat": 1}, "wpb.tomography.slices"),
        ({"slices": list(range(9)), "flat": 1}, "wpb.tomography.slices"),
        ({"slices": [1], "flat": "many"}, "wpb.tomography.flat must be a number"),
        ({"slices": [1], "flat": 1, "dark": math.nan}, "wpb.tomography.dark must be a number"),
        ({"slices": [1], "flat": 1, "centre": "middle"}, "wpb.tomography.centre must be a number"),
        ({"slices": [1], "flat": 1, "filter": "sharp"}, "there is no 'sharp'; known are ramp"),
        ({"slices": None, "flat": 1}, "wpb.tomography must be like"),
        ({"slices": [1], "flat": 1, "angles": [0]}, "wpb.tomography.angles must be the first and the last angle"),
    ],
)
def test_a_mistake_is_told_by_its_key_and_the_best_guess_is_made(tomography: dict[str, Any], words: str) -> None:
    made = recipe_of(TURN, tomography=tomography)
    (told,) = [notice.message for notice in made.notices if notice.code == "recipe_refused"]
    assert words in told
    assert "slice.1" not in made.arrays


@pytest.mark.parametrize("start", [{"uid": "u", "time": 1.0}, {"uid": "u", "time": 1.0, "shape": [3, 4]}, {**TURN, "num_points": 1}])
def test_it_is_for_scans_of_one_axis_and_known_length(start: dict[str, Any]) -> None:
    made = recipe_of(start, tomography={"slices": [1], "flat": 1, "angles": [0, 1]})
    assert any("scans of one axis" in notice.message for notice in made.notices)


def test_more_projections_than_sinograms_are_made_of_are_refused() -> None:
    for points, refused in ((MAX_PROJECTIONS, False), (MAX_PROJECTIONS + 1, True)):
        made = recipe_of({**TURN, "num_points": points}, tomography={"slices": [1], "flat": 1})
        told = [notice.message for notice in made.notices if notice.code == "recipe_refused"]
        assert bool(told) == refused
        assert ("slice.1" in made.arrays) != refused
    assert "wpb.tomography is for up to 16,384 projections, and this scan has 16,385 points" in told[0]


@pytest.mark.parametrize("key", ["angles", "centre", "filter", "flat", "dark"])
def test_a_key_that_holds_null_is_absent(key: str) -> None:
    flat = {"file": "file:///data/flat.h5", "dataset": "flat"}
    made = recipe_of(TURN, tomography={"slices": [5], key: None}, flat=flat)
    assert made.accumulation is not None
    assert made.accumulation.slices == Slices((5,), 0.0, math.radians(1))
