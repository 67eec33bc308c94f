"""Sums over regions: exact whatever the dtype, the strides and the overlap of the regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.reduction import region_sums
from wpb_stream.core.regions import Interval, Region, thirds

TOTAL = Region("total")
INTEGERS = ("u1", "<u2", ">u2", "<u4", "<u8", "i1", "<i2", "<i4", ">i4", "<i8", "?")


def intervals() -> st.SearchStrategy[Interval]:
    edge = st.integers(0, 70)
    return st.one_of(st.just(Interval()), st.builds(Interval, edge, edge), st.builds(Interval, st.just(1), st.just(2), st.just(3)))


def regions() -> st.SearchStrategy[tuple[Region, ...]]:
    return st.lists(st.builds(Region, st.just("r"), intervals(), intervals()), max_size=6).map(tuple)


def seen(frame: np.ndarray, way: int) -> np.ndarray:
    """The same kind of frame with other strides."""
    return (frame, frame[::-1], frame[:, ::-2], frame[1:, 1:], frame.T, np.asfortranarray(frame))[way]


def python_sum(frame: np.ndarray, region: Region) -> int:
    return sum(int(value) for value in frame[region.resolve(frame.shape)].ravel().tolist())  # type: ignore[arg-type]


@given(st.sampled_from(INTEGERS), st.tuples(st.integers(1, 66), st.integers(1, 66)), st.integers(0, 5), st.integers(0, 2**32), regions())
def test_sums_of_integers_are_those_of_python_whatever_the_dtype_the_strides_and_the_regions(
    dtype: str, shape: tuple[int, int], way: int, seed: int, wanted: tuple[Region, ...]
) -> None:
    raw = np.random.default_rng(seed).bytes(shape[0] * shape[1] * np.dtype(dtype).itemsize)
    frame = np.frombuffer(raw, dtype).reshape(shape)
    if dtype == "?":
        frame = np.frombuffer(raw, "u1").reshape(shape) > 127
    elif np.dtype(dtype).itemsize == 8:
        frame = frame >> 25  # what lies above 2**53 is the next tests' matter
    view = seen(frame, way)
    assert region_sums(view, wanted) == [python_sum(view, region) for region in wanted]


@given(npst.arrays(np.uint16, st.tuples(st.integers(1, 80), st.integers(1, 300)), elements=st.sampled_from([0, 65535])))
def test_bands_and_total_agree_with_numpy_at_the_ends_of_the_range(frame: np.ndarray) -> None:
    wanted = (*thirds(), TOTAL)
    assert region_sums(frame, wanted) == [int(frame[region.resolve(frame.shape)].sum(dtype=np.uint64)) for region in wanted]


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_saturated_large_frame_does_not_overflow(dtype: str) -> None:
    frame = np.full((5000, 4100), np.iinfo(dtype).max, dtype)
    assert region_sums(frame, (TOTAL,)) == [frame.size * np.iinfo(dtype).max]


def test_floating_point_frames_are_summed_in_float64() -> None:
    frame = np.full((3, 4), 0.1, np.float32)
    assert region_sums(frame, (TOTAL,)) == [float(frame.sum(dtype=np.float64))]


def test_a_read_only_frame_can_be_summed() -> None:
    frame = np.frombuffer(bytes(range(12)), np.uint8).reshape(3, 4)
    assert region_sums(frame, thirds()) == [6.0, 22.0, 38.0]


def test_a_region_outside_the_frame_is_zero() -> None:
    assert region_sums(np.ones((2, 2), np.uint8), (Region("off", rows=Interval(5, 9)),)) == [0.0]


def test_a_sum_that_float64_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(FrameBroken, match=r"'total'.*2\*\*53"):
        region_sums(np.full((1, 1), 2**53 + 1, np.int64), (TOTAL,))


@pytest.mark.parametrize(("dtype", "value"), [("i8", 2**62), ("i8", -(2**62)), ("u8", 2**63)])
def test_a_sum_beyond_64_bits_is_refused_rather_than_wrapped(dtype: str, value: int) -> None:
    with pytest.raises(FrameBroken, match=str(4 * value)):
        region_sums(np.full((2, 2), value, dtype), (TOTAL,))


@pytest.mark.parametrize("frame", [np.zeros(3), np.zeros((1, 2, 2)), np.zeros((2, 2), complex), np.zeros((2, 2), "S3")])
def test_what_is_no_frame_of_numbers_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(FrameBroken, match="two-dimensional numbers"):
        region_sums(frame, (TOTAL,))
