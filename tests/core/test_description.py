"""What is said of regions that lie beyond the frames."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.documents import raster_run
from tests.helpers.liverun import batch_of, codes, live_of
from wpb_stream.core.description import beyond
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.recipes.raster import Raster

NOWHERE = {"centre": [500, 5], "inner": 0, "outer": 9}


@pytest.mark.parametrize(
    ("wpb", "names"),
    [
        ({"regions": {"red": {"rows": [48, 60]}, "green": {"rows": [47, 60]}, "peak": {"statistic": "maximum"}}}, "red"),
        ({"regions": {"a": {"columns": [64, 65]}, "b": {"annulus": NOWHERE}, "c": {"annulus": NOWHERE, "outside": True}}}, "a, b"),
        ({"reduction": "centre_of_mass", "mask": {"annulus": NOWHERE}}, "row, column, total"),
        ({"reduction": "xrf", "elements": {"Fe": {"window": [64, 70]}, "Ca": {"window": [60, 70]}}}, "Fe"),
    ],
)
def test_what_lies_beyond_the_frames_is_named(wpb: dict[str, Any], names: str) -> None:
    recipe = Raster().make({"shape": [3, 3], "snaking": [False, True], "wpb": wpb}, PlanDefaults())
    assert beyond(recipe, (48, 64)) == f"The detector's frames have 48 rows and 64 columns: nothing of them lies in {names}."
    assert beyond(recipe, (600, 80)) is None


def test_what_lies_in_a_file_or_was_not_asked_for_is_not_told() -> None:
    mask = {"mask_file": "file://localhost/data/mask.npy"}
    for wpb in ({}, {"regions": {"red": mask}}):
        recipe = Raster().make({"shape": [3, 3], "wpb": wpb}, PlanDefaults())
        assert beyond(recipe, (1, 1)) is None


def test_it_is_told_once_live_and_in_a_recomputation() -> None:
    regions: dict[str, Any] = {"red": {"rows": [50_000, 50_001]}, "green": {"rows": [0, 1]}, "blue": {"columns": [0, 1]}}
    documents = raster_run((2, 3), wpb={"regions": regions})
    assert codes(live_of(documents)) == codes(batch_of(documents)) == {"regions_beyond": 1}
