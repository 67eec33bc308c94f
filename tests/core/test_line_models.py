"""Fits of lines: what lmfit's own models give for them, what was put into them, and nothing where there is nothing to be fitted."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lmfit import models

from wpb_stream.core.line_models import BACKGROUNDS, MAX_DEGREE, SHAPES, LineFit, LineModel, _Minimum, _told, fit_line

X = np.linspace(12.0, 18.0, 61)
"""Millimetres, not around 0."""
NOISE = np.random.default_rng(3).normal(0, 20, len(X))
TRUE = {"amplitude": 3000.0, "centre": 15.3, "sigma": 0.4, "gamma": 0.3, "background": 500.0, "slope": -25.0}
PEAKS = [LineModel(shape, background) for shape in SHAPES if shape != "polynomial" for background in BACKGROUNDS]
POLYNOMIALS = [LineModel("polynomial", degree=degree) for degree in range(1, MAX_DEGREE + 1)]

lmfit_models: dict[str, Any] = {
    "gaussian": models.GaussianModel(),
    "lorentzian": models.LorentzianModel(),
    "voigt": models.VoigtModel(),
    "erf": models.StepModel(form="erf"),
}


def oracle_of(model: LineModel) -> tuple[Any, Any]:
    """lmfit's own model of a line, and its parameters, at what was put into the lines here."""
    oracle = lmfit_models[model.shape] + models.LinearModel()
    parameters = oracle.make_params(amplitude=TRUE["amplitude"], center=TRUE["centre"], sigma=TRUE["sigma"])
    parameters["slope"].set(TRUE["slope"] if model.background == "linear" else 0, vary=model.background == "linear")
    parameters["intercept"].set(TRUE["background"] - parameters["slope"].value * TRUE["centre"])
    if model.shape == "voigt":
        parameters["gamma"].set(TRUE["gamma"], min=0, vary=True, expr="")
    return oracle, parameters


def line(model: LineModel, noise: float = 1.0, sign: int = 1) -> npt.NDArray[np.float64]:
    oracle, parameters = oracle_of(model)
    parameters["amplitude"].set(sign * TRUE["amplitude"])
    return oracle.eval(parameters, x=X) + noise * NOISE


def told_of(model: LineModel, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64] = X) -> dict[str, float]:
    fit = fit_line(model, x, y)
    assert fit is not None
    return dict(zip(model.told, fit.told, strict=True))


@pytest.mark.parametrize("sign", [1, -1], ids=["up", "down"])
@pytest.mark.parametrize("model", PEAKS, ids=str)
def test_a_fit_is_what_lmfits_own_model_gives(model: LineModel, sign: int) -> None:
    y = line(model, sign=sign)
    oracle, parameters = oracle_of(model)
    parameters["amplitude"].set(sign * TRUE["amplitude"])
    expected = oracle.fit(y, parameters, x=X, fit_kws={"ftol": 1e-12, "xtol": 1e-12})
    found = {name: parameter.value for name, parameter in expected.params.items()}
    errors = {name: parameter.stderr for name, parameter in expected.params.items()}
    fit = fit_line(model, X, y)
    assert fit is not None
    told = dict(zip(model.told, fit.told, strict=True))
    # Both stop at the same minimum, to about the square root of the tolerance of the sum of squares, in units of the errors.
    assert told["centre"] == pytest.approx(found["center"], abs=1e-3 * errors["center"])
    assert told["amplitude"] == pytest.approx(found["amplitude"], abs=1e-3 * errors["amplitude"])
    level = found["intercept"] + found["slope"] * found["center"]
    assert told["background"] == pytest.approx(level, rel=1e-4)
    assert told.get("slope", 0.0) == pytest.approx(found["slope"], rel=1e-3)
    fwhm = 2 * sqrt(np.log(2)) * found["sigma"] if model.shape == "erf" else found["fwhm"]
    assert told["fwhm"] == pytest.approx(fwhm, rel=1e-4)
    if model.shape != "erf":
        assert told["height"] == pytest.approx(found["height"], rel=1e-4)
        assert told["fwhm_stderr"] == pytest.approx(errors["fwhm"], rel=0.01)
    assert told["centre_stderr"] == pytest.approx(errors["center"], rel=0.01)
    assert told["amplitude_stderr"] == pytest.approx(errors["amplitude"], rel=0.01)
    assert told["reduced_chi_square"] == pytest.approx(expected.redchi, rel=1e-7)
    np.testing.assert_allclose(fit.at(X), expected.best_fit, rtol=0, atol=0.02)


@pytest.mark.parametrize("model", PEAKS, ids=str)
def test_what_was_put_into_a_line_without_noise_is_found(model: LineModel) -> None:
    told = told_of(model, line(model, noise=0.0))
    slope = TRUE["slope"] if model.background == "linear" else 0.0
    for name, value in {"amplitude": 3000.0, "centre": 15.3, "background": 500.0, **({"slope": slope} if slope else {})}.items():
        assert told[name] == pytest.approx(value, rel=1e-6), name
    assert told["reduced_chi_square"] < 1e-6


def standard_errors(x: npt.NDArray[np.float64], variance: float, degree: int) -> list[float]:
    """Of the coefficients, in exact fractions: far from 0 the powers of x are too much alike for floats."""
    powers = np.array([[Fraction(value) ** k for k in range(degree + 1)] for value in x.tolist()])
    rows = np.concatenate([powers.T @ powers, np.eye(degree + 1, dtype=int)], axis=1)
    for k in range(degree + 1):
        rows[k] /= rows[k, k]
        for other in range(degree + 1):
            rows[other] -= (other != k) * rows[other, k] * rows[k]
    return [sqrt(variance * float(inverse)) for inverse in np.diag(rows[:, degree + 1 :])]


@pytest.mark.parametrize("model", POLYNOMIALS, ids=str)
def test_a_polynomial_is_what_numpy_and_lmfits_own_model_give(model: LineModel) -> None:
    y = line(PEAKS[0])
    expected = np.polynomial.Polynomial.fit(X, y, model.degree)
    fit = fit_line(model, X, y)
    assert fit is not None
    told = dict(zip(model.told, fit.told, strict=True))
    powers = [f"c{k}" for k in range(model.degree + 1)]
    assert [told[name] for name in powers] == pytest.approx(expected.convert().coef.tolist(), rel=1e-6)
    errors = standard_errors(X, fit.told[-1], model.degree)
    assert [told[f"{name}_stderr"] for name in powers] == pytest.approx(errors, rel=1e-6)
    np.testing.assert_allclose(fit.at(X), expected(X), rtol=0, atol=1e-8 * np.ptp(y))
    assert fit.told[-1] == pytest.approx(((y - expected(X)) ** 2).sum() / (len(X) - model.degree - 1), rel=1e-9)
    oracle = models.PolynomialModel(degree=model.degree)
    begun = oracle.make_params(**{f"c{k}": value for k, value in enumerate(expected.convert().coef)})
    assert fit.told[-1] == pytest.approx(oracle.fit(y, begun, x=X).redchi, rel=1e-6)


def test_points_that_were_not_measured_are_left_out_and_the_curve_ends_at_the_last_ones_that_were() -> None:
    model = PEAKS[0]
    y = line(model)
    y[:10] = y[25] = y[50:] = np.nan
    known = np.isfinite(y)
    fit = fit_line(model, X, y)
    assert fit is not None
    assert fit == fit_line(model, X[known], y[known])
    curve = fit.at(X)
    assert np.isnan(curve[:10]).all()
    assert np.isnan(curve[50:]).all()
    assert np.isfinite(curve[10:50]).all()


@pytest.mark.parametrize("model", PEAKS, ids=str)
def test_neither_units_nor_offsets_matter(model: LineModel) -> None:
    y = line(model)
    here, there = told_of(model, y), told_of(model, 2.0**40 * y - 2.0**50, 2.0**-30 * X - 2.0**-20)
    assert there["centre"] == pytest.approx(2.0**-30 * here["centre"] - 2.0**-20, rel=1e-9)
    assert there["fwhm"] == pytest.approx(2.0**-30 * here["fwhm"], rel=1e-6)
    assert there["reduced_chi_square"] == pytest.approx(2.0**80 * here["reduced_chi_square"], rel=1e-6)


def nothing_to_fit() -> Iterator[tuple[str, npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    yield "nothing measured", X, np.full(61, np.nan)
    yield "as many points as parameters", X[:4], line(PEAKS[0])[:4]
    yield "no change", X, np.full(61, 7.0)
    yield "one position", np.full(61, 3.0), line(PEAKS[0])
    yield "infinite span", X, np.where(X < 15, -1.7e308, 1.7e308)
    yield "infinite length", 5e307 * (X - 15), line(PEAKS[0])
    yield "peak not reached", X[:30], line(PEAKS[0], noise=0.0)[:30]


@pytest.mark.parametrize(("x", "y"), [pytest.param(x, y, id=name) for name, x, y in nothing_to_fit()])
def test_where_there_is_nothing_to_fit_nothing_is_told(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
    assert fit_line(LineModel("gaussian"), x, y) is None


def test_a_caller_who_wants_to_be_told_of_rounding_gets_the_same() -> None:
    y = np.exp(-(((X - 15) / 0.05) ** 2) / 2)  # its tails are smaller than floats are
    expected = fit_line(LineModel("gaussian"), X, y)
    assert expected is not None
    with np.errstate(all="raise"):
        assert repr(fit_line(LineModel("gaussian"), X, y)) == repr(expected)  # which holds NaN


def test_a_line_without_change_is_a_polynomial() -> None:
    fit = fit_line(LineModel("polynomial", degree=1), X, np.full(61, 7.0))
    assert fit is not None
    assert fit.told == pytest.approx((7.0, 0.0, 0.0, 0.0, 0.0), abs=1e-12)


def test_a_width_that_floats_do_not_hold_is_infinite() -> None:
    model = LineModel("voigt")
    found = _Minimum(np.array([1.0, 0.0, 1e-3, 1e200, 0.0]), np.eye(5), 1.0)
    with np.errstate(all="ignore"):
        told = _told(model, found, (0.0, 1.0), 0.0, 1.0)
    assert told is not None
    assert dict(zip(model.told, told, strict=True))["fwhm"] == float("inf")


@given(
    st.sampled_from([*PEAKS, *POLYNOMIALS]),
    st.lists(st.floats(width=64) | st.integers(0, 3).map(float), min_size=1, max_size=16),
    st.floats(-1e300, 1e300),
    st.floats(0, 1e300),
)
@settings(max_examples=60, deadline=None)
def test_whatever_a_line_holds_its_fit_is_numbers_or_nothing_and_the_same_again(
    model: LineModel, values: list[float], first: float, length: float
) -> None:
    x = np.linspace(first, first + length, len(values))
    with np.errstate(all="raise"):  # whatever the caller thinks of rounding
        fit = fit_line(model, x, np.array(values))
    assert repr(fit) == repr(fit_line(model, x, np.array(values)))
    if isinstance(fit, LineFit):
        told = dict(zip(model.told, fit.told, strict=True))
        assert all(np.isfinite(value) for name, value in told.items() if not name.endswith("_stderr"))
        assert np.isfinite(fit.at(x)).sum() >= np.isfinite(values).sum()
