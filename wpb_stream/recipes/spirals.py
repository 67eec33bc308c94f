"""The spirals of ``bluesky.plan_patterns``, made again from the arguments in the start documents of Bluesky's plans.

Written anew on arrays, as nothing at run time needs Bluesky; a test holds each to the original, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.lattice import Positions
from wpb_stream.core.narrow import as_mapping
from wpb_stream.recipes.waypoints import MAX_POINTS

Spiral = tuple[Positions, Positions]
"""x and y of each point."""


def is_spiral(start: Mapping[str, Any]) -> bool:
    """Whether a run goes along a spiral of Bluesky's."""
    pattern = start.get("plan_pattern")
    return isinstance(pattern, str) and pattern in _PATTERNS


def positions_of(start: Mapping[str, Any]) -> dict[str, Positions]:
    """Positions of ``y`` and ``x`` at each point, of a run that :func:`is_spiral`.

    :raises RecipeError: the arguments are missing, absurd, or ask for too many points
    """
    # spiral_square has no plan_pattern_args: its plan_args are the same.
    arguments = as_mapping(start.get("plan_pattern_args")) or as_mapping(start.get("plan_args"))
    try:
        with np.errstate(all="ignore"):
            x, y = _PATTERNS[start["plan_pattern"]](arguments)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise RecipeError(f"the plan's spiral cannot be: {error}") from error
    return {"y": y, "x": x}


def _spiral(arguments: Mapping[str, Any]) -> Spiral:
    x_start, y_start, x_range, y_range, dr, nth = _numbers(arguments, "x_start", "y_start", "x_range", "y_range", "dr", "nth")
    aspect, tilt = _aspect_and_tilt(arguments, dr)
    half_x, half_y = x_range / 2, y_range / (2 * aspect)
    tilt_tan = np.tan(tilt + np.pi / 2.0)
    rings = 1 + int(_few(np.sqrt(half_x**2 + half_y**2) / dr))
    _few(abs(nth) * (rings + 1) * (rings + 2) / 2)
    ring = np.arange(1, rings + 2, dtype=np.float64)
    counts = np.maximum((ring * nth).astype(np.int64), 0)
    ring = np.repeat(ring, counts)
    number = np.arange(len(ring), dtype=np.float64) - np.repeat(np.cumsum(counts) - counts, counts)
    radius, angle = ring * dr, number * (2.0 * np.pi / (ring * nth))
    x, y = radius * np.cos(angle), radius * np.sin(angle) * aspect
    inside = (np.abs(x - (y / aspect) / tilt_tan) <= half_x) & (np.abs(y / aspect) <= half_y)
    return x_start + x[inside], y_start + y[inside]


def _fermat(arguments: Mapping[str, Any]) -> Spiral:
    x_start, y_start, x_range, y_range, dr, factor = _numbers(arguments, "x_start", "y_start", "x_range", "y_range", "dr", "factor")
    aspect, tilt = _aspect_and_tilt(arguments, dr)
    half_x, half_y = x_range / 2, y_range / (2 * aspect)
    tilt_tan = np.tan(tilt + np.pi / 2.0)
    ring = np.arange(1, int(_few((1.5 * np.sqrt(half_x**2 + half_y**2) / (dr / factor)) ** 2)))
    radius, angle = np.sqrt(ring.astype(np.float64)) * dr / factor, 137.508 * np.pi / 180.0 * ring
    x, y = radius * np.cos(angle), radius * np.sin(angle) * aspect
    inside = (np.abs(x - (y / aspect) / tilt_tan) <= half_x) & (np.abs(y) <= half_y)
    return x_start + x[inside], y_start + y[inside]


def _square(arguments: Mapping[str, Any]) -> Spiral:
    x_center, y_center, x_range, y_range = _numbers(arguments, "x_center", "y_center", "x_range", "y_range")
    x_num, y_num = arguments.get("x_num"), arguments.get("y_num")
    if type(x_num) is not int or type(y_num) is not int or min(x_num, y_num) < 2:
        raise ValueError("x_num and y_num must be whole numbers from 2")
    rings = max(x_num, y_num)
    _few(rings * rings)
    x_offset, y_offset = 0.0 if x_num % 2 else 0.5, 0.0 if y_num % 2 else -0.5
    x_delta, y_delta = x_range / (x_num - 1), y_range / (y_num - 1)
    x_steps, y_steps = [np.zeros(1)], [np.zeros(1)]

    def side(along: list[Positions], across: list[Positions], way: range, at: int, offset: float, num: int) -> None:
        steps = np.arange(way.start, way.stop, way.step, dtype=np.float64)
        steps = steps[np.abs(steps - offset) < num / 2]
        along.append(steps)
        across.append(np.full(len(steps), float(at)))

    for ring in range(2, rings + 1):
        back, forth = range(ring - 2, -ring, -1), range(-ring + 2, ring)
        if abs(ring - 1 - x_offset) <= x_num / 2:
            side(y_steps, x_steps, back, ring - 1, y_offset, y_num)
        if abs(-ring + 1 - y_offset) < y_num / 2:
            side(x_steps, y_steps, back, 1 - ring, x_offset, x_num)
        if abs(-ring + 1 - x_offset) < x_num / 2:
            side(y_steps, x_steps, forth, 1 - ring, y_offset, y_num)
        if abs(ring - 1 - y_offset) < y_num / 2:
            side(x_steps, y_steps, forth, ring - 1, x_offset, x_num)
    x, y = np.concatenate(x_steps)[: x_num * y_num], np.concatenate(y_steps)[: x_num * y_num]
    return x_center - x_delta * x_offset + x_delta * x, y_center - y_delta * y_offset + y_delta * y


_PATTERNS: dict[str, Callable[[Mapping[str, Any]], Spiral]] = {"spiral": _spiral, "spiral_fermat": _fermat, "spiral_square": _square}


def _aspect_and_tilt(arguments: Mapping[str, Any], dr: float) -> tuple[float, float]:
    known = {name: value for name, value in arguments.items() if value is not None}
    dr_y, tilt = _numbers({"dr_y": dr, "tilt": 0.0, **known}, "dr_y", "tilt")
    return dr_y / dr if "dr_y" in known else 1.0, tilt


def _numbers(arguments: Mapping[str, Any], *names: str) -> list[float]:
    found = [arguments.get(name) for name in names]
    numbers: list[float] = [value for value in found if isinstance(value, (int, float)) and -1e100 < value < 1e100]
    if len(numbers) < len(names):
        raise ValueError(f"it needs finite numbers as {', '.join(names)}")
    return numbers


def _few(number: float) -> float:
    """A number of points that may be computed."""
    if not isfinite(number) or number > 2 * MAX_POINTS:
        raise ValueError("it has too many points")
    return number
