"""What a start document may ask of the phase, and what it is told where it asks for something that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.phase_map import Optics, PhaseMap
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.recipes.beside import WithCompanions
from wpb_stream.recipes.line import Line
from wpb_stream.recipes.raster import Raster

OPTICS = {"pixel_size": 55e-6, "distance": 2, "wavelength": 1.5e-10}


def make(phase: Any, shape: tuple[int, ...] = (3, 3)) -> Recipe:
    wpb = {"reduction": "centre_of_mass", "phase": phase}
    return Raster().make({"shape": list(shape), "snaking": [False] * len(shape), "wpb": wpb}, PlanDefaults())


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (True, PhaseMap()),
        ({"axes": ["-column", "row"]}, PhaseMap(("-column", "row"))),
        (OPTICS, PhaseMap(optics=Optics(55e-6, 2.0, 1.5e-10))),
        ({**OPTICS, "axes": ("row", "-column")}, PhaseMap(("row", "-column"), Optics(55e-6, 2.0, 1.5e-10))),
    ],
)
def test_a_phase_is_made_as_it_was_asked_for(phase: Any, expected: PhaseMap) -> None:
    recipe = make(phase)
    assert recipe.derived == (expected,)
    assert recipe.arrays == ("phase",)


@pytest.mark.parametrize("phase", [None, False])
def test_without_a_phase_there_is_none(phase: Any) -> None:
    assert make(phase, (3,)).derived == ()
    assert Raster().make({"shape": [3, 3], "wpb": {"phase": phase}}, PlanDefaults()).derived == ()


def test_centres_of_mass_may_be_fitted_too() -> None:
    wpb = {"reduction": "centre_of_mass", "phase": True, "fit": {"model": "erf", "channels": ["row"]}}
    made = WithCompanions(Raster()).make({"shape": [3, 3], "wpb": wpb}, PlanDefaults())
    assert made.arrays[:2] == ("phase", "fit.row.amplitude")


@pytest.mark.parametrize(
    ("phase", "told"),
    [
        ("yes", "wpb.phase must be true, or like"),
        ({}, "wpb.phase must be true, or like"),
        (1, "wpb.phase must be true, or like"),
        ({"energy": 8.0}, "wpb.phase must be true, or like"),
        ({"axes": ["row", "row"]}, "wpb.phase.axes"),
        ({"axes": ["row", "-row"]}, "wpb.phase.axes"),
        ({"axes": ["row"]}, "wpb.phase.axes"),
        ({"axes": ["row", ["column"]]}, "wpb.phase.axes"),
        ({"axes": ["--row", "column"]}, "wpb.phase.axes"),
        ({"pixel_size": 55e-6, "distance": 2}, "wpb.phase.wavelength must be a length in metres"),
        ({**OPTICS, "distance": 0}, "wpb.phase.distance"),
        ({**OPTICS, "distance": -2.0}, "wpb.phase.distance"),
        ({**OPTICS, "wavelength": "1.5 A"}, "wpb.phase.wavelength"),
        ({**OPTICS, "pixel_size": float("nan")}, "wpb.phase.pixel_size"),
        ({**OPTICS, "pixel_size": True}, "wpb.phase.pixel_size"),
    ],
)
def test_a_phase_that_cannot_be_is_refused_by_its_key(phase: Any, told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        make(phase)
    assert told in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_phase_needs_centres_of_mass_and_two_axes() -> None:
    with pytest.raises(RecipeError, match=r'wpb\.phase is for "reduction": "centre_of_mass" only'):
        Raster().make({"shape": [3, 3], "wpb": {"phase": True}}, PlanDefaults())
    for shape in ((9,), (3, 3, 3)):
        with pytest.raises(RecipeError, match=rf"wpb\.phase is for scans of two axes; this one has {len(shape)}"):
            make(True, shape)
    with pytest.raises(RecipeError, match=r"wpb\.phase is for scans of two axes; this one has no known shape"):
        Line().make({"wpb": {"reduction": "centre_of_mass", "phase": True}}, PlanDefaults())
