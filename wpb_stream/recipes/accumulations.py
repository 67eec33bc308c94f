"""Which images are accumulated of a run's frames: ``wpb.arrays``, else what the recipe is for."""

from __future__ import annotations

from collections.abc import Sequence

from wpb_stream.core.accumulation import Accumulation, Kind
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.masks import BadPixels


def accumulation_of(asked: Sequence[str] | None, bad: BadPixels) -> Accumulation | None:
    """What is accumulated where those names are asked for.

    :raises RecipeError: there is no such array
    """
    known = [kind.value for kind in Kind]
    for name in asked or ():
        if name not in known:
            raise RecipeError(f"wpb.arrays: there is no {name[:80]!r}; known are {', '.join(known)}")
    return Accumulation(tuple(Kind(name) for name in dict.fromkeys(asked)), bad) if asked else None
