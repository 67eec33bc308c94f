"""Why a run is reconstructed as it is: which entries made its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from wpb_stream.core.explanation import DEFAULT, explain
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.recipes import chooser

START = {"uid": "u", "time": 1.0, "plan_name": "grid_scan", "shape": [7, 9], "motors": ["y", "x"], "operator": "somebody"}


def told(start: Mapping[str, Any], defaults: PlanDefaults | None = None) -> dict[str, tuple[str, set[str]]]:
    with_settings, without = chooser(lambda _: defaults or PlanDefaults()), chooser(lambda _: PlanDefaults())

    def choose(document: Mapping[str, Any], use_settings: bool) -> Recipe | None:
        return (with_settings if use_settings else without)(dict(document))

    return {aspect.name: (aspect.value, set(aspect.sources)) for aspect in explain(start, choose)}


def test_each_property_is_told_with_the_entry_it_comes_from() -> None:
    found = told({**START, "snaking": [False, True], "extents": [[0, 6], [0, 8]]})
    assert found["shape"] == ("7 x 9", {"shape"})
    assert found["snaking"] == ("no, yes", {"snaking", "shape"})
    assert found["axes"][0] == "y, x"
    assert "motors" in found["axes"][1]
    assert found["positions"][0] == "0 to 6, 0 to 8"
    assert "extents" in found["positions"][1]
    assert found["regions"][1] == {DEFAULT}
    assert not any("operator" in sources for _, sources in found.values())


def test_the_keys_of_the_wpb_entry_are_told_one_by_one() -> None:
    regions = {"red": {"rows": [0, 5]}}
    found = told({**START, "wpb": {"regions": regions, "data_key": "camera"}})
    assert found["channels"] == ("red, total", {"wpb.regions"})
    assert found["detector"] == ("camera", {"wpb.data_key"})
    assert found["shape"][1] == {"shape"}


def test_what_is_joined_to_frames_is_nowhere_on_the_detector() -> None:
    found = told({**START, "wpb": {"regions": {"red": {"rows": [0, 5]}}, "scalars": ["i0"]}})
    assert found["channels"][0] == "red, total, i0"
    assert found["regions"] == ("red: rows 0 to 5; total: all", {"wpb.regions"})


def test_what_is_made_of_the_maps_is_told() -> None:
    assert told(START)["arrays"][0] == "none"
    found = told({**START, "wpb": {"fit": {"model": "polynomial", "degree": 1}}})
    names = ("c0", "c1", "c0_stderr", "c1_stderr", "reduced_chi_square", "curve")
    assert found["arrays"] == (", ".join(f"fit.total.{name}" for name in names), {"wpb.fit", "shape"})


def test_what_two_entries_say_alike_is_told_of_both() -> None:
    assert told({**START, "wpb": {"shape": [7, 9]}})["shape"] == ("7 x 9", {"shape", "wpb.shape"})


def test_what_the_settings_say_is_told() -> None:
    found = told(START, PlanDefaults(snaking=(False, True)))
    assert found["snaking"][0] == "no, yes"
    assert "settings" in found["snaking"][1]
    assert "settings" not in found["shape"][1]


@pytest.mark.parametrize("more", [{}, {"wpb": 5}, {"shape": "7x9"}])
def test_a_run_that_tells_nothing_is_a_line_by_default(more: dict[str, Any]) -> None:
    found = told({"uid": "u", "time": 1.0, **more})
    assert (found["recipe"][0], found["shape"][0]) == ("line", "grows")
    assert found["recipe"][1] == {DEFAULT}
