"""Ranges of scattering angle to be seen in diffraction patterns, as a start document names them.

==================  =========================================================================================================
key                 what it says
==================  =========================================================================================================
``wpb.geometry``    where the detector stands: the numbers of a PONI file
``wpb.unit``        what the ranges are given in
``wpb.ranges``      by name: ``[low, high]``
``wpb.npt``         equal bins from the lowest to the highest of them
==================  =========================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Any

from wpb_stream.core.azimuthal import Geometry
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.regions import Interval
from wpb_stream.recipes.regions import is_number

UNITS = ("q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "r_mm")
"""Of pyFAI; those of q need the wavelength."""
DEFAULT_NPT, MAX_NPT = 1_000, 100_000
MAX_RADIUS = 1e6
"""In any of the units."""
LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "dist": (1e-6, 1e3), "poni1": (-1e3, 1e3), "poni2": (-1e3, 1e3),
        "rot1": (-7.0, 7.0), "rot2": (-7.0, 7.0), "rot3": (-7.0, 7.0),
        "pixel1": (1e-9, 1.0), "pixel2": (1e-9, 1.0), "wavelength": (1e-15, 1e-3),
    }
)  # fmt: skip
"""Lowest and highest of each number of the geometry, in metres and radians."""
OPTIONAL = ("rot1", "rot2", "rot3", "wavelength")


@dataclass(frozen=True, slots=True)
class Ranges:
    """What is integrated over."""

    span: tuple[float, float]
    npt: int
    given: Mapping[str, tuple[float, float]]
    """In the unit."""
    bins: tuple[Interval, ...]
    """The same, in bins."""


def geometry_of(given: Any, unit: str) -> Geometry:
    """The geometry that ``wpb.geometry`` tells.

    :param unit: if it is one of q, the wavelength is needed
    :raises RecipeError: it tells none
    """
    told = as_mapping(given)
    needed = [name for name in LIMITS if name not in OPTIONAL or (name == "wavelength" and unit.startswith("q_"))]
    if set(told) - set(LIMITS) or not set(needed) <= set(told):
        optional = [name for name in OPTIONAL if name not in needed]
        has = ", ".join(told)[:80] or "none of them"
        raise RecipeError(f"wpb.geometry must have {', '.join(needed)}, and may have {', '.join(optional)}; it has {has}")
    for name, value in told.items():
        low, high = LIMITS[name]
        if not is_number(value, MAX_RADIUS) or not low <= value <= high:
            raise RecipeError(f"wpb.geometry.{name} must be a number from {low:g} to {high:g}, in metres or radians, not {str(value)[:80]}")
    numbers = {name: float(told.get(name, 0.0)) for name in LIMITS if name != "wavelength"}
    return Geometry(**numbers, wavelength=float(told["wavelength"]) if "wavelength" in told else None)


def unit_of(given: Any) -> str:
    """The unit that ``wpb.unit`` names.

    :raises RecipeError: it names none
    """
    unit = UNITS[0] if given is None else given
    if unit not in UNITS:
        raise RecipeError(f"wpb.unit: there is no {str(unit)[:80]!r}; known are {', '.join(UNITS)}")
    return unit


def ranges_of(asked: Mapping[str, Any], npt: Any) -> Ranges:
    """The ranges that ``wpb.ranges`` names, at least one, in bins. A bin belongs to a range if its centre does: ``low <= centre < high``.

    :raises RecipeError: they are none, or there are too few bins for them
    """
    count = DEFAULT_NPT if npt is None else npt
    if type(count) is not int or not 1 <= count <= MAX_NPT:
        raise RecipeError(f"wpb.npt must be a whole number of bins from 1 to {MAX_NPT:,}, not {str(npt)[:80]}")
    given = {name: _range(f"wpb.ranges.{name}", value) for name, value in asked.items()}
    span = min(low for low, _ in given.values()), max(high for _, high in given.values())
    step = (span[1] - span[0]) / count
    bins: list[Interval] = []
    for name, (low, high) in given.items():
        first, stop = (min(max(ceil((edge - span[0]) / step - 0.5), 0), count) for edge in (low, high))
        if first >= stop:
            told = f"none of the {count} bins from {span[0]:g} to {span[1]:g} has its centre in it; more may with a larger wpb.npt"
            raise RecipeError(f"wpb.ranges.{name}: {told}")
        bins.append(Interval(first, stop))
    return Ranges(span, count, given, tuple(bins))


def _range(key: str, value: Any) -> tuple[float, float]:
    match as_list(value):
        case [low, high] if is_number(low, MAX_RADIUS) and is_number(high, MAX_RADIUS) and 0 <= low < high and high - low > 1e-9:
            return float(low), float(high)
        case _:
            raise RecipeError(f"{key}: {str(value)[:80]} is no pair [low, high] of numbers from 0, in ascending order")
