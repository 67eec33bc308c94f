"""Which pixels lie in a shape: against the definition, pixel by pixel, in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.regions import Interval, Region
from wpb_stream.core.shapes import MAX_COORDINATE, MIN_RADIUS, Annulus, Ellipse, Point, Polygon, Shape

frame_shapes = st.tuples(st.integers(1, 24), st.integers(1, 24))
quarters = st.integers(-40, 120).map(lambda k: k / 4)
points = st.tuples(quarters, quarters)
radii = st.integers(1, 60).map(lambda k: k / 4)
ellipses = st.builds(Ellipse, points, st.tuples(radii, radii))
annuli = st.builds(lambda centre, inner, width: Annulus(centre, inner, inner + width), points, st.just(0.0) | radii, radii)
polygons = st.lists(points, min_size=3, max_size=9).map(lambda vertices: Polygon(tuple(vertices)))
shapes = st.one_of(ellipses, annuli, polygons)


def full_mask(region: Region, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[region.resolve(shape)] = region.mask(shape)
    return mask


def lies_inside(shape: Shape, row: int, column: int) -> bool:
    """The definition, in exact arithmetic."""
    if isinstance(shape, Polygon):
        return crossings(shape.vertices, row, column) % 2 == 1
    assert isinstance(shape, (Ellipse, Annulus))
    dr, dc = (Fraction(place) - Fraction(middle) for place, middle in zip((row, column), shape.centre, strict=True))
    if isinstance(shape, Ellipse):
        return (dr / Fraction(shape.radii[0])) ** 2 + (dc / Fraction(shape.radii[1])) ** 2 <= 1
    return dr**2 + dc**2 <= Fraction(shape.outer) ** 2 and (not shape.inner or dr**2 + dc**2 > Fraction(shape.inner) ** 2)


def crossings(vertices: tuple[Point, ...], row: int, column: int) -> int:
    count = 0
    for (r0, c0), (r1, c1) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
        if (r0 <= row) != (r1 <= row):
            count += Fraction(c0) + (row - Fraction(r0)) * (Fraction(c1) - Fraction(c0)) / (Fraction(r1) - Fraction(r0)) <= column
    return count


@given(shapes, frame_shapes, st.booleans())
def test_a_pixel_belongs_to_a_shape_if_its_centre_lies_inside_and_else_to_its_complement(
    shape: Shape, frame_shape: tuple[int, int], outside: bool
) -> None:
    mask = full_mask(Region("a", shape=shape, outside=outside), frame_shape)
    assert mask.tolist() == [[lies_inside(shape, r, c) != outside for c in range(frame_shape[1])] for r in range(frame_shape[0])]


@given(
    st.builds(Interval, st.integers(0, 30), st.integers(0, 30)), st.builds(Interval, st.integers(0, 30), st.integers(0, 30)), frame_shapes
)
def test_what_lies_outside_a_rectangle_is_all_of_the_frame_but_it(rows: Interval, columns: Interval, frame_shape: tuple[int, int]) -> None:
    inside, outside = (full_mask(Region("a", rows, columns, outside=flag), frame_shape) for flag in (False, True))
    assert (inside != outside).all()


@given(st.tuples(*[st.integers(-5, 30)] * 4), frame_shapes)
def test_an_upright_polygon_with_whole_corners_is_the_half_open_rectangle(corners: tuple[int, ...], frame_shape: tuple[int, int]) -> None:
    (top, bottom), (left, right) = sorted(corners[:2]), sorted(corners[2:])
    polygon = Polygon(((top, left), (top, right), (bottom, right), (bottom, left)))
    rectangle = Region("a", Interval(top, bottom), Interval(left, right))
    assert (full_mask(Region("a", shape=polygon), frame_shape) == full_mask(rectangle, frame_shape)).all()


@given(points, points, points, points, frame_shapes)
def test_polygons_that_share_an_edge_share_no_pixel_and_leave_none_out(
    a: Point, b: Point, c: Point, d: Point, frame_shape: tuple[int, int]
) -> None:
    one, two, both = (full_mask(Region("a", shape=Polygon(corners)), frame_shape) for corners in ((a, b, c), (a, c, d), (a, b, c, d)))
    assert ((one ^ two) == both).all()


@given(points, radii, radii, frame_shapes)
def test_a_disk_and_the_ring_around_it_are_the_larger_disk(centre: Point, inner: float, width: float, frame_shape: tuple[int, int]) -> None:
    disk, ring, larger = (
        full_mask(Region("a", shape=shape), frame_shape)
        for shape in (Ellipse(centre, (inner, inner)), Annulus(centre, inner, inner + width), Ellipse(centre, (inner + width,) * 2))
    )
    assert not (disk & ring).any()
    assert ((disk | ring) == larger).all()


@pytest.mark.parametrize(
    "shape",
    [
        Ellipse((MAX_COORDINATE, -MAX_COORDINATE), (MAX_COORDINATE, MIN_RADIUS)),
        Ellipse((0, 0), (MIN_RADIUS, MIN_RADIUS)),
        Ellipse((5e-324, 0), (MIN_RADIUS, MAX_COORDINATE)),
        Annulus((-MAX_COORDINATE, 0), MAX_COORDINATE - 1, MAX_COORDINATE),
        Polygon(((0, 0), (5e-324, 5), (0, 9))),
        Polygon(((-MAX_COORDINATE, 0), (MAX_COORDINATE, MAX_COORDINATE), (MAX_COORDINATE, -MAX_COORDINATE))),
        Polygon(((2, 2), (2, 2), (2, 2))),
    ],
)
def test_the_ends_of_what_is_allowed_are_masked_as_defined(shape: Shape) -> None:
    mask = full_mask(Region("a", shape=shape), (6, 5))
    assert mask.tolist() == [[lies_inside(shape, r, c) for c in range(5)] for r in range(6)]


def test_a_shape_is_described_as_it_was_asked_for_with_the_rectangle_around_it() -> None:
    region = Region("a", shape=Ellipse((10, 20), (3, 4)), outside=True)
    assert region.describe() == {"rows": [0, None], "columns": [0, None], "ellipse": {"centre": [10, 20], "radii": [3, 4]}, "outside": True}
    assert region.describe((30, 22))["rows"] == [6, 15]
    assert region.describe((30, 22))["columns"] == [15, 22]
    assert Annulus((1, 2), 3, 4).describe() == {"annulus": {"centre": [1, 2], "inner": 3, "outer": 4}}
    assert Polygon(((0, 0), (0, 2), (2.5, 0))).describe() == {"polygon": [[0, 0], [0, 2], [2.5, 0]]}
