"""Lines of unknown length: the values of a run whose start document tells of no shape, one point after the other.

The last recipe that is tried, so that every run shows something: Bluesky's ``count`` without a number, ``fly``, adaptive scans, plans of
one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wpb_stream.core.accumulation import Kind
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.recipe import Notice, PlanDefaults, Recipe
from wpb_stream.recipes.asked import asked_of, refuse_bins
from wpb_stream.recipes.reductions import reduction_of

FIRST_POINTS = 64
"""The length a line begins with; it is doubled as often as needed, and cut to its points at the end."""


class Line:
    """Makes recipes for lines of unknown length."""

    name = "line"

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        """Always: whatever a run is, its points come one after the other."""
        return True

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        """The recipe for a run.

        :raises RecipeError: the ``wpb`` entry asks for something impossible
        """
        refuse_bins(start, self.name)
        asked = asked_of(start)
        told = "The start document names no shape: the points are shown as a line, one after the other."
        notices = [Notice("shape_guessed", told)]
        made = reduction_of(start, defaults, notices, arrays=(Kind.MEAN.value,))
        grid = Grid((FIRST_POINTS,), (Axis("point"),))
        return Recipe(
            self.name, grid, made.channels, asked.data_key, tuple(notices), made.reducer, made.accumulation, made.derived, grows=True
        )
