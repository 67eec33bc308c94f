"""What a start document may ask to be fitted, and what it is told where it asks for something that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from event_model import compose_run

from wpb_stream.core.documents import Document
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.line_fits import LineFits
from wpb_stream.core.line_models import LineModel
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.core.run import Run
from wpb_stream.recipes.line import Line
from wpb_stream.recipes.raster import Raster

RED = {"red": {"rows": [0, 5]}}


def make(wpb: dict[str, Any]) -> Recipe:
    return Raster().make({"shape": [3, 3], "snaking": [False, True], "wpb": wpb}, PlanDefaults())


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ({"model": "gaussian"}, LineFits(LineModel("gaussian"), ("total",), named=False)),
        (
            {"model": "voigt", "background": "linear", "channels": ["red", "total"]},
            LineFits(LineModel("voigt", "linear"), ("red", "total")),
        ),
        ({"model": "erf", "background": "constant"}, LineFits(LineModel("erf"), ("total",), named=False)),
        ({"model": "polynomial", "degree": 7}, LineFits(LineModel("polynomial", degree=7), ("total",), named=False)),
    ],
)
def test_a_fit_is_what_was_asked_for_of_maps_and_of_lines(fit: dict[str, Any], expected: LineFits) -> None:
    assert make({"fit": fit, "regions": RED}).derived == (expected,)
    assert Line().make({"wpb": {"fit": fit, "regions": RED}}, PlanDefaults()).derived == (expected,)


def test_without_a_fit_nothing_is_fitted() -> None:
    assert make({"regions": RED}).derived == ()


def test_its_arrays_are_named_after_channel_and_parameter() -> None:
    (fits,) = make({"fit": {"model": "polynomial", "degree": 1, "channels": ["total", "red"]}}).derived
    assert fits.names == tuple(
        f"fit.{channel}.{name}" for channel in ("total", "red") for name in ("c0", "c1", "reduced_chi_square", "curve")
    )


@pytest.mark.parametrize(
    ("fit", "told"),
    [
        ("gaussian", "wpb.fit must be like"),
        ({}, "wpb.fit must be like"),
        ({"channels": ["total"]}, "wpb.fit must be like"),
        ({"model": "gaussian", "centre": 3}, "wpb.fit must be like"),
        ({"model": "gauss"}, "wpb.fit.model: there is no 'gauss'; known are gaussian, lorentzian, voigt, erf, polynomial"),
        ({"model": ["gaussian"]}, "wpb.fit.model"),
        ({"model": "gaussian", "background": "none"}, "wpb.fit.background: there is no 'none'; known are constant, linear"),
        ({"model": "gaussian", "background": ["linear"]}, "wpb.fit.background"),
        ({"model": "gaussian", "degree": 2}, "wpb.fit.degree"),
        ({"model": "polynomial"}, "wpb.fit.degree must be a whole number from 1 to 7"),
        ({"model": "polynomial", "degree": 8}, "wpb.fit.degree"),
        ({"model": "polynomial", "degree": True}, "wpb.fit.degree"),
        ({"model": "polynomial", "degree": 2, "background": "linear"}, "wpb.fit.background"),
        ({"model": "gaussian", "channels": "total"}, "wpb.fit.channels must be a list"),
        ({"model": "gaussian", "channels": []}, "wpb.fit.channels must be a list"),
        ({"model": "gaussian", "channels": [3]}, "wpb.fit.channels must be a list"),
        ({"model": "gaussian", "channels": ["total", "total"]}, "wpb.fit.channels must be a list"),
        ({"model": "gaussian", "channels": ["x" * 201]}, "wpb.fit.channels must be a list"),
        ({"model": "gaussian", "channels": ["rde"]}, "wpb.fit.channels: there is no channel 'rde'; known are red, total"),
    ],
)
def test_a_fit_that_cannot_be_is_refused_by_its_key(fit: Any, told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        make({"fit": fit, "regions": RED})
    assert told in str(refused.value)
    assert len(str(refused.value)) < 300


def run_of(fit: dict[str, Any], data_key: dict[str, Any]) -> Run:
    start = {"uid": "u", "time": 0.0, "num_points": 5, "wpb": {"fit": fit}}
    run = Run(start, Raster().make(start, PlanDefaults()))
    composed = compose_run(uid="u", time=0.0)
    described = composed.compose_descriptor(name="primary", data_keys={"diode": {"source": "sim", **data_key}})
    run.apply(Document("descriptor", dict(described.descriptor_doc)))
    if "external" not in data_key:
        run.apply(Document("event", dict(described.compose_event(data={"diode": 1.0}, timestamps={"diode": 0.0}))))
    return run


NUMBER: dict[str, Any] = {"dtype": "number", "shape": []}
IMAGES: dict[str, Any] = {"dtype": "array", "shape": [1, 9, 9], "external": "STREAM:"}


@pytest.mark.parametrize(
    ("fit", "data_key", "fitted", "unknown"),
    [
        ({"model": "gaussian"}, NUMBER, [("diode",)], False),
        ({"model": "gaussian", "channels": ["diode"]}, NUMBER, [("diode",)], False),
        ({"model": "gaussian", "channels": ["diod"]}, NUMBER, [], True),
        ({"model": "gaussian"}, IMAGES, [("total",)], False),
        ({"model": "gaussian", "channels": ["diode"]}, IMAGES, [("diode",)], True),
    ],
)
def test_a_channel_that_is_named_is_one_of_the_events_or_one_of_the_frames_or_told_to_be_neither(
    fit: dict[str, Any], data_key: dict[str, Any], fitted: list[tuple[str, ...]], unknown: bool
) -> None:
    run = run_of(fit, data_key)
    assert run.recipe is not None
    assert [each.channels for each in run.recipe.derived if isinstance(each, LineFits)] == fitted
    assert ("channel_unknown" in [notice.code for notice in run.notices]) is unknown
