"""Net counts of elements: exact where the formula lets them be, and equal to that formula written out in fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import BadPixels
from wpb_stream.core.regions import Interval
from wpb_stream.core.spectra import ElementCounts, ElementWindow

windows = st.tuples(st.integers(0, 45), st.integers(1, 12)).map(lambda told: Interval(told[0], sum(told)))
elements = st.builds(ElementWindow, st.just("Fe"), windows, st.lists(windows, max_size=2).map(tuple))
pixels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 44)), max_size=20)


@given(
    st.lists(elements, min_size=1, max_size=4),
    pixels,
    st.sampled_from(["u1", "<u2", "<u4", "<f4"]),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_net_counts_are_those_of_the_formula_in_fractions(
    wanted: list[ElementWindow], bad: list[tuple[int, int]], dtype: str, count: int, seed: int
) -> None:
    frames = [np.random.default_rng(seed + k).integers(0, 200, (4, 40)).astype(dtype) for k in range(count)]

    def counted(channels: Interval) -> list[Fraction]:
        assert channels.stop is not None
        places = [(row, k) for row in range(4) for k in range(channels.start, min(channels.stop, 40)) if (row, k) not in bad]
        return [Fraction(frame[place].item()) for frame in frames for place in places]

    found = ElementCounts(tuple(wanted), BadPixels.of(bad)).values(iter(frames))
    for element, net in zip(wanted, found, strict=False):
        gross, beside = counted(element.window), [counted(one) for one in element.background]
        if not gross or not all(beside):
            assert math.isnan(net)
        elif not beside:
            assert net == sum(gross)
        else:
            right = sum(gross) - len(gross) * sum(Fraction(sum(one), len(one)) for one in beside) / len(beside)
            assert net == pytest.approx(float(right), rel=1e-13, abs=1e-11 * max(1.0, float(sum(gross))))
    assert found[-1] == sum(counted(Interval(0, 40)))


def test_a_line_on_a_sloping_background_gives_the_counts_of_the_line_alone() -> None:
    spectrum = np.arange(1000, 3000, 2, dtype=np.uint32)[np.newaxis]
    spectrum[0, 500:520] += np.array([3, 9, 30, 100, 300, 700, 999, 1000, 1000, 1000] * 2, np.uint32)
    element = ElementWindow("Fe", Interval(495, 525), (Interval(480, 490), Interval(530, 540)))
    assert ElementCounts((element,)).values([spectrum])[0] == 2 * 5141


def test_a_detector_element_that_is_switched_off_counts_nowhere() -> None:
    frame = np.ones((2, 20), np.uint16)
    frame[1] = 50_000
    element = ElementWindow("Fe", Interval(5, 10), (Interval(0, 4),))
    off = BadPixels.of((1, k) for k in range(20))
    assert ElementCounts((element,), off).values([frame]) == [0.0, 20.0]


def test_more_counts_than_float64_holds_are_refused() -> None:
    with pytest.raises(FrameBroken, match="2\\*\\*53"):
        ElementCounts((ElementWindow("Fe", Interval(0, 2)),)).values([np.full((1, 4), 2**53, np.uint64)])
