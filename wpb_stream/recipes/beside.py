"""What a start document asks to be joined to the frames of a run, whichever recipe it has.

====================  =============================================================================================
key                   what it says
====================  =============================================================================================
``wpb.normalise``     ``{"by": "i0"}``: what is measured in counts is divided by the number ``i0`` of the same point
``wpb.scalars``       data keys of numbers, each a channel beside those of the frames
``wpb.positions``     ``"measured"``: the readings of the motors of the map's axes, each a channel; or their data keys
``wpb.tomography``    see :mod:`wpb_stream.recipes.tomography`: made of the frames themselves
``wpb.fit``           see :mod:`wpb_stream.recipes.fits`: fits of the lines of whatever channels there are
``wpb.sliding``       see :mod:`wpb_stream.recipes.sliding`: means of whatever channels there are
``wpb.bins``          see :mod:`wpb_stream.recipes.binned`: the positions are joined whether they are asked for or not
====================  =============================================================================================

docs/reference/companions.md tells the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wpb_stream.core.binning import COUNT, Binned
from wpb_stream.core.companions import MAX_COMPANIONS, Companions
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.recipe import Channel, PlanDefaults, Recipe, RecipeMaker
from wpb_stream.core.scalars import channels_of, free_name
from wpb_stream.recipes.fits import with_fits
from wpb_stream.recipes.sliding import with_sliding_means
from wpb_stream.recipes.tomography import with_slices

COUNTS = "counts"
"""What the units of a channel begin with that is divided: a place in the frame, or a number of pixels, does not grow with the beam."""


@dataclass(frozen=True, slots=True)
class WithCompanions:
    """Makes the recipes of another maker, with what is joined to the frames."""

    maker: RecipeMaker

    @property
    def name(self) -> str:
        """The other maker's."""
        return self.maker.name

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        """Whether the other maker's recipe fits."""
        return self.maker.fits(start, defaults)

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        """The recipe for a run.

        :raises RecipeError: the metadata asks for something impossible
        """
        asked = as_mapping(start.get("wpb"))
        recipe = self.maker.make(start, defaults)
        for extended in (with_slices, with_companions, with_fits, with_sliding_means):
            recipe = extended(recipe, asked)
        return recipe


def with_companions(recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
    """The recipe with what a ``wpb`` entry asks to be joined; as it is if that is nothing.

    :raises RecipeError: naming the key that is wrong, and what was expected
    """
    monitor = _monitor(asked.get("normalise"))
    scalars = _names("wpb.scalars", asked.get("scalars"), '["i0", "camera-sum"]')
    measured = _measured(asked.get("positions"), recipe)
    joined = tuple(dict.fromkeys((*scalars, *measured)))
    if len(joined) > MAX_COMPANIONS:
        raise RecipeError(f"wpb.scalars and wpb.positions: {len(joined)} data keys, more than the {MAX_COMPANIONS} allowed")
    if not joined and monitor is None:
        return recipe
    channels = list(recipe.channels)
    divided = [number for number, channel in enumerate(channels) if monitor and channel.units.startswith(COUNTS)]
    for number in divided:
        channels[number] = replace(channels[number], units=f"{channels[number].units}/{monitor}")
    channels += channels_of(joined, {}, [COUNT, *(channel.name for channel in channels)])
    placed_by: tuple[str, ...] = ()
    if isinstance(recipe.grid, Binned):
        placed_by = recipe.grid.data_keys
        channels.append(Channel(free_name(COUNT, [channel.name for channel in channels]), "Points in the bin", "points"))
    companions = Companions(joined, monitor, tuple(divided), frozenset(measured), placed_by)
    return replace(recipe, channels=tuple(channels), reduction=recipe.reducer, companions=companions)


def _monitor(asked: Any) -> str | None:
    if asked is None:
        return None
    given = as_mapping(asked)
    if set(given) != {"by"} or not _is_name(given["by"]):
        raise RecipeError('wpb.normalise must be like {"by": "i0"}, the data key of a number that every point has')
    return str(given["by"])


def _names(key: str, asked: Any, example: str) -> list[str]:
    if asked is None:
        return []
    names = as_list(asked)
    if not names or not all(map(_is_name, names)):
        raise RecipeError(f"{key} must be a list of data keys, like {example}, not {repr(asked)[:80]}")
    if len(set(names)) < len(names):
        raise RecipeError(f"{key} names a data key twice: {', '.join(map(str, names))[:200]}")
    return names


def _measured(asked: Any, recipe: Recipe) -> list[str]:
    if isinstance(recipe.grid, Binned):
        return [*recipe.grid.data_keys]
    if asked == "measured":
        return [axis.name for axis in recipe.grid.axes if _is_name(axis.name)]
    if asked is not None and as_list(asked) is None:
        raise RecipeError(f'wpb.positions must be "measured", or a list of data keys, like ["y", "x"], not {repr(asked)[:80]}')
    return _names("wpb.positions", asked, '["y", "x"]')


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()
