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

from collections.abc import Mapping, Sequence
from typing import Any

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.line_fits import LineFits
from wpb_stream.core.line_models import BACKGROUNDS, MAX_DEGREE, SHAPES, LineModel
from wpb_stream.core.narrow import as_list
from wpb_stream.core.recipe import Channel, Notice
from wpb_stream.recipes.asked import given_of

KEYS = ("model", "channels", "background", "degree")
EXAMPLE = '{"model": "gaussian", "channels": ["total"]}'


def fit_of(wanted: Mapping[str, Any], channels: Sequence[Channel], notices: list[Notice]) -> tuple[LineFits, ...]:
    """The fit that ``wpb.fit`` asks for; none if it is not there. Channels that frames do not have are told in ``notices``.

    :param wanted: the ``wpb`` entry
    :param channels: that frames are made into
    :raises RecipeError: it asks for something impossible
    """
    asked = wanted.get("fit")
    if asked is None:
        return ()
    given = given_of("wpb.fit", asked, EXAMPLE, KEYS, "model")
    fitted = _channels(given.get("channels"))
    names = [channel.name for channel in channels]
    unknown = [name for name in fitted or () if name not in names]
    if unknown:
        told = f"wpb.fit.channels: there is no channel {unknown[0]!r}; known are {', '.join(names)}"
        if set(wanted) - {"fit", "recipe", "data_key", "shape", "snaking", "extents", "axes"}:
            raise RecipeError(told)
        # Nothing else is said of frames, so that it may be a number in the events, which nobody knows before they are described.
        notices.append(Notice("channel_unknown", f"{told}."))
    return (LineFits(_model(given), fitted or ("total",), named=fitted is not None),)


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


def _channels(asked: Any) -> tuple[str, ...] | None:
    if asked is None:
        return None
    listed = as_list(asked)
    if not listed or not all(isinstance(name, str) and 0 < len(name) <= 200 for name in listed) or len(set(listed)) < len(listed):
        raise RecipeError(f'wpb.fit.channels must be a list of different names, like ["total"], not {str(asked)[:80]}')
    return tuple(listed)
