"""Statistics of a line of values, against what Bluesky's own callback makes of the same events."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from bluesky.callbacks.fitting import PeakStats
from hypothesis import assume, given
from hypothesis import strategies as st

from wpb_stream.core.peaks import peak_of


def of_bluesky(x: list[float], y: list[float]) -> Any:
    stats = PeakStats("x", "y")
    stats.start({"uid": "u", "time": 0.0})
    stats.descriptor({"uid": "d", "name": "primary", "data_keys": {}})
    for number, (position, value) in enumerate(zip(x, y, strict=True), 1):
        stats.event({"descriptor": "d", "seq_num": number, "data": {"x": position, "y": value}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a centre of mass of values that add up to zero
        stats.stop({"uid": "s", "run_start": "u"})
    return stats


values = st.lists(st.integers(-1000, 100_000), min_size=1, max_size=40)


@given(values, st.floats(-10, 10), st.floats(0.01, 5), st.booleans())
def test_it_is_what_bluesky_says(heights: list[int], first: float, step: float, backwards: bool) -> None:
    y = [float(height) for height in heights]
    assume(abs(sum(y)) > 1)
    x = [first + (-step if backwards else step) * k for k in range(len(y))]
    theirs, ours = of_bluesky(x, y), peak_of(np.array(x), np.array(y))
    assert ours is not None
    assert (ours.minimum, ours.maximum) == (tuple(theirs.min), tuple(theirs.max))
    assert ours.centre_of_mass == pytest.approx(theirs.com, rel=1e-9, abs=1e-9)
    assert list(ours.crossings) == pytest.approx([] if theirs.crossings is None else list(theirs.crossings), rel=1e-9, abs=1e-9)
    assert ours.centre == (None if theirs.cen is None else pytest.approx(theirs.cen, rel=1e-9, abs=1e-9))
    assert ours.fwhm == (None if theirs.fwhm is None else pytest.approx(theirs.fwhm, rel=1e-9, abs=1e-9))


def test_a_gaussian_has_its_centre_and_its_width() -> None:
    x = np.linspace(-5, 5, 1001)
    peak = peak_of(x, 100 * np.exp(-((x - 0.5) ** 2) / 2))
    assert peak is not None
    assert peak.maximum == (pytest.approx(0.5), pytest.approx(100.0))
    assert (peak.centre, peak.centre_of_mass) == (pytest.approx(0.5, abs=1e-3), pytest.approx(0.5, abs=1e-3))
    assert peak.fwhm == pytest.approx(2 * math.sqrt(2 * math.log(2)), abs=1e-3)


def test_points_that_were_not_measured_are_left_out() -> None:
    x, y = np.arange(6.0), np.array([1.0, np.nan, 5.0, 9.0, np.inf, 2.0])
    assert peak_of(x, y) == peak_of(x[[0, 2, 3, 5]], y[[0, 2, 3, 5]])
    assert peak_of(x, np.full(6, np.nan)) is None


def test_a_flat_line_and_one_of_zeros_have_no_width() -> None:
    flat, zeros = peak_of(np.arange(3.0), np.ones(3)), peak_of(np.arange(3.0), np.zeros(3))
    assert flat is not None
    assert zeros is not None
    assert (flat.crossings, flat.centre, flat.fwhm, flat.centre_of_mass) == ((), None, None, 1.0)
    assert math.isnan(zeros.centre_of_mass)
