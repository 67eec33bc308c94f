"""What a start document may ask to be fitted, and what it is told where it asks for something that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from event_model import compose_run

from tests.helpers.documents import CAMERA, Acquisition
from tests.helpers.liverun import Walk
from wpb_stream.core.documents import Document
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.line_fits import LineFits
from wpb_stream.core.line_models import LineModel
from wpb_stream.core.recipe import Channel, PlanDefaults, Recipe
from wpb_stream.core.run import Run
from wpb_stream.recipes import chooser
from wpb_stream.recipes.beside import WithCompanions

RED = {"red": {"rows": [0, 5]}}


def make(wpb: dict[str, Any], **start: Any) -> Recipe:
    """The recipe, or the refusal, that a run has with this entry."""
    start = {"uid": "u", "time": 0.0, "shape": [3, 3], "snaking": [False, True], **start, "wpb": wpb}
    recipe = chooser(lambda _: PlanDefaults())(start)
    assert recipe is not None
    return recipe


def told(recipe: Recipe, code: str) -> list[str]:
    return [notice.message for notice in recipe.notices if notice.code == code]


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
    assert make({"fit": fit, "regions": RED}, shape=None).derived == (expected,)


def test_without_a_fit_nothing_is_fitted() -> None:
    assert make({"regions": RED}).derived == ()


def test_its_arrays_are_named_after_channel_and_parameter() -> None:
    fits = make({"fit": {"model": "polynomial", "degree": 1, "channels": ["total", "red"]}})
    assert fits.arrays == tuple(
        f"fit.{channel}.{name}"
        for channel in ("total", "red")
        for name in ("c0", "c1", "c0_stderr", "c1_stderr", "reduced_chi_square", "curve")
    )


@pytest.mark.parametrize(
    ("fit", "words"),
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
        ({"model": "gaussian", "channels": [f"c{k}" for k in range(101)]}, "wpb.fit.channels: 101 channels, more than the 100 allowed"),
    ],
)
def test_a_fit_that_cannot_be_is_refused_by_its_key(fit: Any, words: str) -> None:
    (refused,) = told(make({"fit": fit, "regions": RED}), "recipe_refused")
    assert words in refused
    assert len(refused) < 400


def test_what_is_joined_to_frames_is_fitted_too() -> None:
    asked = {"model": "polynomial", "degree": 1, "channels": ["i0", "red"]}
    made = make({"fit": asked, "scalars": ["i0"], "normalise": {"by": "i0"}, "regions": RED})
    assert made.derived == (LineFits(LineModel("polynomial", degree=1), ("i0", "red")),)
    assert not told(made, "channel_unknown")
    run = Acquisition((1, 4), wpb={"fit": {**asked, "channels": ["i0"]}, "scalars": ["i0"]})
    stream, file = run.stream(camera=CAMERA, i0={"source": "sim", **NUMBER}), run.file()
    for point in range(4):
        run.event(stream, i0=3.0 + 0.5 * point)
        run.frames(stream, file, point, point + 1)
    run.stop()
    walk = Walk()
    for document in run.documents:
        walk.take(document, 0.0)
    walk.end(0.0)
    arrays = walk.lives[run.uid].moment().made().arrays
    np.testing.assert_allclose([arrays["fit.i0.c0"], arrays["fit.i0.c1"]], [[3.0], [0.5]])


@pytest.mark.parametrize("other", [{}, {"regions": RED}, {"scalars": ["i0"]}, {"reduction": "centre_of_mass"}])
def test_a_channel_that_is_not_there_costs_nothing_else_that_was_asked_for(other: dict[str, Any]) -> None:
    made = make({"fit": {"model": "gaussian", "channels": ["total", "rde"]}, **other})
    assert not told(made, "recipe_refused")
    assert replace(made, derived=(), notices=()) == replace(make(other), derived=(), notices=())
    known = ", ".join(channel.name for channel in made.channels)
    assert told(made, "channel_unknown") == [f"wpb.fit.channels: there is no channel 'rde'; known are {known}."]


@pytest.mark.parametrize(("lines", "fitted"), [(16_384, ["red", "total"]), (16_385, ["red"]), (32_769, [])])
def test_channels_that_would_be_too_many_fits_are_left_out_and_told(lines: int, fitted: list[str]) -> None:
    asked = {"regions": RED, "arrays": ["mean_frame"]}
    made = make({**asked, "fit": {"model": "polynomial", "degree": 1, "channels": ["red", "total"]}}, shape=[lines, 3])
    assert made.arrays[0] == "mean_frame"
    assert [name for name in made.arrays if name.endswith("curve")] == [f"fit.{channel}.curve" for channel in fitted]
    left = ", ".join(channel for channel in ("red", "total") if channel not in fitted)
    expected = [f"wpb.fit: {lines:,} lines of 2 channels are more than 32,768 fits; not fitted are {left}."] if left else []
    assert told(made, "arrays_left_out") == expected
    assert not told(made, "recipe_refused")


def test_numbers_in_events_that_would_be_too_many_fits_are_left_out_and_told() -> None:
    run = Acquisition((16_385, 3), wpb={"fit": {"model": "gaussian"}})
    run.event(run.stream(a={"source": "sim", **NUMBER}, b={"source": "sim", **NUMBER}), a=1.0, b=2.0)
    walk = Walk()
    for document in run.documents:
        walk.take(document, 0.0)
    live = walk.lives[run.uid]
    expected = "wpb.fit: 16,385 lines of 2 channels are more than 32,768 fits; not fitted are b."
    assert [notice.message for notice in live.run.notices if notice.code == "arrays_left_out"] == [expected]
    assert live.run.recipe is not None
    assert live.run.recipe.derived == (LineFits(LineModel("gaussian"), ("a",), named=False),)


def test_a_facilitys_own_recipe_may_be_fitted() -> None:
    class Own:
        name = "own"

        def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
            return True

        def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
            return Recipe("own", Grid((3, 3), (Axis("y"), Axis("x"))), (Channel("ring", "Ring"),))

    made = WithCompanions(Own()).make({"wpb": {"fit": {"model": "gaussian", "channels": ["ring"]}}}, PlanDefaults())
    assert (made.derived, made.notices) == ((LineFits(LineModel("gaussian"), ("ring",)),), ())


def run_of(fit: dict[str, Any], data_key: dict[str, Any]) -> Run:
    start = {"uid": "u", "time": 0.0, "num_points": 5, "wpb": {"fit": fit}}
    run = Run(start, chooser(lambda _: PlanDefaults())(start))
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
