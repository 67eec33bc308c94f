"""The phase that a start document asks to be made of the centres of mass.

==========================  =================================================================================================
key                         what it says
==========================  =================================================================================================
``wpb.phase``               ``true``, or the settings below
``wpb.phase.axes``          the detector's direction along the slow axis and along the fast one; else ``["row", "column"]``
``wpb.phase.pixel_size``    in metres, with
``wpb.phase.distance``      from the sample to the detector, and
``wpb.phase.wavelength``    for radians; else pixels times steps
==========================  =================================================================================================
"""

from __future__ import annotations

from typing import Any, get_args

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.phase_map import Direction, Optics, PhaseMap
from wpb_stream.recipes.regions import is_number

OPTICS = ("pixel_size", "distance", "wavelength")
KEYS = ("axes", *OPTICS)
EXAMPLE = '{"pixel_size": 55e-6, "distance": 2.0, "wavelength": 1.5e-10}'
SMALLEST, LARGEST = 1e-15, 1e6
"""Metres; nothing else is believed."""


def phase_of(asked: Any) -> tuple[PhaseMap, ...]:
    """What ``wpb.phase`` asks for; nothing if it is not there, or false.

    :raises RecipeError: it asks for something impossible
    """
    if asked is None or asked is False:
        return ()
    given = as_mapping(asked)
    if (asked is not True and not given) or not set(KEYS) >= set(given):
        raise RecipeError(f"wpb.phase must be true, or like {EXAMPLE}; it may have {', '.join(KEYS)}")
    return (PhaseMap(_along(given.get("axes", ["row", "column"])), _optics([given.get(key) for key in OPTICS])),)


def _along(asked: Any) -> tuple[Direction, Direction]:
    match as_list(asked):
        case [slow, fast] if all(each in get_args(Direction) for each in (slow, fast)) and slow.lstrip("-") != fast.lstrip("-"):
            return slow, fast
        case _:
            told = (
                f'wpb.phase.axes must be like ["row", "-column"], one of each, along the slow axis and the fast one; not {str(asked)[:80]}'
            )
            raise RecipeError(told)


def _optics(lengths: list[Any]) -> Optics | None:
    if lengths == [None] * len(lengths):
        return None
    for key, length in zip(OPTICS, lengths, strict=True):
        if not is_number(length, LARGEST) or length < SMALLEST:
            raise RecipeError(f"wpb.phase.{key} must be a length in metres, as {', '.join(OPTICS)} belong together; not {str(length)[:80]}")
    return Optics(*map(float, lengths))
