"""Regions of the detector and its bad pixels as a start document, or the settings, write them. Hostile input: all of it is bounded.

Each function is told the key that it reads, and names it in the sentence of its :class:`RecipeError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.masks import MAX_BAD_PIXELS, NO_BAD_PIXELS, BadPixels
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.needed import FileMask
from wpb_stream.core.regions import WHOLE, Interval, Region
from wpb_stream.core.shapes import MAX_COORDINATE, MAX_VERTICES, MIN_RADIUS, Annulus, Ellipse, Point, Polygon, Shape
from wpb_stream.recipes.files import file_array_of

RECTANGLE_KEYS = ("rows", "columns")
SHAPE_KEYS = ("ellipse", "annulus", "polygon", "mask_file")
PLACE_KEYS = (*RECTANGLE_KEYS, *SHAPE_KEYS, "dataset", "outside")
"""What says where a region is."""
ELLIPSE_KEYS = ("centre", "radii")
ANNULUS_KEYS = ("centre", "inner", "outer")


def region_of(key: str, name: str, given: Mapping[str, Any]) -> Region:
    """The region that the ``PLACE_KEYS`` of an entry tell; without any, the whole frame.

    :raises RecipeError: they tell none
    """
    outside = given.get("outside", False)
    if not isinstance(outside, bool):
        raise RecipeError(f"{key}.outside must be true or false, not {_short(outside)}")
    shapes = [shape for shape in SHAPE_KEYS if shape in given]
    sides = [side for side in RECTANGLE_KEYS if side in given]
    if len(shapes) + bool(sides) > 1:
        raise RecipeError(f"{key} must be one shape, not {' and '.join([*sides, *shapes])}")
    if outside and not shapes and not sides:
        raise RecipeError(f"{key}.outside needs a shape beside it, of which it is the complement")
    if "dataset" in given and "mask_file" not in given:
        raise RecipeError(f"{key}.dataset needs a mask_file beside it, in which it lies")
    if "mask_file" in given:
        shape = FileMask(file_array_of(key, given, "mask_file"))
    else:
        shape = _shape(f"{key}.{shapes[0]}", shapes[0], given[shapes[0]]) if shapes else None
    rows, columns = (_pixels(f"{key}.{side}", given.get(side)) for side in RECTANGLE_KEYS)
    return Region(name, rows, columns, shape, outside)


def bad_pixels_of(key: str, value: Any) -> BadPixels:
    """The pixels to leave out.

    :raises RecipeError: it is no list of them
    """
    if value is None:
        return NO_BAD_PIXELS
    pixels = as_list(value)
    if pixels is None:
        raise RecipeError(f"{key} must be a list of pixels [row, column], or name a mask_file, not {_short(value)}")
    if len(pixels) > MAX_BAD_PIXELS:
        raise RecipeError(f"{key}: {len(pixels)} pixels, more than the {MAX_BAD_PIXELS:,} allowed")
    found: list[tuple[int, int]] = []
    for pixel in pixels:
        match as_list(pixel):
            case [row, column] if all(type(side) is int and 0 <= side <= MAX_COORDINATE for side in (row, column)):
                found.append((row, column))
            case _:
                raise RecipeError(f"{key}: {_short(pixel)} is no pixel [row, column] of whole numbers from 0")
    return BadPixels.of(found)


def is_number(value: object, limit: float) -> TypeGuard[float]:
    """Whether the value is a number, neither infinite nor beyond ``limit`` on either side of 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -limit <= value <= limit


def _shape(key: str, kind: str, given: Any) -> Shape:
    if kind == "polygon":
        return Polygon(_vertices(key, given))
    fields = as_mapping(given)
    if kind == "ellipse":
        if set(fields) != set(ELLIPSE_KEYS):
            raise RecipeError(f'{key} must be like {{"centre": [128, 128], "radii": [20, 30]}}, not {_short(given)}')
        height, width = _point(f"{key}.radii", fields["radii"], MIN_RADIUS, "radii along rows and along columns")
        return Ellipse(_point(f"{key}.centre", fields["centre"]), (height, width))
    if set(fields) != set(ANNULUS_KEYS):
        raise RecipeError(f'{key} must be like {{"centre": [128, 128], "inner": 20, "outer": 60}}, not {_short(given)}')
    inner, outer = fields["inner"], fields["outer"]
    if not (is_number(inner, MAX_COORDINATE) and is_number(outer, MAX_COORDINATE) and 0 <= inner < outer and outer >= MIN_RADIUS):
        told = f"numbers of pixels with 0 <= inner < outer, not {_short(inner)} and {_short(outer)}"
        raise RecipeError(f"{key}.inner and {key}.outer must be {told}")
    return Annulus(_point(f"{key}.centre", fields["centre"]), inner, outer)


def _vertices(key: str, given: Any) -> tuple[Point, ...]:
    vertices = as_list(given)
    if vertices is None or len(vertices) < 3:
        raise RecipeError(f"{key} must be a list of three or more corners [row, column], not {_short(given)}")
    if len(vertices) > MAX_VERTICES:
        raise RecipeError(f"{key} has {len(vertices)} corners, more than the {MAX_VERTICES:,} allowed")
    return tuple(_point(key, vertex) for vertex in vertices)


def _point(key: str, value: Any, lowest: float = -MAX_COORDINATE, what: str = "place [row, column]") -> Point:
    match as_list(value):
        case [row, column] if all(is_number(side, MAX_COORDINATE) and side >= lowest for side in (row, column)):
            return row, column
        case _:
            raise RecipeError(f"{key}: {_short(value)} are no {what}: two numbers from {lowest:,} to {MAX_COORDINATE:,} pixels")


def _pixels(key: str, side: Any) -> Interval:
    if side is None:
        return WHOLE
    match as_list(side):
        case [int() as start, int() as stop] if 0 <= start < stop:
            return Interval(start, stop)
        case _:
            raise RecipeError(f"{key}: {_short(side)} is no pair [first, one after the last] of whole numbers from 0, in ascending order")


def _short(value: object) -> str:
    return str(value)[:80]
