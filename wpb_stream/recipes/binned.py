"""Maps of bins, for scans whose points are no grid, or not where they were planned: each point is where it was measured.

=============  ========================================================  =============================================
what           read from                                                 else
=============  ========================================================  =============================================
bins           ``wpb.bins``, slow axis first; ``"planned"``
               for the cells of the planned grid
positions      ``wpb.positions``: data keys                              the motors: ``wpb.axes``, ``motors``
extents        ``wpb.extents``, ``extents``                              refused
=============  ========================================================  =============================================
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, prod
from typing import Any

from wpb_stream.core.binning import Binned
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.geometry import MAX_CELLS, Axis
from wpb_stream.core.narrow import as_label, as_list, as_mapping
from wpb_stream.core.recipe import Notice, PlanDefaults, Recipe
from wpb_stream.recipes.asked import asked_of
from wpb_stream.recipes.raster import Raster
from wpb_stream.recipes.reductions import reduction_of

PLANNED = "planned"
"""Stands for the cells of the planned grid."""
LONGEST = 200
"""Characters of a data key."""


class Bins:
    """Makes recipes of bins."""

    name = "bins"

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        """Whether the plan asks for bins."""
        return as_mapping(start.get("wpb")).get("bins") is not None

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        """The recipe for a run.

        :raises RecipeError: the ``wpb`` entry asks for something impossible, or positions or extents are told by nothing
        """
        if as_mapping(start.get("wpb")).get("bins") == PLANNED:
            start = _as_planned(start, defaults)
        asked = asked_of(start)
        bins = asked.bins
        if bins is None:
            raise RecipeError('wpb.bins is needed for "recipe": "bins": numbers of bins, slow axis first, like [20, 30], or "planned"')
        asked = asked_of(start, len(bins))
        if asked.shape is not None or asked.snaking is not None:
            raise RecipeError("wpb.bins cannot be had together with wpb.shape or wpb.snaking: points are where they were measured")
        if prod(bins) > MAX_CELLS:
            raise RecipeError(f"wpb.bins: {' x '.join(map(str, bins))} are more than {MAX_CELLS} cells")
        given = asked.positions if asked.positions not in (None, "measured") else None
        keys = as_list(given if given is not None else asked.axes or start.get("motors")) or []
        named = all(isinstance(key, str) and 0 < len(key) <= LONGEST for key in keys)
        if len(keys) != len(bins) or not named or len(set(keys)) < len(keys):
            raise RecipeError(f'wpb.bins has {len(bins)} axes: wpb.positions must name as many data keys, like ["y", "x"]')
        notices: list[Notice] = []
        names = asked.axes or keys
        extents = asked.extents or as_list(start.get("extents")) or []
        if len(extents) != len(bins):
            raise RecipeError(f"wpb.bins needs wpb.extents: the middles of the first and last bin of each of its {len(bins)} axes")
        axes = [_axis(name, extent) for name, extent in zip(names, extents, strict=True)]
        made = reduction_of(start, defaults, notices)
        grid = Binned(tuple(bins), tuple(axes), tuple(keys))
        return Recipe(
            self.name, grid, made.channels, asked.data_key, tuple(notices), made.reducer, made.accumulation, made.derived, grows=True
        )


def _as_planned(start: Mapping[str, Any], defaults: PlanDefaults) -> Mapping[str, Any]:
    """The start document with the cells of its planned grid for bins."""
    asked = {key: value for key, value in as_mapping(start.get("wpb")).items() if key not in ("bins", "positions")}
    grid = Raster().make({**start, "wpb": asked}, defaults).grid
    if any(axis.start is None for axis in grid.axes):
        raise RecipeError('wpb.bins: "planned" needs the extents of the planned grid, which may be named in wpb.extents')
    planned = {
        "bins": list(grid.shape),
        "extents": [[axis.start, axis.stop] for axis in grid.axes],
        "axes": [axis.name for axis in grid.axes],
    }
    own = {key: value for key, value in as_mapping(start.get("wpb")).items() if key not in ("shape", "snaking")}
    return {**start, "wpb": {**own, **planned}}


def _axis(name: str, extent: Any) -> Axis:
    match as_list(extent):
        case [int() | float() as first, int() | float() as last] if isfinite(last - first) and first != last:
            return Axis(as_label(name) or "axis", None, float(first), float(last))
        case _:
            raise RecipeError(f"wpb.extents of {name[:80]!r} must be two different positions for wpb.bins, not {str(extent)[:80]}")
