"""Limits of a channel: numpy's, of the finite values so far."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from wpb_stream.core.limits import MAX_SAMPLE, PERCENTS, RunningLimits


@given(
    npst.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e300, 1e300) | st.just(np.nan) | st.just(np.inf)),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_they_are_those_of_the_finite_values_however_the_column_grew(values: npt.NDArray[np.float64], steps: list[int]) -> None:
    running = RunningLimits()
    for rows in sorted({*(min(step, len(values)) for step in steps), len(values)}):
        finite = values[:rows][np.isfinite(values[:rows])]
        found = running.of(values[:rows])
        assert (found is None) == (not finite.size)
        if found is not None:
            assert (found.minimum, found.maximum) == (finite.min(), finite.max())
            assert found.percentiles == {str(percent): np.percentile(finite, percent) for percent in PERCENTS}


def test_of_many_values_the_lowest_and_highest_are_exact_and_percentiles_of_a_sample() -> None:
    values = np.arange(10 * MAX_SAMPLE + 3, dtype=np.float64)
    values[5] = 1e9
    running = RunningLimits()
    for rows in range(1000, len(values), 1000):
        running.of(values[:rows])
    found = running.of(values)
    assert found is not None
    assert (found.minimum, found.maximum) == (0.0, 1e9)
    assert found.percentiles["50"] == pytest.approx(len(values) / 2, rel=0.02)
    assert found.percentiles["99"] == pytest.approx(0.99 * len(values), rel=0.02)
