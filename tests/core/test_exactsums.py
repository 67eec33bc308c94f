"""Sums that do not depend on the order: against Python's own exact sum."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wpb_stream.core.exactsums import LARGEST, ExactSums

VALUES = st.lists(
    st.floats(-1e18, 1e18, allow_subnormal=False) | st.floats(-1e-3, 1e-3) | st.integers(-(2**40), 2**40), min_size=1, max_size=40
)


def summed(values: list[float], parts: int = 1) -> float:
    whole = ExactSums((1,))
    for k in range(parts):
        part = ExactSums((1,))
        for value in values[k::parts]:
            part.add(np.array([value], np.float64))
        whole.merge(part)
    return float(whole.total()[0])


@given(VALUES, st.randoms(), st.integers(1, 5))
@example([1e16, 1.0, -1e16, 2.0**-40], Random(1), 2)
def test_no_order_and_no_parting_changes_a_bit(values: list[float], random: Random, parts: int) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert np.float64(summed(shuffled, parts)).tobytes() == np.float64(summed(values)).tobytes()


@given(VALUES)
def test_the_sum_is_the_exact_one_rounded(values: list[float]) -> None:
    exact = math.fsum(map(float, values))
    assert summed(values) == pytest.approx(exact, rel=4e-16, abs=len(values) * 2.0**-65)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, LARGEST])
def test_what_cannot_be_summed_is_no_number_and_leaves_the_others(value: float) -> None:
    sums = ExactSums((2,))
    sums.add(np.array([value, 1.5]))
    sums.add(np.array([1.0, 2.25]))
    total = sums.total()
    assert math.isnan(total[0])
    assert total[1] == 3.75
