"""Raster maps: the sum of three colour regions and of the whole frame, or what else is asked for, at each point of a grid.

What it reads from the start document, and what stands in where that is silent:

=============  =============================================  ======================================================
what           read from                                      else
=============  =============================================  ======================================================
shape          ``wpb.shape``, ``shape``, a scanspec           the plan's entry in the settings; ``num_points``
snaking        ``wpb.snaking``, ``snaking``, ``snake_axes``,  the plan's entry in the settings; no snaking
               a scanspec
extents        ``wpb.extents``, ``plan_pattern_args``,        the plan's entry in the settings; point numbers
               ``extents``, a scanspec
axes           ``wpb.axes``, ``motors``, a scanspec           the plan's entry in the settings; ``axis 0``, ``axis 1``
=============  =============================================  ======================================================

What is made of the frames is read by :mod:`wpb_stream.recipes.reductions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, prod
from typing import Any

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.geometry import MAX_CELLS, Axis, Grid
from wpb_stream.core.narrow import as_label, as_list, as_mapping
from wpb_stream.core.recipe import Notice, PlanDefaults, Recipe
from wpb_stream.recipes.asked import MAX_DIMENSIONS, asked_of, refuse_bins
from wpb_stream.recipes.patterns import Course, courses_of, snaked_of
from wpb_stream.recipes.reductions import reduction_of
from wpb_stream.recipes.scanspecs import lines_of


class Raster:
    """Makes raster recipes."""

    name = "raster"

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        """Whether a shape is known, from the start document or the settings."""
        return _shape(start, defaults) is not None

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        """The recipe for a run; what was guessed is in its notices.

        :raises RecipeError: the shape is impossible, or the ``wpb`` entry is
        """
        refuse_bins(start, self.name)
        notices: list[Notice] = []
        shape = _shape(start, defaults)
        if shape is None:
            raise RecipeError("a raster needs a shape: two or more whole numbers, slow axis first")
        asked = asked_of(start, len(shape))
        grid = Grid(shape, _axes(start, defaults, shape, notices))
        made = reduction_of(start, defaults, notices)
        return Recipe(self.name, grid, made.channels, asked.data_key, tuple(notices), made.reducer, made.accumulation, made.derived)


def _wanted(start: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_mapping(start.get("wpb"))


def _shape(start: Mapping[str, Any], defaults: PlanDefaults) -> tuple[int, ...] | None:
    num_points = start.get("num_points")
    line = [num_points] if isinstance(num_points, int) else None
    spec = [line.num for line in lines_of(start) or ()]
    # spiral_square names the shape of its grid, and goes round on it: its points do not come row by row.
    told = start.get("shape") if as_mapping(start.get("hints")).get("gridding", "rectilinear") == "rectilinear" else None
    for candidate in (_wanted(start).get("shape"), told, spec, defaults.shape, line):
        shape = as_list(candidate)
        if shape and len(shape) <= MAX_DIMENSIONS and all(type(n) is int and n > 0 for n in shape):
            if prod(shape) > MAX_CELLS:
                raise RecipeError(f"a map of shape {list(shape)} has more than {MAX_CELLS} cells")
            return tuple(shape)
    return None


def _axes(start: Mapping[str, Any], defaults: PlanDefaults, shape: tuple[int, ...], notices: list[Notice]) -> tuple[Axis, ...]:
    spec = lines_of(start) or []
    if tuple(line.num for line in spec) != shape:
        spec = []
    snaked = [line.snaked for line in spec] or None
    courses = courses_of(start)
    if courses and tuple(course.num for course in courses) != shape:
        courses = None
    snaking = _first_list(len(shape), _wanted(start).get("snaking"), start.get("snaking"), snaked, snaked_of(start, courses, len(shape)))
    if snaking is None:
        snaking = _first_list(len(shape), defaults.snaking)
        if len(shape) > 1:
            source = "by the settings for this plan" if snaking else "none"
            notices.append(Notice("snaking_guessed", f"The start document does not say which axes snake; taken here: {source}."))
    spanned = [(line.start, line.stop) for line in spec] or None
    extents = _extents(start, courses or [], notices, len(shape)) or _first_list(
        len(shape), start.get("extents"), spanned, defaults.extents
    )
    if extents and any(extents) and str(start.get("plan_name")).startswith(("rel_", "x2x_")):
        notices.append(Notice("extents_relative", "The positions are relative to where the motors stood when the scan began."))
    motors = as_list(start.get("motors"))
    if courses and motors and len(shape) == 1:
        motors = motors[:1]  # the others move with it
    specified = [line.axis for line in spec]
    if motors and sorted(map(str, motors)) == sorted(map(str, specified)):
        motors = specified  # scan_nd, which dodal's spec_scan is made of, lists the motors in no order
    names = _first_list(len(shape), _wanted(start).get("axes"), motors, specified if any(specified) else None, defaults.axes)
    axes: list[Axis] = []
    for k in range(len(shape)):
        low, high = _extent(extents[k]) if extents else (None, None)
        name = (as_label(str(names[k])) if names and names[k] else None) or f"axis {k}"
        axes.append(Axis(name, None, low, high, bool(snaking[k]) if snaking else False))
    return tuple(axes)


def _first_list(length: int, *candidates: Any) -> list[Any] | None:
    return next((found for found in map(as_list, candidates) if found is not None and len(found) == length), None)


def _extents(start: Mapping[str, Any], courses: Sequence[Course], notices: list[Notice], dimensions: int) -> list[Any] | None:
    """First and last position of each axis as the ``wpb`` entry or the plan's pattern tells; None for an axis without even steps."""
    asked = _first_list(dimensions, _wanted(start).get("extents"))
    if asked or not courses:
        return asked
    if not all(course.even for course in courses):
        told = "The positions of an axis are not evenly spaced: it counts points instead."
        notices.append(Notice("positions_uneven", told))
    return [(course.start, course.stop) if course.even else None for course in courses]


def _extent(value: Any) -> tuple[float | None, float | None]:
    match as_list(value):
        case [int() | float() as low, int() | float() as high] if isfinite(low) and isfinite(high):
            return float(low), float(high)
        case _:
            return None, None
