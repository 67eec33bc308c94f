"""Maps of plans that go over no grid row by row, but whose start documents tell each position: spirals, masks, concatenations.

The positions come from a scanspec, or from the arguments of Bluesky's spirals. Products of lines are rasters, and left to that recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.geometry import Axis, Scattered
from wpb_stream.core.lattice import Positions as Along
from wpb_stream.core.lattice import place
from wpb_stream.core.narrow import as_integer, as_label, as_list, as_mapping
from wpb_stream.core.recipe import Notice, PlanDefaults, Recipe, RecipeMaker
from wpb_stream.recipes import spirals, waypoints
from wpb_stream.recipes.asked import asked_of, refuse_bins
from wpb_stream.recipes.line import Line
from wpb_stream.recipes.raster import Raster
from wpb_stream.recipes.reductions import reduction_of
from wpb_stream.recipes.scanspecs import lines_of, spec_of

BINNED = "The positions lie on no grid: each is put into the nearest of about as many cells as there are points, the later one on top."
REPEATED = "Some positions are visited more than once: the map shows the later points there."


class Positions:
    """Makes recipes of planned positions."""

    name = "positions"

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        """Whether the start document tells the positions, and of no grid that they fill row by row."""
        if as_mapping(start.get("wpb")).get("shape") is not None:
            return False
        gridded = as_mapping(start.get("hints")).get("gridding", "rectilinear") == "rectilinear"
        if gridded and len(as_list(start.get("shape")) or ()) > 1:
            return False
        # An argument called `spec` may be anything, the entry `scanspec` is not.
        specified = bool(as_mapping(start.get("scanspec"))) or str(spec_of(start).get("type")) in waypoints.KINDS
        return spirals.is_spiral(start) or (specified and lines_of(start) is None)

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        """The recipe for a run; one of a line, with a notice that says why, if its positions cannot be had.

        :raises RecipeError: the ``wpb`` entry asks for something impossible
        """
        refuse_bins(start, self.name)
        try:
            grid, notices = _placed(start, defaults)
        except RecipeError as error:
            told = Notice("positions_refused", f"The positions are not known, and the points are shown as a line: {error}.")
            makers: list[RecipeMaker] = [Raster(), Line()]
            other = next(maker for maker in makers if maker.fits(start, defaults)).make(start, defaults)
            return replace(other, notices=(told, *other.notices))
        asked = asked_of(start, len(grid.axes))
        made = reduction_of(start, defaults, notices)
        return Recipe(self.name, grid, made.channels, asked.data_key, tuple(notices), made.reducer, made.accumulation, made.derived)


def _placed(start: Mapping[str, Any], defaults: PlanDefaults) -> tuple[Scattered, list[Notice]]:
    spiral = spirals.is_spiral(start)
    positions = spirals.positions_of(start) if spiral else waypoints.positions_of(spec_of(start))
    try:
        placed = place(positions)
    except ValueError as error:
        raise RecipeError(str(error)) from error
    told = _points_told(start)
    if told not in (None, placed.grid.points):
        raise RecipeError(f"they are {placed.grid.points}, but the start document names {told} points")
    notices: list[Notice] = []
    if placed.binned:
        notices.append(Notice("positions_binned", BINNED))
    elif placed.repeated:
        notices.append(Notice("positions_repeated", REPEATED))
    if str(start.get("plan_name")).startswith("rel_"):
        notices.append(Notice("extents_relative", "The positions are relative to where the motors stood when the scan began."))
    names = _spiral_motors(start) if spiral else _spec_motors(start, positions)
    axes = tuple(
        Axis(f"axis {k}") if axis.name.startswith(waypoints.REPETITION) else replace(axis, name=as_label(names.get(axis.name)) or axis.name)
        for k, axis in enumerate(placed.grid.axes)
    )
    asked = as_list(as_mapping(start.get("wpb")).get("axes")) or []
    if len(asked) == len(axes):
        axes = tuple(replace(axis, name=as_label(str(name)) or axis.name) for axis, name in zip(axes, asked, strict=True))
    return replace(placed.grid, axes=axes), notices


def _points_told(start: Mapping[str, Any]) -> int | None:
    """How many points the start document names, if it does."""
    shape = as_list(start.get("shape"))
    if shape and all(type(length) is int and length > 0 for length in shape):
        return prod(shape)
    return as_integer(start.get("num_points"))


def _motors(start: Mapping[str, Any]) -> list[str]:
    return [motor for motor in as_list(start.get("motors")) or [] if isinstance(motor, str) and motor]


def _spec_motors(start: Mapping[str, Any], positions: Mapping[str, Along]) -> dict[str, str]:
    """The motor of each of a spec's axes, if the start document names them otherwise than the spec, in the same order."""
    axes, motors = [axis for axis in positions if not axis.startswith(waypoints.REPETITION)], _motors(start)
    renamed = len(motors) == len(axes) and sorted(motors) != sorted(axes)
    return dict(zip(axes, motors, strict=True)) if renamed else {}


def _spiral_motors(start: Mapping[str, Any]) -> dict[str, str]:
    """The motors of ``x`` and ``y``, found by their names in the devices' ``repr``: the start document lists them in no order."""
    arguments = as_mapping(start.get("plan_pattern_args")) or as_mapping(start.get("plan_args"))
    found: dict[str, str] = {}
    for side in ("x", "y"):
        text = str(arguments.get(f"{side}_motor"))
        named = [motor for motor in _motors(start) if f"'{motor}'" in text or f'"{motor}"' in text or motor == text]
        if len(named) == 1:
            found[side] = named[0]
    return found
