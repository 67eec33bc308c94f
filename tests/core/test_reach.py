"""Which points of a run have been announced, with which frames."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.reach import Reach

AXES = (Axis("y"), Axis("x"))
announced = st.tuples(st.integers(0, 9), st.lists(st.integers(0, 5), max_size=4))


def reach(*, grows: bool = False) -> Reach:
    return Reach(Grid((2, 3), AXES), grows)


def test_of_two_frames_of_a_point_the_one_with_the_higher_version_is_newer_and_one_that_comes_again_is_not() -> None:
    run = reach()
    assert run.take(1, np.array([4, 0, 7])) == [0, 1, 2]
    assert run.take(0, np.array([4, 4, 1, 7])) == [0, 2]


@given(st.lists(announced, max_size=12))
def test_it_gives_what_a_table_of_the_newest_would(documents: list[tuple[int, list[int]]]) -> None:
    run, newest = reach(), dict[int, int]()
    for first, versions in documents:
        expected = [k for k, version in enumerate(versions) if first + k < 6 and version > newest.get(first + k, -1)]
        newest |= {first + k: versions[k] for k in expected}
        assert run.take(first, np.array(versions, np.int64)) == expected
    furthest = max((first + len(versions) for first, versions in documents), default=0)
    assert (run.overrun is not None) == (furthest > 6)
    assert (run.lacks(0) is not None) == (len(newest) < min(furthest, 6))


def test_a_grid_that_may_grow_does_so_ahead_of_its_points_and_ends_with_the_last_of_them() -> None:
    run = reach(grows=True)
    assert run.take(6, np.array([0])) == [0]
    assert run.grid is not None
    assert run.grid.shape == (4, 3)
    run.conclude()
    assert run.grid.shape == (3, 3)
    assert run.overrun is None
    fixed = reach()
    fixed.conclude()
    assert fixed.grid == Grid((2, 3), AXES)


def test_points_that_are_missing_are_counted() -> None:
    run = reach()
    run.take(0, np.array([1, 1]))
    assert run.lacks(2) is None
    assert "counts more points than were announced" in (run.lacks(3) or "")
    run.take(4, np.array([1]))
    assert run.lacks(3) == "For 2 of the 5 points up to the last one no document announced a frame."
    run.take(2, np.array([1] * 6))
    run.take(6, np.array([1]))
    assert run.lacks(8) is None, "those beyond the grid count for the end"


def test_without_a_grid_no_point_is_taken() -> None:
    run = Reach(None, grows=False)
    assert run.take(0, np.array([1])) == []
    run.conclude()
    assert (run.grid, run.overrun, run.lacks(0)) == (None, None, None)
