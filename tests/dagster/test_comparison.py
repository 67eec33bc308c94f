"""Two maps compared to the last bit."""

from __future__ import annotations

import numpy as np

from wpb_dagster.comparison import FIRST_SHOWN, differences


def grid() -> np.ndarray:
    values = np.arange(12.0).reshape(3, 4)
    values[2, 3] = np.nan
    return values


def test_equal_maps_with_the_same_cells_missing_have_no_difference() -> None:
    assert differences({"red": grid()}, {"red": grid()}) == []


def test_one_nan_equals_another_whatever_its_payload() -> None:
    live, batch = grid(), grid()
    live.view(np.uint64)[2, 3] = 0xFFF8000000000001
    assert differences({"red": live}, {"red": batch}) == []


def test_the_last_bit_of_one_cell_is_a_difference_and_the_cell_is_named() -> None:
    live, batch = grid(), grid()
    batch[1, 2] = np.nextafter(batch[1, 2], 7)
    (found,) = differences({"red": live, "total": live}, {"red": batch, "total": live})
    assert (found.channel, found.cells, found.first) == ("red", 1, [((1, 2), 6.0, batch[1, 2])])


def test_minus_zero_is_not_zero() -> None:
    live, batch = grid(), grid()
    batch[0, 0] = -0.0
    assert differences({"red": live}, {"red": batch})[0].cells == 1


def test_a_cell_measured_in_one_map_alone_is_counted_as_such() -> None:
    live, batch = grid(), grid()
    live[0, 1] = np.nan
    batch[0, 2] = np.nan
    (found,) = differences({"red": live}, {"red": batch})
    assert (found.cells, found.only_live, found.only_batch) == (2, 1, 1)


def test_of_many_differences_the_first_few_are_shown() -> None:
    (found,) = differences({"red": grid()}, {"red": grid() + 1})
    assert (found.cells, len(found.first)) == (11, FIRST_SHOWN)
