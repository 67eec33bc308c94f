"""Differential phase contrast: the phase whose gradient was measured, point by point, as the shift of the centre of mass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float64]


def integrate_gradient(
    along_rows: npt.ArrayLike, along_columns: npt.ArrayLike, steps: tuple[float, float] = (1.0, 1.0), *, periodic: bool = False
) -> Map:
    """The map whose gradient comes closest to two measured ones, least squares over all frequencies but 0.

    ``Z = -i (u A + v B) / (u^2 + v^2)`` for the Fourier transforms A and B of the gradients along rows and columns, and angular
    frequencies u and v: R. T. Frankot and R. Chellappa, IEEE Trans. Pattern Anal. Mach. Intell. 10 (1988) 439,
    https://doi.org/10.1109/34.3909. Unless the map is periodic, both gradients are first continued over its edges as if the map were
    mirrored there (P. Bon, S. Monneret, B. Wattellier, Appl. Opt. 51 (2012) 5698, https://doi.org/10.1364/AO.51.005698); otherwise
    the jump from one edge to the other would bend the whole map, and a slope of the whole map be lost.

    Exact to rounding for a periodic map without the highest frequency; for a slope up to the edges of a map that is mirrored, the error
    is less than what the phase changes by in one step.

    :param along_rows: change from one row to the next, divided by the step between them; shape (rows, columns). NaN where nothing was
        measured: taken as 0, so that the map is level there, and NaN in the answer
    :param along_columns: the same from one column to the next
    :param steps: between rows, between columns, in the units the gradients are a change for
    :param periodic: whether the map goes on at one edge as at the other
    :returns: float64, the mean of its known cells 0, as a gradient does not tell it
    :raises ValueError: the two maps have not one shape of two dimensions, or a step is 0 or no number
    """
    a, b = np.asarray(along_rows, np.float64), np.asarray(along_columns, np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"two maps of the same two dimensions are needed, not {a.shape} and {b.shape}")
    if not all(np.isfinite(step) and step for step in steps):
        raise ValueError(f"the steps must be finite and not 0, not {steps}")
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return np.full(a.shape, np.nan)
    a, b = np.where(known, a, 0.0), np.where(known, b, 0.0)
    if not periodic:
        a, b = _mirrored(a, -1, 1), _mirrored(b, 1, -1)
    integral = _integrate(a, b, steps)[: known.shape[0], : known.shape[1]]
    return np.where(known, integral - integral[known].mean(), np.nan)


def _mirrored(gradient: Map, by_rows: int, by_columns: int) -> Map:
    """The gradient of a map followed by its mirror image, along rows and along columns; it changes its sign where it is crossed."""
    down = np.concatenate([gradient, by_rows * gradient[::-1]])
    return np.concatenate([down, by_columns * down[:, ::-1]], axis=1)


def _integrate(a: Map, b: Map, steps: tuple[float, float]) -> Map:
    u = 2 * np.pi * np.fft.fftfreq(a.shape[0], steps[0])[:, np.newaxis]
    v = 2 * np.pi * np.fft.rfftfreq(a.shape[1], steps[1])[np.newaxis, :]
    squares = u * u + v * v
    squares[0, 0] = 1.0  # divides 0
    return np.fft.irfft2(-1j * (u * np.fft.rfft2(a) + v * np.fft.rfft2(b)) / squares, a.shape)
