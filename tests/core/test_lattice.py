"""How planned positions become cells of a map."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wpb_stream.core.geometry import MAX_CELLS
from wpb_stream.core.lattice import Placed, place


def placed(**positions: list[float]) -> Placed:
    return place({name: np.array(along, np.float64) for name, along in positions.items()})


def described(made: Placed) -> list[tuple[str, float | None, float | None]]:
    return [(axis.name, axis.start, axis.stop) for axis in made.grid.axes]


def test_each_position_of_a_part_of_a_grid_has_a_cell_of_its_own() -> None:
    made = placed(y=[2.0, 2.0, 3.0, 5.0], x=[-1.0, -0.5, -0.5, 0.5])
    assert (made.grid.shape, made.binned, made.repeated) == ((4, 4), False, False)
    assert described(made) == [("y", 2.0, 5.0), ("x", -1.0, 0.5)]
    assert made.grid.cells(range(4)).tolist() == [0, 1, 5, 15]


def test_steps_need_only_a_common_measure() -> None:
    made = placed(x=[0.0, 0.2, 0.5, 0.9, 1.1])
    assert (made.grid.shape, made.binned) == ((12,), False)
    assert made.grid.cells(range(5)).tolist() == [0, 2, 5, 9, 11]


def test_axes_that_stand_still_or_move_along_make_no_dimension() -> None:
    made = placed(t=[7.0] * 4, y=[0.0, 0.0, 1.0, 1.0], x=[0.0, 1.0, 0.0, 1.0], v=[5.0, 3.0, 5.0, 3.0])
    assert described(made) == [("y", 0.0, 1.0), ("x", 0.0, 1.0)]


def test_what_does_not_move_at_all_is_one_cell_of_its_first_axis() -> None:
    made = placed(y=[2.0, 2.0], x=[3.0, 3.0])
    assert (made.grid.shape, described(made), made.repeated) == ((1,), [("y", 2.0, 2.0)], True)


def test_positions_on_no_lattice_are_put_into_about_as_many_cells_as_there_are_points() -> None:
    turns = np.sqrt(np.arange(1, 401)) * 2.4
    made = place({"y": 3 * turns * np.cos(turns), "x": turns * np.sin(turns)})
    rows, columns = made.grid.shape
    assert made.binned
    assert 400 <= rows * columns <= 480
    assert 2.7 < rows / columns < 3.3, "cells are square"


def test_an_axis_with_few_positions_keeps_them_where_the_others_are_binned() -> None:
    turns = np.sqrt(np.arange(1, 101)) * 2.4
    made = place({"z": np.repeat([0.0, 0.1, 0.3], 100), "y": np.tile(turns * np.cos(turns), 3), "x": np.tile(turns * np.sin(turns), 3)})
    assert made.binned
    assert made.grid.shape[0] == 4
    assert set(made.grid.cells(range(300)) // prod(made.grid.shape[1:])) == {0, 1, 3}


def test_small_grids_far_from_one_another_are_not_given_all_that_is_between_them() -> None:
    far = placed(y=[0.0, 0.0, 1.0, 1.0, 1e4, 1e4], x=[0.0, 1.0, 0.0, 1.0, 1e5, 1e5 + 1])
    assert far.binned
    assert far.grid.size < 100


def test_one_position_twice_is_one_cell() -> None:
    made = placed(x=[0.0, 1.0, 2.0, 1.0, 0.0])
    assert (made.grid.shape, made.binned, made.repeated) == ((3,), False, True)
    assert made.grid.cells(range(5)).tolist() == [0, 1, 2, 1, 0]


@pytest.mark.parametrize("absurd", [[], [float("nan"), 1.0], [float("inf"), 0.0], [1e200, -1e200]])
def test_positions_that_are_none_are_refused(absurd: list[float]) -> None:
    with pytest.raises(ValueError, match="no positions"):
        placed(x=absurd, y=absurd)


def test_more_dimensions_than_a_map_may_have_are_refused() -> None:
    moved = np.eye(10)
    with pytest.raises(ValueError, match="move independently"):
        place({f"axis {k}": moved[k] for k in range(9)})


ways = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1e-300, 1e-9, 1e99, -1e99]), min_size=1, max_size=30)


@settings(deadline=None)
@given(st.lists(ways, min_size=1, max_size=4))
def test_each_point_is_in_the_cell_nearest_to_it_whatever_the_positions(wanted: list[list[float]]) -> None:
    points = min(map(len, wanted))
    positions = {str(k): np.array(along[:points]) for k, along in enumerate(wanted)}
    made = place(positions)
    assert made.grid.points == points
    assert made.grid.size <= MAX_CELLS
    where = np.unravel_index(made.grid.cells(range(points)), made.grid.shape)
    for axis, length, index in zip(made.grid.axes, made.grid.shape, where, strict=True):
        assert axis.start is not None
        assert axis.stop is not None
        places = np.linspace(axis.start, axis.stop, length)
        off = np.abs(places[index] - positions[axis.name])
        nearest = np.abs(places[:, None] - positions[axis.name]).min(axis=0)
        assert (off <= nearest + 1e-3 * abs(axis.stop - axis.start) / max(length - 1, 1) + 1e-12 * np.abs(places).max()).all()
