"""Settings of a recipe in words."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.wording import LONGEST, place_of, words_of
from wpb_stream.recipes.reductions import reduction_of
from wpb_stream.recipes.regions import region_of

DISK = {"ellipse": {"centre": [24, 32], "radii": [7, 7]}}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "all"),
        ({"rows": [0, 16]}, "rows 0 to 16"),
        ({"rows": [0, 16], "columns": [3, 5]}, "rows 0 to 16, columns 3 to 5"),
        ({"columns": [3, 5], "outside": True}, "outside of columns 3 to 5"),
        (DISK, "ellipse centre [24, 32], radii [7, 7]"),
        ({**DISK, "outside": True}, "outside of ellipse centre [24, 32], radii [7, 7]"),
    ],
)
def test_a_region_is_told_as_it_was_asked_for(asked: dict[str, Any], told: str) -> None:
    assert place_of(region_of("wpb.mask", "total", asked)) == told


def test_thirds_of_a_frame_and_no_region_are_told() -> None:
    red, *_, total = reduction_of({}, PlanDefaults(), []).channels
    assert (place_of(red.region), place_of(total.region)) == ("rows 0/3 to 1/3", "all")


def test_a_polygon_of_many_corners_is_cut_off() -> None:
    assert len(place_of(region_of("wpb.mask", "total", {"polygon": [[k, k * k] for k in range(1000)]}))) == LONGEST


@pytest.mark.parametrize(
    ("wpb", "told"),
    [
        ({"reduction": "centre_of_mass"}, "centre of mass (region: all)"),
        ({"reduction": "centre_of_mass", "bad_pixels": [[1, 2], [3, 4]]}, "centre of mass (region: all, bad: 2 pixels)"),
        (
            {"reduction": "centre_of_mass", "dark": {"file": "file://localhost/d.npy"}},
            "with files (reducer: centre of mass (region: all), dark: file array (key: wpb.dark, uri: file://localhost/d.npy, "
            "mimetype: application/x-npy, averaged: True))",
        ),
        (
            {"regions": {"hits": {"rows": [0, 9], "statistic": "above", "threshold": 60}}},
            "region statistics (measures: measure (region: rows 0 to 9, statistic: above, threshold: 60); measure (region: all))",
        ),
        (
            {"reduction": "xrf", "elements": {"Fe": {"window": [6, 9], "background": [[3, 5]]}}},
            "element counts (elements: element window (name: Fe, window: 6 to 9, background: 3 to 5))",
        ),
    ],
)
def test_a_reducer_is_told_without_what_is_by_default(wpb: dict[str, Any], told: str) -> None:
    assert words_of(reduction_of({"wpb": wpb}, PlanDefaults(), []).reducer) == told


def test_a_reducer_of_a_facility_is_told_as_it_tells_itself() -> None:
    class Own:
        def __str__(self) -> str:
            return "rings"

    assert words_of(Own()) == "rings"
