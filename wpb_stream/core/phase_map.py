"""The phase of a sample as an array, from the maps of where the beam's centre of mass was on the detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import Literal

import numpy as np

from wpb_stream.core.derived import Map
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.phase import integrate_gradient

Direction = Literal["row", "-row", "column", "-column"]

METRES = {"nm": 1e-9, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "micron": 1e-6, "microns": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0}
"""Units of positions with which the phase can be had in radians; micro is a sign of its own, or the Greek letter mu."""


@dataclass(frozen=True, slots=True)
class Optics:
    """What turns pixels into angles, and angles into a gradient of the phase; all in metres."""

    pixel_size: float
    distance: float
    """From the sample to the detector."""
    wavelength: float

    @property
    def gradient_per_pixel(self) -> float:
        """Radians of phase per metre of the sample, for a shift of one pixel: ``2 pi / wavelength * pixel_size / distance``."""
        return 2 * pi / self.wavelength * self.pixel_size / self.distance


@dataclass(frozen=True, slots=True)
class PhaseMap:
    """``phase``: the integral of the beam's shifts over a scan of two axes, by :func:`integrate_gradient`; its mean is 0.

    A phase ``p(y, x)`` turns the beam by ``wavelength / (2 pi)`` times its gradient (P. Thibault et al., Phys. Rev. A 80 (2009) 043813,
    https://doi.org/10.1103/PhysRevA.80.043813), so that the centre of mass of the detector's frame moves by that angle times the distance.
    What would move it over the whole map, its mean, is taken off. With ``optics`` the phase is in radians, as the axes' positions are
    lengths; without, a shift of one pixel is a gradient of 1 a step, and the phase is in pixels times steps.
    """

    along: tuple[Direction, Direction] = ("row", "column")
    """Where on the detector the beam goes as the phase grows along the slow axis, and along the fast axis."""
    optics: Optics | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`Derived`."""
        return ("phase",)

    def arrays(self, maps: Mapping[str, Map], grid: Grid) -> dict[str, Map]:
        """See :class:`Derived`.

        :param maps: with the channels ``row`` and ``column``, in pixels
        :raises ValueError: radians are asked for, and the axes' positions are unknown, or no lengths
        """
        steps = (1.0, 1.0)
        if self.optics is not None:
            steps = _step(grid.axes[0], grid.shape[0]), _step(grid.axes[1], grid.shape[1])
        scale = self.optics.gradient_per_pixel if self.optics is not None else 1.0
        slow, fast = (scale * _shift(maps, direction) for direction in self.along)
        return {"phase": integrate_gradient(slow, fast, steps)}


def _shift(maps: Mapping[str, Map], direction: Direction) -> Map:
    position = maps[direction.lstrip("-")]
    known = np.isfinite(position)
    shift = position - (position[known].mean() if known.any() else 0.0)
    return -shift if direction.startswith("-") else shift


def _step(axis: Axis, points: int) -> float:
    """Metres from one point to the next."""
    if points == 1:
        return 1.0  # nothing is integrated along it
    if axis.start is None or axis.stop is None or axis.start == axis.stop:
        raise ValueError(f"the positions of {axis.name} are unknown, and the phase is asked for in radians")
    if axis.units not in METRES:
        raise ValueError(
            f"the units of {axis.name} are {axis.units!r}, no length ({', '.join(METRES)}), and the phase is asked for in radians"
        )
    return (axis.stop - axis.start) / (points - 1) * METRES[axis.units]
