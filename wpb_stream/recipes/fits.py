"""Fits that a start document asks for.

==========================  =================================================================================================
key                         what it says
==========================  =================================================================================================
``wpb.fit.model``           ``gaussian``, ``lorentzian``, ``voigt``, ``erf`` or ``polynomial``
``wpb.fit.channels``        which channels are fitted; else ``total``, or whatever the events carry
``wpb.fit.background``      under peaks and steps: ``constant``, or ``linear``
``wpb.fit.degree``          of a polynomial, 1 to 7
==========================  =================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.line_fits import LineFits
from wpb_stream.core.line_models import BACKGROUNDS, MAX_DEGREE, SHAPES, LineModel
from wpb_stream.core.recipe import Notice, Recipe
from wpb_stream.recipes.asked import given_of, named_of

KEYS = ("model", "channels", "background", "degree")
EXAMPLE = '{"model": "gaussian", "channels": ["total"]}'


def with_fits(recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
    """The recipe with the fits that ``wpb.fit`` asks for; as it is if it asks for none.

    :param asked: the ``wpb`` entry
    :raises RecipeError: it asks for something impossible
    """
    if asked.get("fit") is None:
        return recipe
    given = given_of("wpb.fit", asked["fit"], EXAMPLE, KEYS, "model")
    channels, notices = named_of("wpb.fit", given, recipe)
    fits, left_out = LineFits(_model(given), (), named=given.get("channels") is not None).of(channels, recipe.grid)
    if left_out:
        notices = (*notices, Notice("arrays_left_out", left_out))
    return replace(recipe, derived=(*recipe.derived, *([fits] if fits.channels else [])), notices=(*recipe.notices, *notices))


def _model(given: Mapping[str, Any]) -> LineModel:
    shape, background, degree = given["model"], given.get("background"), given.get("degree")
    if shape not in SHAPES:
        raise RecipeError(f"wpb.fit.model: there is no {str(shape)[:80]!r}; known are {', '.join(SHAPES)}")
    if shape == "polynomial":
        if background is not None:
            raise RecipeError("wpb.fit.background is for peaks and steps only: a polynomial is its own")
        if type(degree) is not int or not 1 <= degree <= MAX_DEGREE:
            raise RecipeError(f"wpb.fit.degree must be a whole number from 1 to {MAX_DEGREE}, not {str(degree)[:80]}")
        return LineModel(shape, degree=degree)
    if degree is not None:
        raise RecipeError('wpb.fit.degree is for "model": "polynomial" only')
    if background not in (None, *BACKGROUNDS):
        raise RecipeError(f"wpb.fit.background: there is no {str(background)[:80]!r}; known are {', '.join(BACKGROUNDS)}")
    return LineModel(shape, background or "constant")
