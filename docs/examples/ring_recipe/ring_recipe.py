"""A facility's own recipe: how bright a ring is on the detector, as a part of everything on it.

Asked for by a plan: ``md={"wpb": {"recipe": "ring", "inner": 20, "outer": 30}}``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.recipe import Channel, PlanDefaults, Recipe
from wpb_stream.core.reducers import Frame
from wpb_stream.recipes.raster import Raster


@dataclass(frozen=True)
class RingFraction:
    """Counts in a ring around the middle of the frame, divided by all counts; and all counts."""

    inner: float
    outer: float
    size = 2
    """How many values a point has: one a channel."""

    def values(self, frames: Iterable[Frame]) -> Sequence[float]:
        """The values of one point, from all its frames."""
        ring = total = 0
        for frame in frames:
            rows, columns = np.ogrid[: frame.shape[0], : frame.shape[1]]
            radius = np.hypot(rows - frame.shape[0] / 2, columns - frame.shape[1] / 2)
            ring += int(frame[(radius >= self.inner) & (radius < self.outer)].sum(dtype=np.int64))
            total += int(frame.sum(dtype=np.int64))
        return [ring / total if total else np.nan, float(total)]


class Ring:
    """Makes the recipe: grid, axes and detector as every raster has them, with a reduction of its own."""

    name = "ring"

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        """Only where a plan asks for it by name."""
        return (start.get("wpb") or {}).get("recipe") == self.name

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        """The recipe of one run."""
        asked = start["wpb"]
        inner, outer = asked.get("inner", 0), asked.get("outer")
        if not isinstance(outer, int | float) or not 0 <= inner < outer:
            raise RecipeError("wpb.inner and wpb.outer must be radii in pixels, inner less than outer")
        base = Raster().make({key: value for key, value in start.items() if key != "wpb"}, defaults)
        return replace(
            base,
            name=self.name,
            channels=(Channel("ring", "Ring", "of all counts"), Channel("total", "Total")),
            reduction=RingFraction(inner, outer),
            notices=tuple(notice for notice in base.notices if notice.code != "regions_guessed"),
        )
