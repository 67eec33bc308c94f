"""Settings of a recipe in words: what a region is, and what a reducer does with which of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from wpb_stream.core.masks import BadPixels
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.regions import Interval, Region

LONGEST = 400
"""Characters; a polygon may have a thousand corners."""


def place_of(region: Region | None) -> str:
    """Where on the detector a region is."""
    if region is None:
        return "all"
    sides = [f"{name} {_side(side)}" for name, side in (("rows", region.rows), ("columns", region.columns)) if side != Interval()]
    shape = region.shape.describe() if region.shape else {}
    parts = [*sides, *(f"{name} {_plain(value)}" for name, value in shape.items())]
    return (("outside of " if region.outside else "") + ", ".join(parts))[:LONGEST] or "all"


def words_of(value: object) -> str:
    """A reducer, or any other settings, without what is as it is by default: ``centre of mass (region: rows 0 to 5)``."""
    match value:
        case Region():
            return place_of(value)
        case Interval():
            return _side(value)
        case BadPixels():
            return f"{len(value)} pixels"
        case tuple():
            return "; ".join(map(words_of, as_list(value) or ()))  # pyright: ignore[reportUnknownArgumentType]
        case _ if is_dataclass(value) and not isinstance(value, type):
            told = ", ".join(_settings(value))
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(value).__name__).lower()
            return f"{name} ({told})" if told else name
        case _:
            return str(value)[:LONGEST]


def _settings(value: Any) -> Iterator[str]:
    for field in fields(value):
        setting = getattr(value, field.name)
        if field.default is MISSING or setting != field.default:
            yield f"{field.name.replace('_', ' ')}: {words_of(setting)}"


def _side(side: Interval) -> str:
    if side.parts:
        return f"{side.start}/{side.parts} to {side.stop}/{side.parts}"
    return f"{side.start} on" if side.stop is None else f"{side.start} to {side.stop}"


def _plain(value: object) -> str:
    told = as_mapping(value)
    return ", ".join(f"{name} {one}" for name, one in told.items()) if told else str(value)
