"""Where a point of a scan lands: as scanspec and Bluesky themselves say."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from bluesky.utils import snake_cyclers
from cycler import cycler
from hypothesis import given, settings
from hypothesis import strategies as st
from scanspec.core import Path
from scanspec.specs import Linspace

from wpb_stream.core.geometry import Axis, Grid, Scattered


def grid(shape: list[int], snaking: list[bool]) -> Grid:
    return Grid(tuple(shape), tuple(Axis(f"axis {k}", snaking=snakes) for k, snakes in enumerate(snaking)))


def axes() -> st.SearchStrategy[list[tuple[int, bool]]]:
    """Length of each axis, slow one first, and whether it snakes."""
    return st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=4)


@settings(deadline=None)
@given(axes())
def test_cells_are_those_that_scanspec_visits(axes: list[tuple[int, bool]]) -> None:
    shape, snaking = [length for length, _ in axes], [snakes for _, snakes in axes]
    specs = [Linspace(f"axis {k}", 0, length - 1, length) for k, length in enumerate(shape)]
    parts = [~spec if snakes else spec for spec, snakes in zip(specs, snaking, strict=True)]
    spec = parts[0]
    for part in parts[1:]:
        spec = spec * part
    points = Path(spec.calculate()).consume().midpoints
    visited = np.ravel_multi_index([np.rint(points[f"axis {k}"]).astype(int) for k in range(len(shape))], shape)
    assert grid(shape, snaking).cells(range(prod(shape))).tolist() == visited.tolist()


@settings(deadline=None)
@given(axes())
def test_cells_are_those_that_bluesky_visits(axes: list[tuple[int, bool]]) -> None:
    shape, snaking = [length for length, _ in axes], [False, *[snakes for _, snakes in axes[1:]]]
    cyclers = [cycler(f"axis {k}", range(length)) for k, length in enumerate(shape)]
    visited = [[step[f"axis {k}"] for k in range(len(shape))] for step in snake_cyclers(cyclers, snaking)]
    assert grid(shape, snaking).cells(range(prod(shape))).tolist() == np.ravel_multi_index(np.array(visited).T, shape).tolist()


@given(axes())
def test_every_cell_is_visited_once(axes: list[tuple[int, bool]]) -> None:
    made = grid([length for length, _ in axes], [snakes for _, snakes in axes])
    assert sorted(made.cells(range(made.size))) == list(range(made.size))


def test_a_snake_of_three_by_four_runs_back_in_its_second_row() -> None:
    assert grid([3, 4], [False, True]).cells(range(12)).tolist() == [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11]


def test_points_may_be_asked_in_any_order_and_shape() -> None:
    cells = grid([3, 4], [False, True]).cells([[5, 0], [11, 5]])
    assert cells.tolist() == [[6, 0], [11, 6]]
    assert cells.dtype == np.uint32
    assert grid([3, 4], [False, True]).cells([]).shape == (0,)


@pytest.mark.parametrize("points", [[-1], [12], [0, 2**40]])
def test_points_outside_the_grid_are_refused(points: list[int]) -> None:
    with pytest.raises(ValueError, match="outside a grid of 12"):
        grid([3, 4], [False, False]).cells(points)


@pytest.mark.parametrize(("shape", "axes"), [((), ()), ((3, 0), ("y", "x")), ((3, 4), ("y",)), ((-3,), ("y",))])
def test_a_grid_without_points_or_with_missing_axes_is_refused(shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="dimension"):
        Grid(shape, tuple(map(Axis, axes)))


def test_points_that_are_placed_one_by_one_are_where_they_were_placed() -> None:
    placed = Scattered((2, 3), (Axis("y"), Axis("x")), np.array([4, 0, 4, 5], np.uint32))
    assert (placed.size, placed.points) == (6, 4)
    assert placed.cells([[3, 0], [2, 2]]).tolist() == [[5, 4], [4, 4]]
    assert placed.cells([]).dtype == np.uint32
    assert placed.holding(100) is placed


@pytest.mark.parametrize("points", [[-1], [4], [0, 2**40]])
def test_points_that_were_not_planned_are_refused(points: list[int]) -> None:
    placed = Scattered((2, 3), (Axis("y"), Axis("x")), np.array([4, 0, 4, 5], np.uint32))
    with pytest.raises(ValueError, match="outside a plan of 4"):
        placed.cells(points)


@pytest.mark.parametrize("cells", [[], [6], [0, 2**31]])
def test_cells_outside_the_grid_are_refused(cells: list[int]) -> None:
    with pytest.raises(ValueError, match="do not lie in a grid of 6"):
        Scattered((2, 3), (Axis("y"), Axis("x")), np.array(cells, np.uint32))


def test_two_ways_over_one_lattice_are_not_equal() -> None:
    axes = (Axis("y"), Axis("x"))
    there, back = (Scattered((2, 2), axes, np.array(cells, np.uint32)) for cells in ([0, 1, 2, 3], [3, 2, 1, 0]))
    assert there != back
    assert there != Grid((2, 2), axes)
    assert there == Scattered((2, 2), axes, np.array([0, 1, 2, 3], np.uint32))
    assert len({there, Scattered((2, 2), axes, np.array([0, 1, 2, 3], np.uint32))}) == 1
