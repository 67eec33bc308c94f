"""The table of points, and the maps scattered from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.table import PointTable, scatter, table_dtype


def test_rows_are_laid_out_as_the_feed_sends_them() -> None:
    table = PointTable(["red", "total"])
    table.append([0, 1], [1, 0], np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert table.data.dtype == np.dtype([("point", "<u4"), ("cell", "<u4"), ("red", "<f8"), ("total", "<f8")])
    assert table.data.tolist() == [(0, 1, 1.0, 2.0), (1, 0, 3.0, 4.0)]
    assert table.rows == 2


@given(st.lists(st.lists(st.floats(allow_nan=False), max_size=5), max_size=8), st.integers(0, 4))
def test_views_handed_out_stay_true_while_the_table_grows(batches: list[list[float]], capacity: int) -> None:
    table, expected, views = PointTable(["a"], capacity), [], []
    for values in batches:
        points = range(table.rows, table.rows + len(values))
        table.append(points, points, np.array(values).reshape(-1, 1))
        expected += [(point, point, value) for point, value in zip(points, values, strict=True)]
        views.append((table.data, expected.copy()))
    for view, then in views:
        assert view.tolist() == then


def test_rows_cannot_be_changed_through_a_view() -> None:
    table = PointTable(["a"])
    table.append([0], [0], np.ones((1, 1)))
    with pytest.raises(ValueError, match="read-only"):
        table.data["a"] = 2.0
    table.append([1], [1], np.ones((1, 1)))
    assert table.rows == 2


def test_cells_that_were_not_measured_hold_nan() -> None:
    made = scatter(np.array([3], np.uint32), np.array([7.0]), (2, 3))
    assert made.shape == (2, 3)
    assert made[1, 0] == 7.0
    assert np.isnan(made.ravel()[[0, 1, 2, 4, 5]]).all()
    assert np.isnan(scatter(np.array([], np.uint32), np.array([]), (2, 2))).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.floats()), max_size=50))
def test_the_last_row_of_a_cell_wins(rows: list[tuple[int, float]]) -> None:
    made = scatter(np.array([cell for cell, _ in rows], np.uint32), np.array([value for _, value in rows], float), (2, 3))
    last = dict(rows)
    expected = np.array([last.get(cell, np.nan) for cell in range(6)]).reshape(2, 3)
    assert np.array_equal(made, expected, equal_nan=True)


def test_each_channel_has_its_map() -> None:
    table = PointTable(["red", "total"])
    table.append([0, 1], [1, 0], np.array([[1.0, 2.0], [3.0, 4.0]]))
    maps = table.maps([2])
    assert {name: values.tolist() for name, values in maps.items()} == {"red": [3.0, 1.0], "total": [4.0, 2.0]}


def test_a_table_is_made_again_from_its_rows() -> None:
    table = PointTable(["a"])
    table.append([0, 1], [1, 0], np.array([[1.0], [2.0]]))
    again = PointTable.from_array(table.data)
    assert again.channels == ("a",)
    again.append([2], [2], np.array([[3.0]]))
    assert again.data["a"].tolist() == [1.0, 2.0, 3.0]
    assert table.rows == 2


@pytest.mark.parametrize("data", [np.zeros(3), np.zeros(3, [("point", "<u4"), ("cell", "<u8"), ("a", "<f8")])])
def test_an_array_of_another_layout_is_refused(data: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not the rows of a point table"):
        PointTable.from_array(data)


def test_a_row_of_four_channels_takes_forty_bytes() -> None:
    assert table_dtype(["red", "green", "blue", "total"]).itemsize == 40
