"""Sliding means that a start document asks for.

=========================  ==================================================================================================
key                        what it says
=========================  ==================================================================================================
``wpb.sliding.points``     over how many points of the scan, 2 to 1,000
``wpb.sliding.channels``   which channels; else ``total``, or whatever the events carry
=========================  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wpb_stream.core.binning import Binned
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.sliding import SlidingMeans
from wpb_stream.recipes.asked import given_of, named_of

KEYS = ("points", "channels")
MAX_POINTS = 1_000
EXAMPLE = '{"points": 5, "channels": ["total"]}'


def with_sliding_means(recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
    """The recipe with the means that ``wpb.sliding`` asks for; as it is if it asks for none.

    :param asked: the ``wpb`` entry
    :raises RecipeError: it asks for something impossible
    """
    if asked.get("sliding") is None:
        return recipe
    given = given_of("wpb.sliding", asked["sliding"], EXAMPLE, KEYS, "points")
    points = given["points"]
    if type(points) is not int or not 2 <= points <= MAX_POINTS:
        raise RecipeError(f"wpb.sliding.points must be a whole number from 2 to {MAX_POINTS:,}, not {str(points)[:80]}")
    if isinstance(recipe.grid, Binned):
        raise RecipeError("wpb.sliding cannot be had of bins, which are means already and come in no order")
    channels, notices = named_of("wpb.sliding", given, recipe)
    means = SlidingMeans(points, channels, named=given.get("channels") is not None)
    return replace(recipe, derived=(*recipe.derived, means), notices=(*recipe.notices, *notices))
