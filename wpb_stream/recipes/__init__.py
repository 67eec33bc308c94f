"""The reconstructions wpb knows, one a file; a facility adds its own through the entry point group ``wpb.recipes``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from wpb_stream.core.recipe import PlanDefaults, Recipe, RecipeMaker, choose
from wpb_stream.recipes.beside import WithCompanions
from wpb_stream.recipes.binned import Bins
from wpb_stream.recipes.line import Line
from wpb_stream.recipes.positions import Positions
from wpb_stream.recipes.raster import Raster


def all_makers() -> list[RecipeMaker]:
    """Every kind of recipe, a facility's own first, in the order they are tried."""
    own: list[RecipeMaker] = [point.load()() for point in entry_points(group="wpb.recipes")]
    return [WithCompanions(maker) for maker in (*own, Bins(), Positions(), Raster(), Line())]


def chooser(defaults_of: Callable[[Mapping[str, Any]], PlanDefaults]) -> Callable[[dict[str, Any]], Recipe | None]:
    """What chooses the recipe for a start document among all that are installed.

    :param defaults_of: what the settings say of a run, by its start document
    """
    makers = all_makers()
    return lambda start: choose(start, makers, defaults_of(start))
