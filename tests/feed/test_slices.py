"""What is kept of slices that nobody can ask for any more."""

from __future__ import annotations

from tests.feed.test_subscription import reconstruction
from wpb_stream.feed.subscription import SWEEP_SLICES, Slices


def test_slices_of_tables_that_are_gone_are_let_go_and_those_of_living_ones_kept() -> None:
    slices, living = Slices(), reconstruction(rows=10)
    first = slices.encoded(living, 1, ("total",), 0, 10)
    for _ in range(10 * SWEEP_SLICES):
        slices.encoded(reconstruction(rows=10), 1, ("total",), 0, 10)
    assert len(slices._kept) <= SWEEP_SLICES + 2
    assert slices._bytes == sum(map(len, slices._kept.values()))
    assert slices.encoded(living, 1, ("total",), 0, 10) is first
