"""Where a spec's motors are at each point, as the ``scanspec`` library itself says.

A start document may hold anything: before a spec is evaluated its size is reckoned from its serialised form, and only what is known of
that form is passed on. Neither memory nor time is spent on one that is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, isfinite, pi, prod
from typing import Any, cast

import numpy as np
from scanspec.core import Dimension, Path  # pyright: ignore[reportMissingTypeStubs]
from scanspec.specs import Spec  # pyright: ignore[reportMissingTypeStubs]

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.lattice import Positions
from wpb_stream.core.narrow import as_label, as_list, as_mapping

MAX_POINTS = 1_000_000
"""A plan of more points is not evaluated: it would hold the listener up."""
MAX_NUMBERS = 16_000_000
"""Numbers that evaluating a spec may take, all its parts together."""
PART_NUMBERS = 10_000
"""What a part costs however small it is, in the same measure."""
MAX_DEPTH = 64
MAX_VERTICES = 1_000
REPETITION = "\0"
"""Begins the name of an axis that counts repetitions; none of a spec's own does, as labels are printable."""


def positions_of(spec: Mapping[str, Any]) -> dict[str, Positions]:
    """Position of each axis at each point, slow axis first.

    Repetitions count themselves, as axes whose names begin with :data:`REPETITION`.

    :param spec: serialised, or as its text has it: ``Line`` for ``Linspace``, and a device for the name of an axis
    :raises RecipeError: it is too large, or no spec
    """
    cleaned = _Measure().take(spec, MAX_DEPTH)
    try:
        with np.errstate(all="ignore"):
            dimensions = cast("Spec[str]", Spec.deserialize(cleaned.spec)).calculate()
            counted = [_counted(dimension, number) for number, dimension in enumerate(dimensions)]
            found = Path(counted).consume().midpoints
    except Exception as error:  # a library's view of what may be anything: it asserts, divides by zero, overflows
        raise RecipeError(f"scanspec refuses the plan's spec: {str(error)[:200] or type(error).__name__}") from error
    return {axis: np.asarray(along, np.float64) for axis, along in found.items()}


def _counted(dimension: Dimension[str], number: int) -> Dimension[str]:
    """The dimension with an axis more where none of its axes moves: repetitions would fall upon one another."""
    points = dimension.midpoints
    if len(dimension) == 1 or any(np.ptp(along) > 0 for along in points.values()):
        return dimension
    return type(dimension)({f"{REPETITION}{number}": np.arange(len(dimension), dtype=np.float64), **points}, gap=dimension.gap)


@dataclass(frozen=True, slots=True)
class _Part:
    """A spec, or a part of it."""

    spec: Any
    """Serialised, with nothing in it but what is known."""
    points: int
    """No more than these."""
    axes: int


@dataclass(slots=True)
class _Measure:
    """Reckons how large a spec is without evaluating it."""

    numbers: int = field(default=0)

    def take(self, spec: object, depth: int) -> _Part:
        """A part, with what is below it.

        :raises RecipeError: it is too large, too deep, or not known
        """
        if depth == 0:
            raise RecipeError(f"the plan's spec is nested deeper than {MAX_DEPTH}")
        given = as_mapping(spec)
        kind = str(given.get("type"))[:40]
        if kind in _LEAVES:
            part = _LEAVES[kind](given)
        elif kind in _NESTED:
            part = self._nested(kind, given, depth - 1)
        else:
            raise RecipeError(f"the plan's spec has a part of an unknown kind, {kind!r}")
        self.numbers += PART_NUMBERS + part.points * max(part.axes, 1)
        if part.points > MAX_POINTS or self.numbers > MAX_NUMBERS:
            raise RecipeError(f"the plan's spec has more than {MAX_POINTS} points, or takes too long to evaluate")
        return part

    def _nested(self, kind: str, given: Mapping[str, Any], depth: int) -> _Part:
        names, options, combine = _NESTED[kind]
        parts = {name: self._inner(kind, name, given.get(name), depth) for name in names}
        kept = {name: given[name] for name in options if isinstance(given.get(name), (bool, float, int))}
        points = combine([part.points for part in parts.values()])
        axes = [part.axes for part in parts.values()]
        specs = {name: part.spec for name, part in parts.items()}
        return _Part({"type": kind, **specs, **kept}, points, max(axes) if kind == "Concat" else sum(axes))

    def _inner(self, kind: str, name: str, given: object, depth: int) -> _Part:
        if kind == "Product" and type(given) is int:
            if not 0 < given <= MAX_POINTS:
                raise RecipeError(f"the plan's spec repeats something {str(given)[:20]} times")
            return _Part(given, given, 0)
        if kind == "ConstantDuration" and given is None:
            return _Part(None, 1, 0)
        return self.take(given, depth)


def _largest(points: list[int]) -> int:
    return max(points)


_NESTED: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[list[int]], int]]] = {
    "Product": (("outer", "inner"), ("gap",), prod),
    "Zip": (("left", "right"), (), _largest),
    "Concat": (("left", "right"), ("gap", "check_path_changes"), sum),
    "Snake": (("spec",), (), sum),
    "Squash": (("spec",), ("check_path_changes",), sum),
    "Fly": (("spec",), (), sum),
    "ConstantDuration": (("spec",), ("constant_duration",), sum),
}
"""Of each kind that others are nested in: their fields, its other fields, and how its number of points follows from theirs."""


def _line(given: Mapping[str, Any]) -> _Part:
    num = _count(given, "num")
    return _Part({"type": "Linspace", **_axis(given, "axis"), **_floats(given, "start", "stop"), "num": num}, num, 1)


def _static(given: Mapping[str, Any]) -> _Part:
    num = _count(given, "num")
    return _Part({"type": "Static", **_axis(given, "axis"), **_floats(given, "value"), "num": num}, num, 1)


def _range(given: Mapping[str, Any]) -> _Part:
    ends = _floats(given, "start", "stop")
    step = _float(given, "step", abs(ends["stop"] - ends["start"]))
    return _Part({"type": "Range", **_axis(given, "axis"), **ends, "step": step}, _steps(ends["stop"] - ends["start"], step), 1)


def _spiral(given: Mapping[str, Any]) -> _Part:
    sides = _floats(given, "x_centre", "x_diameter", "x_step", "y_centre")
    sides["y_diameter"] = _float(given, "y_diameter", abs(sides["x_diameter"]))
    points = _whole(abs(pi * sides["x_diameter"] * sides["y_diameter"] / 4), sides["x_step"] ** 2)
    return _Part({"type": "Spiral", **_axis(given, "x_axis", "y_axis"), **sides}, points, 2)


def _ellipse(given: Mapping[str, Any]) -> _Part:
    sides = _floats(given, "x_centre", "x_diameter", "x_step", "y_centre")
    sides["y_diameter"] = _float(given, "y_diameter", abs(sides["x_diameter"]))
    sides["y_step"] = _float(given, "y_step", sides["x_step"])
    points = _steps(sides["x_diameter"], sides["x_step"]) * _steps(sides["y_diameter"], sides["y_step"])
    return _Part({"type": "Ellipse", **_axis(given, "x_axis", "y_axis"), **sides, **_ways(given)}, points, 2)


def _polygon(given: Mapping[str, Any]) -> _Part:
    sides = _floats(given, "x_step")
    sides["y_step"] = _float(given, "y_step", sides["x_step"])
    vertices = [as_list(vertex) for vertex in (as_list(given.get("vertices")) or [])[: MAX_VERTICES + 1]]
    corners = [_floats(dict(zip("xy", vertex, strict=True)), "x", "y") for vertex in vertices if vertex and len(vertex) == 2]
    if len(corners) != len(vertices) or not 3 <= len(corners) <= MAX_VERTICES:
        raise RecipeError(f"the polygon of the plan's spec must have 3 to {MAX_VERTICES} corners")
    widths = {side: max(corner[side] for corner in corners) - min(corner[side] for corner in corners) for side in "xy"}
    points = _steps(widths["x"], sides["x_step"]) * _steps(widths["y"], sides["y_step"])
    spec = {"type": "Polygon", **_axis(given, "x_axis", "y_axis"), "vertices": [(corner["x"], corner["y"]) for corner in corners]}
    # Whether a point is inside is asked once for each corner.
    if points * len(corners) > MAX_NUMBERS:
        raise RecipeError(f"the plan's spec asks for {points} points in a polygon of {len(corners)} corners, which is too much")
    return _Part({**spec, **sides, **_ways(given)}, points, 2)


_LEAVES: dict[str, Callable[[Mapping[str, Any]], _Part]] = {
    "Line": _line,
    "Linspace": _line,
    "Static": _static,
    "Range": _range,
    "Spiral": _spiral,
    "Ellipse": _ellipse,
    "Polygon": _polygon,
}

KINDS = frozenset({*_LEAVES, *_NESTED})
"""Kinds of specs, and of parts of them, that are evaluated."""


def _axis(given: Mapping[str, Any], *names: str) -> dict[str, str]:
    """The axes by their names, be it that of the device whose ``repr`` stands in the spec's text."""
    axes: dict[str, str] = {}
    for name in names:
        label = as_label(given.get(name)) or as_label(as_mapping(given.get(name)).get("name"))
        if not label:
            raise RecipeError(f"the plan's spec does not name its {name}")
        axes[name] = label
    return axes


def _ways(given: Mapping[str, Any]) -> dict[str, bool]:
    return {name: given.get(name) is True for name in ("snake", "vertical")}


def _count(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name, 1)
    if type(value) is not int or not 0 < value:
        raise RecipeError(f"the plan's spec needs a whole number from 1 as {name}")
    return value


def _floats(given: Mapping[str, Any], *names: str) -> dict[str, float]:
    return {name: _float(given, name) for name in names}


def _float(given: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = given.get(name)
    value = default if value is None else value
    # Compared before it is made a float: an integer may have thousands of digits.
    if not isinstance(value, (int, float)) or not -1e100 < value < 1e100 or not isfinite(value):
        raise RecipeError(f"the plan's spec needs a finite number as {name}")
    return float(value)


def _steps(distance: float, step: float) -> int:
    """No fewer than ``Range`` makes."""
    return _whole(abs(distance), abs(step)) + 2


def _whole(much: float, each: float) -> int:
    """How often one goes into the other, rounded up; far too often instead of infinitely often."""
    return min(ceil(much / each), 10**30) if each > 0 and isfinite(much / each) else 10**30
