"""Slices of a sample that turns, which a start document asks to be made of the frames of a scan of one axis, whatever else is made of them.

==========================  =================================================================================================
key                         what it says
==========================  =================================================================================================
``wpb.tomography.slices``   rows of the detector
``wpb.tomography.angles``   first and last, in degrees; else the positions of the scan's axis
``wpb.tomography.centre``   column that the axis is in; else the middle one
``wpb.tomography.filter``   ``ramp``, ``shepp-logan`` or ``hann``
``wpb.tomography.flat``     counts a pixel without the sample; needed where there is no ``wpb.flat``
``wpb.tomography.dark``     counts a pixel without the beam; else 0
==========================  =================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import radians
from typing import Any

from wpb_stream.core.accumulation import Accumulation
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.narrow import as_list
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.slices import Slices
from wpb_stream.core.tomography import FILTERS
from wpb_stream.recipes.asked import given_of
from wpb_stream.recipes.corrections import corrections_of
from wpb_stream.recipes.regions import is_number

KEYS = ("slices", "angles", "centre", "filter", "flat", "dark")
MAX_SLICES = 8
MAX_PROJECTIONS = 16_384
"""A sinogram of so many takes 32 MB, and the rows it is made of twice that."""
LARGEST = 1e9
"""Counts, columns and degrees."""
EXAMPLE = '{"slices": [100, 608], "flat": 40000}'


def with_slices(recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
    """The recipe with the slices that ``wpb.tomography`` asks for; as it is if it asks for none.

    :param asked: the ``wpb`` entry
    :raises RecipeError: it asks for something impossible
    """
    if asked.get("tomography") is None:
        return recipe
    given = given_of("wpb.tomography", asked["tomography"], EXAMPLE, KEYS, "slices")
    filter_name = given.get("filter", "ramp")
    if filter_name not in FILTERS:
        raise RecipeError(f"wpb.tomography.filter: there is no {str(filter_name)[:80]!r}; known are {', '.join(FILTERS)}")
    corrections = corrections_of(asked)
    if given.get("flat") is None and corrections.flat is None:
        raise RecipeError("wpb.tomography.flat must be the counts a pixel without the sample, where there is no wpb.flat")
    first, last = _angles(given.get("angles"), recipe)
    points = recipe.grid.shape[0]
    if points > MAX_PROJECTIONS:
        raise RecipeError(f"wpb.tomography is for up to {MAX_PROJECTIONS:,} projections, and this scan has {points:,} points")
    slices = Slices(
        _rows(given["slices"]),
        radians(first),
        radians(last - first) / (points - 1),
        None if given.get("centre") is None else _number("centre", given["centre"]),
        filter_name,
        _number("flat", given.get("flat", 1.0)),
        _number("dark", given.get("dark", 0.0)),
    )
    accumulation = recipe.accumulation or Accumulation((), corrections.listed)
    return replace(recipe, accumulation=replace(accumulation, slices=slices))


def _rows(asked: Any) -> tuple[int, ...]:
    rows = as_list(asked)
    if not rows or len(rows) > MAX_SLICES or len(set(map(str, rows))) < len(rows) or not all(type(row) is int and row >= 0 for row in rows):
        raise RecipeError(f"wpb.tomography.slices must be 1 to {MAX_SLICES} different rows of the detector, not {str(asked)[:80]}")
    return tuple(rows)


def _angles(asked: Any, recipe: Recipe) -> tuple[float, float]:
    if recipe.grows or len(recipe.grid.shape) != 1 or recipe.grid.shape[0] < 2:
        raise RecipeError("wpb.tomography is for scans of one axis, of which the start document tells how many points they have")
    axis = recipe.grid.axes[0]
    if asked is None and axis.start is not None and axis.stop is not None:
        return axis.start, axis.stop
    match as_list(asked):
        case [first, last] if all(is_number(each, LARGEST) for each in (first, last)):
            return first, last
        case _:
            raise RecipeError(
                f"wpb.tomography.angles must be the first and the last angle in degrees, like [0, 179], not {str(asked)[:80]}"
            )


def _number(key: str, value: Any) -> float:
    if not is_number(value, LARGEST):
        raise RecipeError(f"wpb.tomography.{key} must be a number, not {str(value)[:80]}")
    return float(value)
