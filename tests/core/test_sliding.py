"""Sliding means: what a plain average along the path of the scan is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.geometry import Axis, Grid, Scattered
from wpb_stream.core.sliding import SlidingMeans

SNAKING = Grid((3, 4), (Axis("y"), Axis("x", snaking=True)))


def along(grid: Grid, values: list[float]) -> np.ndarray:
    """The map of values that were measured in this order."""
    made = np.full(grid.size, np.nan)
    made[grid.cells(np.arange(len(values)))] = values
    return made.reshape(grid.shape)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=1, max_size=12), st.integers(2, 20))
def test_each_point_is_averaged_with_those_before_it_on_the_path(values: list[float], points: int) -> None:
    found = SlidingMeans(points, ("total",)).arrays({"total": along(SNAKING, values)}, SNAKING)["sliding.total"]
    expected = []
    for last, value in enumerate(values):
        window = [each for each in values[max(0, last + 1 - points) : last + 1] if np.isfinite(each)]
        expected.append(sum(window) / len(window) if np.isfinite(value) else np.nan)
    np.testing.assert_allclose(found, along(SNAKING, expected), rtol=1e-9, atol=1e-6)


def test_a_path_of_its_own_is_followed() -> None:
    grid = Scattered((1, 4), (Axis("y"), Axis("x")), np.array([3, 0, 2], np.uint32))
    found = SlidingMeans(2, ("total",)).arrays({"total": np.array([[5.0, np.nan, 9.0, 1.0]])}, grid)["sliding.total"]
    np.testing.assert_array_equal(found, [[3.0, np.nan, 7.0, 1.0]])


def test_a_channel_that_is_not_there_gives_nothing_but_gaps() -> None:
    made = SlidingMeans(2, ("total", "other")).arrays({"total": np.ones((3, 4))}, SNAKING)
    assert list(made) == ["sliding.total", "sliding.other"]
    assert np.isnan(made["sliding.other"]).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_what_is_not_finite_counts_nowhere(value: float) -> None:
    found = SlidingMeans(3, ("total",)).arrays({"total": along(SNAKING, [1.0, value, 3.0])}, SNAKING)["sliding.total"]
    np.testing.assert_array_equal(found, along(SNAKING, [1.0, np.nan, 2.0]))
