"""What Bluesky's plan patterns say of the positions: ``plan_pattern`` and ``plan_pattern_args`` in the start documents of its plans.

They are the only place that tells in which direction ``list_grid_scan`` goes (its ``extents`` are sorted), which of its axes snake if not
all or none do, and where ``scan`` and ``list_scan`` go (they have no ``extents``). Source: ``bluesky.plans`` and ``bluesky.plan_patterns``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeGuard

from wpb_stream.core.narrow import as_list, as_mapping

MAX_POSITIONS = 1_000_000
"""A longer list of positions is not looked at."""
SPACING_TOLERANCE = 0.01
"""How far a position may be off, as a part of a step, where steps still count as even: lists are rounded, and no map shows it."""


@dataclass(frozen=True, slots=True)
class Course:
    """The way of one motor along one axis of the scan, on its first pass."""

    motor: str
    """As the plan's arguments name it: the device's ``repr``."""
    start: float
    stop: float
    num: int
    even: bool
    """Whether all steps are of one size."""


def courses_of(start: Mapping[str, Any]) -> list[Course] | None:
    """The way along each axis of the scan, slow axis first; None if the start document names no pattern that says it.

    Where several motors move together along one axis, the first one stands for all.
    """
    arguments = as_mapping(start.get("plan_pattern_args"))
    listed = as_list(arguments.get("args")) or []
    match start.get("plan_pattern"):
        case "inner_product" if len(listed) >= 3:
            found = [_even(listed[0], listed[1], listed[2], arguments.get("num"))]
        case "linspace":
            found = [_even("", arguments.get("start"), arguments.get("stop"), arguments.get("num"))]
        case "inner_list_product" if len(listed) >= 2:
            found = [_listed(listed[0], listed[1])]
        case "outer_list_product" if len(listed) >= 2:
            found = [_listed(motor, positions) for motor, positions in zip(listed[::2], listed[1::2], strict=False)]
        case _:
            return None
    courses = [course for course in found if course is not None]
    return courses if len(courses) == len(found) else None


def snaked_of(start: Mapping[str, Any], courses: Sequence[Course] | None, dimensions: int) -> list[bool] | None:
    """Which axes of a ``list_grid_scan`` snake, which it says as text: ``True``, ``False``, or the list of motors; None if it does not say.

    The slowest axis has one pass and cannot snake.
    """
    text = start.get("snake_axes")
    if text in ("True", "False"):
        return [False, *[text == "True"] * (dimensions - 1)]
    if isinstance(text, str) and courses and len(courses) == dimensions and all(course.motor for course in courses):
        return [False, *(course.motor in text for course in courses[1:])]
    return None


def _even(motor: object, start: object, stop: object, num: object) -> Course | None:
    if not _is_position(start) or not _is_position(stop) or type(num) is not int or num < 1:
        return None
    return Course(str(motor), float(start), float(stop), num, True)


def _listed(motor: object, positions: object) -> Course | None:
    listed = as_list(positions)
    if not listed or len(listed) > MAX_POSITIONS or not all(_is_position(position) for position in listed):
        return None
    first, last = float(listed[0]), float(listed[-1])
    step = (last - first) / max(len(listed) - 1, 1)
    off = max(abs(float(position) - (first + k * step)) for k, position in enumerate(listed))
    return Course(str(motor), first, last, len(listed), off <= SPACING_TOLERANCE * abs(step))


def _is_position(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
