"""What a line of a map may be fitted with: peaks, a step, polynomials; by lmfit, least squares without weights.

===============  =================================================================  ==========================================
model            f(x), on the background B(x)                                       ``fwhm``
===============  =================================================================  ==========================================
``gaussian``     ``A / (s sqrt(2 pi)) exp(-(x - c)^2 / (2 s^2))``                    ``2 sqrt(2 ln 2) s``
``lorentzian``   ``A / pi  s / ((x - c)^2 + s^2)``                                   ``2 s``
``voigt``        ``A Re w((x - c + i g) / (s sqrt 2)) / (s sqrt(2 pi))``             ``1.0692 g + sqrt(0.8664 g^2 + 8 ln 2 s^2)``
``erf``          ``A / 2 (1 + erf((x - c) / s))``                                    ``2 sqrt(ln 2) s``: of its derivative
``polynomial``   ``c0 + c1 x + ... + cn x^n``, without B
===============  =================================================================  ==========================================

These are the shapes of lmfit 1.3 (``lmfit.lineshapes``; https://lmfit.github.io/lmfit-py/builtin_models.html): A is the area of a peak and
the height of a step, negative for dips and falling edges. w is the Faddeeva function, both of its widths are free; its ``fwhm`` is good to
0.02 % (J. J. Olivero and R. L. Longbothum, J. Quant. Spectrosc. Radiat. Transfer 17 (1977) 233, https://doi.org/10.1016/0022-4073(77)90161-3).
B is a constant b, or ``b + m (x - c)``: either way the background under the centre is b.

Positions are fitted from -1 to 1 and values from 0 to 1, so that neither units nor offsets matter; the parameters are told in x and y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from math import isfinite, log, pi, sqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Line = npt.NDArray[np.float64]
Shape = Literal["gaussian", "lorentzian", "voigt", "erf", "polynomial"]
Background = Literal["constant", "linear"]

SHAPES: tuple[Shape, ...] = ("gaussian", "lorentzian", "voigt", "erf", "polynomial")
BACKGROUNDS: tuple[Background, ...] = ("constant", "linear")
MAX_DEGREE = 7
ERROR = "_stderr"
"""Ends the name of what may be NaN of a fit: lmfit cannot tell it where a parameter is at its bound, as is one width of a Voigt line that
is a Gaussian."""
TOLERANCE = 1e-10
"""Relative change of the sum of squares, and of the parameters, at which a fit has found its minimum."""
MAX_EVALUATIONS = 1000
"""Evaluations of the model after which a fit has failed."""

_GAUSSIAN_WIDTH = 2 * sqrt(2 * log(2))
_STEP_WIDTH = 2 * sqrt(log(2))


@dataclass(frozen=True, slots=True)
class LineModel:
    """What a line is fitted with."""

    shape: Shape
    background: Background = "constant"
    """Not for polynomials."""
    degree: int = 0
    """Of a polynomial, from 1 to ``MAX_DEGREE``."""

    @property
    def title(self) -> str:
        """As people read it."""
        return f"polynomial of degree {self.degree}" if self.shape == "polynomial" else f"{self.shape} on a {self.background} background"

    @property
    def free(self) -> tuple[str, ...]:
        """The parameters that are varied, in their order."""
        if self.shape == "polynomial":
            return tuple(f"c{k}" for k in range(self.degree + 1))
        widths = ("sigma", "gamma") if self.shape == "voigt" else ("sigma",)
        return ("amplitude", "centre", *widths, "background", *(("slope",) if self.background == "linear" else ()))

    @property
    def told(self) -> tuple[str, ...]:
        """The numbers that are told of a fit, in their order."""
        if self.shape == "polynomial":
            return (*self.free, *(f"{name}{ERROR}" for name in self.free), "reduced_chi_square")
        height = () if self.shape == "erf" else ("height",)
        names = tuple(name for name in self.free if name not in ("sigma", "gamma"))
        errors = (f"{name}{ERROR}" for name in ("amplitude", "centre", "fwhm"))
        return (*names, "fwhm", *height, *errors, "reduced_chi_square")

    def of(self, u: Line, free: npt.NDArray[np.float64]) -> Line:
        """The model at scaled positions, for scaled parameters."""
        if self.shape == "polynomial":
            return np.asarray(np.polynomial.chebyshev.chebval(u, free), np.float64)
        values = dict(zip(self.free, free, strict=True))
        level = values["background"] + values.get("slope", 0.0) * (u - values["centre"])
        widths = (values["sigma"], values["gamma"]) if self.shape == "voigt" else (values["sigma"],)
        return _function(self.shape)(u, values["amplitude"], values["centre"], *widths) + level


@dataclass(frozen=True, slots=True)
class LineFit:
    """A model fitted to a line."""

    model: LineModel
    free: tuple[float, ...]
    """The scaled parameters."""
    first: float
    """Position of the first point that was fitted, where u is -1."""
    last: float
    """Position of the last one, where u is 1."""
    lowest: float
    """Value where v is 0."""
    span: float
    """Change of the value where v changes by 1."""
    told: tuple[float, ...]
    """In the order of ``model.told``."""

    def at(self, x: Line) -> Line:
        """The best fit, between the first and the last point that was fitted; NaN outside, where it would be a guess."""
        u = _scaled(x, self.first, self.last)
        with np.errstate(all="ignore"):
            curve = self.lowest + self.span * self.model.of(u, np.array(self.free))
        return np.where((x >= self.first) & (x <= self.last), curve, np.nan)


def fit_line(model: LineModel, x: Line, y: Line) -> LineFit | None:
    """Fit one line.

    :param x: positions, ascending, shape (n,)
    :param y: values there, shape (n,); those that are not finite are left out
    :returns: None if there are no more points than parameters, if the line has no change (but for polynomials), if no minimum was found, or
        if its centre lies outside the line: the peak has not been reached, or there is none
    """
    known = np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) <= len(model.free):
        return None
    first, last, lowest = float(x[0]), float(x[-1]), float(y.min())
    span = float(y.max()) - lowest
    if span == 0 and model.shape == "polynomial":
        span = 1.0
    with np.errstate(all="ignore"):
        found = _minimum(model, _scaled(x, first, last), (y - lowest) / span)
        told = found and _told(model, found, (first, last), lowest, span)
    if not found or not told or not all(isfinite(value) or name.endswith(ERROR) for name, value in zip(model.told, told, strict=True)):
        return None
    return LineFit(model, tuple(found.free.tolist()), first, last, lowest, span, told)


@dataclass(frozen=True, slots=True)
class _Minimum:
    free: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]
    """Of the free parameters, scaled by the reduced chi square; NaN where it cannot be told."""
    reduced_chi_square: float


def _minimum(model: LineModel, u: Line, v: Line) -> _Minimum | None:
    parameters = _lmfit().Parameters()
    for name, value in zip(model.free, _start(model, u, v), strict=True):
        parameters.add(name, value, min=0 if name in ("sigma", "gamma") else -np.inf)

    def residual(now: Any) -> Line:
        return model.of(u, np.array([now[name].value for name in model.free])) - v

    try:
        found = _lmfit().Minimizer(residual, parameters, max_nfev=MAX_EVALUATIONS).leastsq(ftol=TOLERANCE, xtol=TOLERANCE)
    except (ValueError, ArithmeticError):  # the line spans nothing, or more than floats hold; or the model left the numbers on its way
        return None
    free = np.array([found.params[name].value for name in model.free])
    if not found.success or not np.isfinite(free).all():
        return None
    covariance = getattr(found, "covar", None)
    return _Minimum(free, np.full((len(free), len(free)), np.nan) if covariance is None else np.asarray(covariance), float(found.redchi))


def _told(model: LineModel, found: _Minimum, ends: tuple[float, float], lowest: float, span: float) -> tuple[float, ...] | None:
    """The numbers told of a fit, in x and y; None if its centre lies outside the line, or it has no width."""
    chi_square = found.reduced_chi_square * span * span
    if model.shape == "polynomial":
        basis = np.eye(len(found.free))
        powers = _powers(lowest * basis[0] + span * found.free, ends)
        errors = span * np.stack([_powers(each, ends) for each in basis], axis=-1)
        return (*powers.tolist(), *np.sqrt(np.diag(errors @ found.covariance @ errors.T)).tolist(), chi_square)
    half = (ends[1] - ends[0]) / 2
    values = dict(zip(model.free, found.free.tolist(), strict=True))
    fwhm, gradient = _fwhm(model, values)
    if not abs(values["centre"]) <= 1 or fwhm == 0:
        return None
    area = span if model.shape == "erf" else span * half
    errors = np.sqrt(np.diag(found.covariance))
    told = {
        "amplitude": values["amplitude"] * area,
        "centre": ends[0] + half * (values["centre"] + 1),
        "background": lowest + span * values["background"],
        "slope": values.get("slope", 0.0) * span / half,
        "fwhm": fwhm * half,
        "height": span * (float(model.of(np.array([values["centre"]]), found.free)[0]) - values["background"]),
        "amplitude_stderr": float(errors[0]) * area,
        "centre_stderr": float(errors[1]) * half,
        "fwhm_stderr": float(np.sqrt(gradient @ found.covariance @ gradient)) * half,
        "reduced_chi_square": chi_square,
    }
    return tuple(told[name] for name in model.told)


def _powers(series: npt.NDArray[np.float64], ends: tuple[float, float]) -> npt.NDArray[np.float64]:
    """The coefficients of the powers of x, for those of the Chebyshev polynomials between two ends."""
    powers = np.zeros(len(series))
    converted = np.polynomial.Chebyshev(series, domain=ends).convert(kind=np.polynomial.Polynomial).coef
    powers[: len(converted)] = converted
    return powers


def _fwhm(model: LineModel, values: dict[str, float]) -> tuple[float, npt.NDArray[np.float64]]:
    """Full width at half maximum, and how it changes with each of the free parameters."""
    gradient = np.zeros(len(model.free))
    sigma = values["sigma"]
    if model.shape != "voigt":
        factor = {"gaussian": _GAUSSIAN_WIDTH, "lorentzian": 2.0, "erf": _STEP_WIDTH}[model.shape]
        gradient[2] = factor
        return factor * sigma, gradient
    gamma = values["gamma"]
    gaussian = _GAUSSIAN_WIDTH * sigma
    root = sqrt(0.8664 * (gamma * gamma) + gaussian * gaussian)  # not by **, which raises where this is infinite
    if root > 0:
        gradient[2], gradient[3] = _GAUSSIAN_WIDTH**2 * sigma / root, 1.0692 + 0.8664 * gamma / root
    return 1.0692 * gamma + root, gradient


def _start(model: LineModel, u: Line, v: Line) -> list[float]:
    """Where to begin, from the line alone: the same for the same line."""
    if model.shape == "polynomial":
        return [float(v.mean()), *[0.0] * model.degree]
    slope = [0.0] if model.background == "linear" else []
    if model.shape == "erf":
        quarter = max(1, len(v) // 4)
        before, after = float(v[:quarter].mean()), float(v[-quarter:].mean())
        above = int(np.count_nonzero(v > (before + after) / 2))
        edge = len(v) - above if after >= before else above
        return [after - before, float(u[min(edge, len(u) - 1)]), 0.2, before, *slope]
    low, middle, high = np.quantile(v, [0.1, 0.5, 0.9])
    peak = 1.0 - middle >= middle  # or a dip
    level = float(low if peak else high)
    away = (v - level) * (1 if peak else -1)
    top = int(np.argmax(away))
    height = float(away[top]) * (1 if peak else -1)
    fwhm = float(np.gradient(u)[away > away[top] / 2].sum())
    if model.shape == "gaussian":
        sigma = fwhm / _GAUSSIAN_WIDTH
        return [height * sigma * sqrt(2 * pi), float(u[top]), sigma, level, *slope]
    if model.shape == "lorentzian":
        return [height * fwhm / 2 * pi, float(u[top]), fwhm / 2, level, *slope]
    return [height * fwhm * 1.3, float(u[top]), fwhm / 3.6, fwhm / 3.6, level, *slope]


def _scaled(x: Line, first: float, last: float) -> Line:
    return 2 * (x - first) / (last - first) - 1


@cache
def _function(shape: Shape) -> Callable[..., Line]:
    lineshapes = _lmfit().lineshapes
    return partial(lineshapes.step, form="erf") if shape == "erf" else getattr(lineshapes, shape)


@cache
def _lmfit() -> Any:
    # Only who asks for fits waits for it: its import takes most of a second.
    return import_module("lmfit")
