"""What the settings say of a run, by rules on its start document and by its plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.recipes import chooser
from wpb_stream.rules import Plan, Rule, defaults_of
from wpb_stream.settings import load

START = {
    "uid": "u",
    "time": 1.0,
    "plan_name": "grid_scan",
    "beamline": "b01-1",
    "instrument_session": "cm12345-1",
    "detectors": ["manta", "xsp3"],
}


@pytest.mark.parametrize(
    "condition",
    [
        {"plan_name": "grid_*"},
        {"beamline": "b01-?"},
        {"data_session": "cm*"},
        {"detector": "xsp[34]"},
        {"plan_name": "grid_scan", "detector": "manta", "beamline": "b01-1", "data_session": "cm12345-1"},
    ],
)
def test_a_rule_is_followed_where_all_its_conditions_are_met(condition: dict[str, str]) -> None:
    assert defaults_of(START, [Rule(**condition, shape=(2, 3))], {}).shape == (2, 3)


@pytest.mark.parametrize(
    "condition",
    [
        {"plan_name": "GRID_scan"},
        {"beamline": "b01"},
        {"data_session": "12345"},
        {"detector": "eiger"},
        {"plan_name": "*", "detector": "eiger"},
    ],
)
def test_a_rule_one_of_whose_conditions_is_not_met_is_not_followed(condition: dict[str, str]) -> None:
    assert defaults_of(START, [Rule(**condition, shape=(2, 3))], {}) == PlanDefaults()


@pytest.mark.parametrize("key", ["beamline", "beamline_id", "instrument"])
def test_the_beamline_is_found_under_each_of_its_names(key: str) -> None:
    assert defaults_of({key: "i14"}, [Rule(beamline="i14", shape=(2, 3))], {}).shape == (2, 3)


def test_the_first_rule_that_says_it_counts_and_the_plans_entry_comes_last() -> None:
    rules = [Rule(beamline="b*", shape=(2, 3)), Rule(plan_name="grid*", shape=(4, 5), axes=("y", "x"))]
    told = defaults_of(START, rules, {"grid_scan": Plan(axes=("v", "u"), snaking=(False, True))})
    assert told == PlanDefaults(shape=(2, 3), axes=("y", "x"), snaking=(False, True))


@pytest.mark.parametrize("value", [None, 5, {"a": 1}, ["x", 7], "\0"])
def test_whatever_a_start_document_holds_costs_no_run(value: Any) -> None:
    start = dict.fromkeys(("plan_name", "beamline", "instrument_session", "detectors"), value)
    assert defaults_of(start, [Rule(plan_name="grid", beamline="b", data_session="c", detector="d", shape=(2, 3))], {}) == PlanDefaults()


def test_a_run_that_a_rule_of_the_settings_file_fits_is_the_map_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wpb.toml").write_text(
        '[[rules]]\nbeamline = "b01-*"\nplan_name = "my_*"\nshape = [4, 6]\nregions = {a = {rows = [0, 5]}}\n'
    )
    monkeypatch.setenv("WPB_CONFIG", str(tmp_path / "wpb.toml"))
    recipe = chooser(load().defaults_of)({**START, "plan_name": "my_scan"})
    assert recipe is not None
    assert (recipe.name, recipe.grid.shape, [channel.name for channel in recipe.channels]) == ("raster", (4, 6), ["a", "total"])


@pytest.mark.parametrize(("rule", "told"), [({"shape": [2, 3]}, "needs a condition"), ({"beam": "x", "shape": [2]}, "beam")])
def test_a_rule_that_cannot_be_is_told(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ServiceError, match=told):
        load(rules=[rule])


def test_keys_of_the_wpb_entry_are_those_of_the_start_document_then_of_the_rules_then_of_the_plan() -> None:
    rules = [Rule(beamline="b*", wpb={"arrays": ["mean_frame"]}), Rule(detector="xsp*", wpb={"arrays": ["last_frame"], "data_key": "xsp3"})]
    plans = {"grid_scan": Plan(shape=(2, 3), wpb={"data_key": "manta", "bad_pixels": [[1, 2]]})}
    choose = chooser(lambda start: defaults_of(start, rules, plans))
    recipe = choose(START)
    assert recipe is not None
    assert (recipe.arrays, recipe.data_key) == (("mean_frame",), "xsp3")
    assert recipe.accumulation is not None
    assert len(recipe.accumulation.bad) == 1
    own = choose({**START, "wpb": {"arrays": ["maximum_frame"], "data_key": "own"}})
    assert own is not None
    assert (own.arrays, own.data_key) == (("maximum_frame",), "own")
    refused = choose({**START, "wpb": {"reduction": "xrf"}})
    assert refused is not None
    assert [notice.code for notice in refused.notices][:1] == ["recipe_refused"]
    assert refused.arrays == ()


@pytest.mark.parametrize(("wpb", "words"), [({"arays": []}, "did you mean 'arrays'"), ({"shape": [0]}, "wpb.shape")])
def test_a_mistake_in_the_wpb_entry_of_a_rule_is_told_at_the_start(wpb: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceError, match=words):
        load(rules=[{"beamline": "b01", "wpb": wpb}])
