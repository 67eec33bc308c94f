"""The dead time of a fluorescence detector, as a start document says where it lies.

======================================  =====================================================================================
key of ``wpb.dead_time``                what is there
======================================  =====================================================================================
``factor``                              what counts are to be multiplied by
``percent``                             dead time in percent
``real_time``, ``live_time``            how long each element measured, and how long it could
``input_rate``, ``output_rate``         how many counts came, and how many were counted
======================================  =====================================================================================

Each is the path of a dataset in the detector's file, ``[points, elements]``, or a list of paths of ``[points]``, one an element.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from wpb_stream.core.dead_time import Datasets, DeadTime, Measure
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.recipes.files import MAX_LENGTH

MEASURES: Mapping[Measure, tuple[str, ...]] = MappingProxyType(
    {
        Measure.FACTOR: ("factor",),
        Measure.PERCENT: ("percent",),
        Measure.TIMES: ("real_time", "live_time"),
        Measure.RATES: ("input_rate", "output_rate"),
    }
)
MAX_ELEMENTS = 64
"""Datasets of one quantity: each is a file that is kept open."""


def dead_time_of(given: Any) -> DeadTime | None:
    """What ``wpb.dead_time`` tells; None without it.

    :raises RecipeError: it tells nothing that can be used
    """
    if given is None:
        return None
    told = as_mapping(given)
    for measure, keys in MEASURES.items():
        if set(told) == set(keys):
            return DeadTime(measure, tuple(_datasets(f"wpb.dead_time.{key}", told[key]) for key in keys))
    known = "; ".join(" and ".join(keys) for keys in MEASURES.values())
    raise RecipeError(f"wpb.dead_time must have one of these: {known}; it has {', '.join(map(str, told))[:80] or str(given)[:80]}")


def _datasets(key: str, given: Any) -> Datasets:
    listed = [given] if isinstance(given, str) else as_list(given)
    if not listed or len(listed) > MAX_ELEMENTS or not all(isinstance(path, str) and 0 < len(path) <= MAX_LENGTH for path in listed):
        told = f"the path of a dataset in the detector's file, or a list of up to {MAX_ELEMENTS} of them, one an element"
        raise RecipeError(f"{key} must be {told}, not {str(given)[:80]}")
    return tuple(map(str, listed))
