"""Where the peak of a line of values is, how high and how wide: what Bluesky's ``PeakStats`` tells at the end of a scan.

Formulas and names are those of ``bluesky.callbacks.fitting.PeakStats``; for the same numbers the results are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peak:
    """A line's statistics. Positions are in the units of x, heights in those of y."""

    minimum: tuple[float, float]
    """Position and height of the lowest value, the first one of several."""
    maximum: tuple[float, float]
    """Position and height of the highest value, the first one of several."""
    centre_of_mass: float
    """The index sum(i * y) / sum(y), as a position between its two neighbours; NaN if the values add up to zero."""
    crossings: tuple[float, ...]
    """Where the values cross the middle between lowest and highest, on straight lines between the points."""
    centre: float | None
    """The mean of the crossings; None if there are none."""
    fwhm: float | None
    """Full width at half maximum: from the first crossing to the last; None if there are fewer than two."""


def peak_of(x: Values, y: Values) -> Peak | None:
    """The statistics of one line.

    :param x: positions in the order they were measured, shape (n,)
    :param y: values there, shape (n,); points without a number (never measured) are left out
    :returns: None if there is no point
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if not len(x):
        return None
    lowest, highest = int(np.argmin(y)), int(np.argmax(y))
    crossings = tuple(_crossings(x, y - (y[highest] + y[lowest]) / 2))
    return Peak(
        minimum=(float(x[lowest]), float(y[lowest])),
        maximum=(float(x[highest]), float(y[highest])),
        centre_of_mass=_centre_of_mass(x, y),
        crossings=crossings,
        centre=float(np.mean(crossings)) if crossings else None,
        fwhm=abs(crossings[-1] - crossings[0]) if len(crossings) > 1 else None,
    )


def _centre_of_mass(x: Values, y: Values) -> float:
    total = float(np.sum(y))
    if total == 0 or not np.isfinite(total):
        return float("nan")
    return float(np.interp(np.sum(y * np.arange(len(y), dtype=np.float64)) / total, np.arange(len(x)), x))


def _crossings(x: Values, above: Values) -> list[float]:
    """Where ``above`` goes through zero."""
    before = np.flatnonzero(np.diff((above > 0).astype(np.int8)))
    found: list[float] = []
    for k in before.tolist():
        rise = float(above[k + 1] - above[k])
        found.append(float(x[k]) - float(above[k]) * float(x[k + 1] - x[k]) / rise)
    return found
