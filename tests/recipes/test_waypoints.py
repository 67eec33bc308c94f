"""What is made of a spec that is no product of lines: scanspec's own positions, or a refusal before anything is spent on it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scanspec.specs import Concat, Ellipse, Fly, Linspace, Polygon, Range, Spec, Spiral, Squash, Static, Zip

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.lattice import place
from wpb_stream.recipes.scanspecs import spec_of
from wpb_stream.recipes.waypoints import MAX_DEPTH, MAX_POINTS, MAX_VERTICES, REPETITION, positions_of

numbers = st.floats(-1e3, 1e3)
sides = st.floats(0.5, 8.0)


@st.composite
def rows(draw: st.DrawFn, axis: str) -> Spec[str]:
    """Points along one axis."""
    start = draw(numbers)
    line = draw(
        st.sampled_from(
            [
                Linspace(axis, start, start + draw(sides), draw(st.integers(1, 6))),
                Range(axis, start, start - draw(sides), draw(sides)),
                Static(axis, start, draw(st.integers(1, 3))),
                Concat(Linspace(axis, start, start + 1, 3), Linspace(axis, start + 2, start + 5, draw(st.integers(1, 4)))),
            ]
        )
    )
    return ~line if draw(st.booleans()) else line


@st.composite
def areas(draw: st.DrawFn) -> Spec[str]:
    """Points over two axes."""
    x, y, steps = draw(numbers), draw(numbers), draw(st.tuples(sides, sides))
    ways = {"snake": draw(st.booleans()), "vertical": draw(st.booleans())}
    corners = [(x + dx, y + dy) for dx, dy in draw(st.lists(st.tuples(sides, sides), min_size=3, max_size=6))]
    return draw(
        st.sampled_from(
            [
                Spiral("x", x, draw(sides), draw(sides), "y", y, draw(sides)),
                Ellipse("x", x, 2 * steps[0], steps[0] / 3, "y", y, 3 * steps[1], steps[1] / 2, **ways),
                Polygon("x", "y", [*corners, (x + 20.0, y), (x, y + 20.0)], steps[0], steps[1], **ways),
                draw(rows("y")) * draw(rows("x")),
                Squash(draw(rows("y")) * draw(rows("x")), check_path_changes=False),
                draw(rows("y")) * Zip(Linspace("x", x, x + 1, 4), Linspace("v", y, y - 1, 4)),
            ]
        )
    )


def specs() -> st.SearchStrategy[Spec[str]]:
    """Those alone, and as parts of others."""
    return st.one_of(
        areas(),
        st.builds(lambda outer, area: outer * area, rows("z"), areas()),
        st.builds(lambda times, area: times * area, st.integers(1, 3), areas()),
        st.builds(lambda area: Concat(area, area, check_path_changes=False), areas()),
        st.builds(lambda area, at: Zip(area, Static("w", at)), areas(), numbers),
        st.builds(lambda area: Fly(0.1 @ area), areas()),
    ).filter(possible)


def possible(spec: Spec[str]) -> bool:
    """Whether scanspec can run it: not if squashing part of it changes its path."""
    try:
        return len(spec.midpoints()) > 0
    except ValueError:
        return False


def midpoints(spec: Spec[str]) -> dict[str, np.ndarray]:
    """Point by point, as scanspec's documentation has it."""
    points = list(spec.midpoints())
    return {axis: np.array([point[axis] for point in points]) for axis in spec.axes()}


@settings(deadline=None)
@given(specs())
def test_positions_are_scanspecs_from_the_serialised_spec_and_from_its_text(spec: Spec[str]) -> None:
    wanted = midpoints(spec)
    for start in ({"scanspec": spec.serialize()}, {"plan_args": {"spec": repr(spec)}}):
        found = {axis: along for axis, along in positions_of(spec_of(start)).items() if not axis.startswith(REPETITION)}
        assert found.keys() == wanted.keys()
        for axis, along in wanted.items():
            assert found[axis].tolist() == along.tolist()


@settings(deadline=None)
@given(specs())
def test_each_point_is_in_the_cell_nearest_to_scanspecs_midpoint(spec: Spec[str]) -> None:
    wanted = midpoints(spec)
    made = place(positions_of(spec.serialize()))
    assert made.grid.points == len(spec.midpoints())
    where = np.unravel_index(made.grid.cells(range(made.grid.points)), made.grid.shape)
    for axis, length, index in zip(made.grid.axes, made.grid.shape, where, strict=True):
        if axis.name.startswith(REPETITION):
            continue
        assert axis.start is not None
        assert axis.stop is not None
        places = np.linspace(axis.start, axis.stop, length)
        off = np.abs(places[index] - wanted[axis.name])
        nearest = np.abs(places[:, None] - wanted[axis.name]).min(axis=0)
        rounding = 1e-6 * abs(axis.stop - axis.start) + 1e-9
        assert (off <= nearest + rounding).all()
        if not made.binned:
            assert (off <= rounding).all(), "each position has a place of its own"


def _indices(positions: np.ndarray, step: float) -> np.ndarray:
    return np.rint((positions - positions.min()) / step).astype(int)


@settings(deadline=None)
@given(numbers, numbers, st.floats(0.01, 10), st.floats(0.01, 10), st.integers(3, 12), st.integers(3, 12), st.booleans(), st.booleans())
def test_an_ellipse_over_a_grid_has_the_cells_of_its_grid(
    x: float, y: float, x_step: float, y_step: float, columns: int, rows: int, snake: bool, vertical: bool
) -> None:
    spec = Ellipse("x", x, columns * x_step, x_step, "y", y, rows * y_step, y_step, snake=snake, vertical=vertical)
    at = midpoints(spec)
    made = place(positions_of(spec.serialize()))
    index = {"x": _indices(at["x"], x_step), "y": _indices(at["y"], y_step)}
    order = ("x", "y") if vertical else ("y", "x")
    shape = tuple(int(index[axis].max()) + 1 for axis in order)
    assert (made.grid.shape, made.binned, made.repeated) == (shape, False, False)
    assert made.grid.cells(range(made.grid.points)).tolist() == np.ravel_multi_index(tuple(index[axis] for axis in order), shape).tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, sides, st.integers(2, 6), st.booleans()), min_size=2, max_size=3))
def test_a_squashed_grid_has_the_cells_of_the_grid(axes: list[tuple[float, float, int, bool]]) -> None:
    spec: Spec[str] | None = None
    for k, (start, length, num, snaked) in enumerate(axes):
        line = Linspace(str(k), start, start + length, num)
        along = ~line if snaked else line
        spec = along if spec is None else spec * along
    assert spec is not None
    grid = Grid(spec.shape(), tuple(Axis(str(k), snaking=snaked) for k, (_, _, _, snaked) in enumerate(axes)))
    made = place(positions_of(Squash(spec, check_path_changes=False).serialize()))
    assert (made.grid.shape, made.binned) == (grid.shape, False)
    assert made.grid.cells(range(grid.points)).tolist() == grid.cells(range(grid.points)).tolist()


def test_repetitions_are_an_axis_of_their_own_and_fall_not_upon_one_another() -> None:
    ellipse = Ellipse("x", 0, 4, 1, "y", 0, 3, 1)
    for spec, shape in ((2 * ellipse, (2, 4, 3)), (ellipse * 2, (4, 3, 2)), (ellipse * Static("z", 1.0, 2), (4, 3, 2))):
        made = place(positions_of(spec.serialize()))
        assert (made.grid.shape, made.repeated) == (shape, False)


def test_the_line_of_older_scanspecs_is_a_linspace_now() -> None:
    line = {"type": "Line", "axis": "x", "start": 0, "stop": 2, "num": 3}
    spec = {"type": "Concat", "left": line, "right": line | {"start": 3, "stop": 5}}
    assert positions_of(spec)["x"].tolist() == [0, 1, 2, 3, 4, 5]


LINE = {"type": "Linspace", "axis": "x", "start": 0, "stop": 1, "num": 3}
ROUND = {"x_axis": "x", "x_centre": 0, "x_diameter": 1, "x_step": 0.1, "y_axis": "y", "y_centre": 0, "y_diameter": 1}
SQUARE = {"type": "Polygon", "x_axis": "x", "y_axis": "y", "vertices": [[0, 0], [0, 1], [1, 1], [1, 0]], "x_step": 0.1, "y_step": 0.1}


def nested(depth: int) -> Mapping[str, Any]:
    spec: dict[str, Any] = LINE
    for _ in range(depth):
        spec = {"type": "Squash", "spec": spec}
    return spec


def product(num: int, times: int) -> Mapping[str, Any]:
    spec: dict[str, Any] = LINE
    for k in range(times):
        spec = {"type": "Product", "outer": LINE | {"axis": str(k), "num": num}, "inner": spec}
    return spec


def doubled(times: int) -> Mapping[str, Any]:
    """A spec that is small in memory, and of 2**times parts."""
    spec: dict[str, Any] = LINE
    for _ in range(times):
        spec = {"type": "Concat", "left": spec, "right": spec}
    return spec


@pytest.mark.parametrize(
    "spec",
    [
        *(LINE | {"num": num} for num in (10**12, 10**4000, MAX_POINTS + 1, 0, -5, 2.5, "3", True, None)),
        *(LINE | {"start": start} for start in (float("nan"), float("inf"), 10**4000, "0", None, [0], 1e200)),
        *(LINE | {"axis": axis} for axis in (None, "", 5, {}, {"name": 5}, ["x"])),
        *(nested(MAX_DEPTH), nested(1000), product(10**6, 3), product(1000, 40), doubled(30)),
        *({"type": "Product", "outer": outer, "inner": LINE} for outer in (10**12, 0, -3, 1.5, True, "2", None)),
        *({"type": "Zip", "left": LINE, "right": LINE | {"axis": "y", "num": num}} for num in (2, 10**9)),
        *({"type": "Zip", "left": LINE, "right": LINE}, {"type": "Concat", "left": LINE, "right": LINE | {"axis": "y"}}),
        *({"type": "Spiral", **ROUND, "x_step": step} for step in (0, 1e-9, 1e-300, float("inf"), None)),
        *({"type": "Ellipse", **ROUND, "x_step": step} for step in (0, -1, 1e-9, 1e-300, "1")),
        *({"type": "Ellipse", **ROUND, "x_diameter": diameter} for diameter in (1e99, float("nan"), None)),
        *({"type": "Range", "axis": "x", "start": 0, "stop": stop, "step": 1e-3} for stop in (1e9, 1e99)),
        {"type": "Range", "axis": "x", "start": 0, "stop": 0},
        *(SQUARE | {"vertices": corners} for corners in (None, [], [[0, 0]], [[0, 0], [1]], "abc", [[0, 0]] * (MAX_VERTICES + 1), 5)),
        *(SQUARE | {"x_step": step} for step in (1e-7, 1e-300, 0)),
        SQUARE | {"vertices": [[k % 7, k % 11] for k in range(MAX_VERTICES)], "x_step": 0.01, "y_step": 0.01},
        *({}, {"type": "Mask"}, {"type": ["Line"]}, {"type": "Spec"}, {"type": "ConstantDuration", "constant_duration": 0.1}),
        *({"type": "Squash"}, {"type": "Squash", "spec": "Linspace"}, {"type": "Snake", "spec": 3}),
        {"type": "ConstantDuration", "constant_duration": 10**4000, "spec": LINE},
    ],
)
def test_a_spec_that_is_too_large_or_none_is_refused_before_memory_is_spent(spec: Mapping[str, Any]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RecipeError, match="the plan's spec"):
            place_all(spec)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def place_all(spec: Mapping[str, Any]) -> None:
    if not positions_of(spec):
        raise RecipeError("the plan's spec moves nothing")


def test_a_spec_of_nearly_as_many_points_as_are_evaluated_is_placed() -> None:
    spec = Ellipse("x", 0, 990, 1, "y", 0, 990, 1, snake=True).serialize()
    assert place(positions_of(spec)).grid.shape == (991, 991)
