"""Regions of interest: clipped to the frame, or in parts of its sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.regions import WHOLE, Interval, Region, thirds


@given(st.builds(Interval, st.integers(-(2**63), 2**64), st.none() | st.integers(-(2**63), 2**64)), st.integers(0, 10_000))
def test_any_interval_lies_within_the_side(interval: Interval, length: int) -> None:
    start, stop = interval.resolve(length)
    assert 0 <= start <= stop <= length


@given(st.integers(0, 10_000))
def test_thirds_cover_the_height_without_overlap(height: int) -> None:
    bands = [region.resolve((height, 7))[0] for region in thirds()]
    assert [bands[0].start, *(band.stop for band in bands)] == [0, bands[1].start, bands[2].start, height]


def test_the_thirds_of_the_recorded_beamlines_camera_are_those_of_its_own_code() -> None:
    assert [region.resolve((1216, 1936)) for region in thirds()] == [
        (slice(0, 405), slice(0, 1936)),
        (slice(405, 810), slice(0, 1936)),
        (slice(810, 1216), slice(0, 1936)),
    ]


def test_a_region_without_bounds_is_the_whole_frame() -> None:
    assert Region("total").resolve((30, 40)) == (slice(0, 30), slice(0, 40))


@pytest.mark.parametrize(
    ("interval", "known", "unknown"),
    [(Interval(5, 100), [5, 30], [5, 100]), (Interval(1, 2, parts=3), [10, 20], ["1/3", "2/3"]), (WHOLE, [0, 30], [0, None])],
)
def test_a_region_is_described_in_pixels_once_the_frame_is_known(interval: Interval, known: list[int], unknown: list[object]) -> None:
    region = Region("red", rows=interval)
    assert region.describe((30, 40)) == {"rows": known, "columns": [0, 40]}
    assert region.describe() == {"rows": unknown, "columns": [0, None]}
