"""The rectilinear part of scanspec: lines, products, repetitions and snakes, as start documents hold them.

blueapi and ophyd-async's fly scans put the serialised spec into the metadata (``scanspec``), dodal's ``spec_scan`` only its text
(``plan_args.spec``). Neither is ever evaluated as code. Other specs (spirals, masks, concatenations) are no product of lines, and are
left to :mod:`wpb_stream.recipes.waypoints`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wpb_stream.core.narrow import as_label, as_mapping

MAX_TEXT = 20_000
"""Characters of a spec's text above which it is not read."""
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Line:
    """Evenly spaced points along one axis, or a number of repetitions."""

    start: float | None
    """None for repetitions, which are at no position."""
    stop: float | None
    num: int
    snaked: bool = False
    axis: str | None = field(default=None, compare=False)
    """What moves, as the spec names it."""


def spec_of(start: Mapping[str, Any]) -> Mapping[str, Any]:
    """A start document's spec as it is serialised, read from its text if need be; an empty mapping if it names none."""
    spec = as_mapping(start.get("scanspec"))
    text = as_mapping(start.get("plan_args")).get("spec")
    if not spec and isinstance(text, str) and len(text) <= MAX_TEXT:
        try:
            spec = as_mapping(_call(ast.parse(text, mode="eval").body, MAX_DEPTH))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return {}
    return spec


def lines_of(start: Mapping[str, Any]) -> list[Line] | None:
    """The lines a start document's spec is the product of, slow axis first; None if it names no spec, or one that is no such product."""
    return _lines(spec_of(start), MAX_DEPTH)


def _lines(spec: object, depth: int) -> list[Line] | None:
    if depth == 0:
        return None
    match spec if type(spec) is int else as_mapping(spec):
        case int() as repetitions if repetitions > 0:
            return [Line(None, None, repetitions)]
        case {"type": "Product", "outer": outer, "inner": inner}:
            slow, fast = _lines(outer, depth - 1), _lines(inner, depth - 1)
            return slow + fast if slow and fast else None
        case {"type": "Zip", "left": left, "right": right}:
            return _zipped(_lines(left, depth - 1), _lines(right, depth - 1))
        case {"type": "Snake", "spec": inner}:
            lines = _lines(inner, depth - 1)
            return [replace(line, snaked=True) for line in lines] if lines else None
        case {"type": "Fly" | "ConstantDuration", "spec": inner}:
            return _lines(inner, depth - 1)
        case {"type": "Static", "value": int() | float() as value}:
            num = as_mapping(spec).get("num", 1)
            return [Line(float(value), float(value), num, axis=_axis(spec))] if type(num) is int and num > 0 else None
        case {"type": "Linspace" | "Line", "start": int() | float() as start, "stop": int() | float() as stop, "num": int() as num} if (
            num > 0
        ):
            return [Line(float(start), float(stop), num, axis=_axis(spec))]
        case _:
            return None


def _axis(spec: object) -> str | None:
    """The axis of a line: its name, or that of the device whose ``repr`` stands in the spec's text."""
    axis = as_mapping(spec).get("axis")
    return axis if isinstance(axis, str) else as_label(as_mapping(axis).get("name"))


def _zipped(left: list[Line] | None, right: list[Line] | None) -> list[Line] | None:
    """Two specs that are run in parallel are a grid where one of them stands still."""
    for moving, other in ((left, right), (right, left)):
        if moving and other and len(moving) >= len(other) and all(line.start == line.stop for line in other):
            return moving
    return None


def _call(node: ast.expr, depth: int) -> object:
    """``Name(key=value, ...)`` as the serialised spec would have it, with ``type`` for the name; other expressions by their value."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and depth:
        return {"type": node.func.id, **{item.arg: _call(item.value, depth - 1) for item in node.keywords if item.arg}}
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
