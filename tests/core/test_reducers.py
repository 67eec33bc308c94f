"""Statistics of regions, against numpy picking out the same pixels one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_reduction import seen
from tests.core.test_shapes import frame_shapes, full_mask, shapes
from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import NO_BAD_PIXELS, Areas, BadPixels, area_of
from wpb_stream.core.moments import CentreOfMass
from wpb_stream.core.reducers import Measure, Reducer, RegionStatistics, RegionSums, Statistic
from wpb_stream.core.regions import Interval, Region
from wpb_stream.core.shapes import Ellipse

DTYPES = ("u1", "<u2", ">u2", "<i4", "<u8", "?", "<f4")
TOLERANCE = 1e-12
"""Relative to the sum of magnitudes, for floating-point frames: what float64 sums of up to 576 pixels in any order may differ by."""

sides = st.just(Interval()) | st.builds(Interval, st.integers(0, 24), st.integers(0, 24))
rectangles = st.builds(Region, st.just("a"), sides, sides, outside=st.booleans())
regions = rectangles | st.builds(lambda shape, outside: Region("a", shape=shape, outside=outside), shapes, st.booleans())
bad_pixels = st.lists(st.tuples(st.integers(0, 26), st.integers(0, 26)), max_size=6).map(BadPixels.of)
thresholds = st.sampled_from([-1.5, 0, 0.5, 100, 127.25, 254.9, 70000, 1e300])
WHOLE = Region("total")


def frames_of(dtype: str, shape: tuple[int, int], count: int, seed: int, way: int = 0) -> list[np.ndarray]:
    """Random frames; the 64-bit ones small enough for their sum to be told exactly."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return [seen((rng.standard_normal(shape) * 100).astype(dtype), way) for _ in range(count)]
    top = {"?": 2}.get(dtype, 2 ** min(8 * np.dtype(dtype).itemsize, 32) // (2 if "i" in dtype else 1))
    low = -top if "i" in dtype else 0
    return [seen(rng.integers(low, top, shape).astype(dtype), way) for _ in range(count)]


def picked(frame: np.ndarray, region: Region, bad: BadPixels) -> list[Any]:
    """The pixels that count, as Python's numbers."""
    mask = full_mask(region, frame.shape)  # type: ignore[arg-type]
    for row, column in np.frombuffer(bad.packed, np.int32).reshape(-1, 2).tolist():
        if row < mask.shape[0] and column < mask.shape[1]:
            mask[row, column] = False
    return frame[mask].tolist()


def expected(frames: list[np.ndarray], measure: Measure, bad: BadPixels) -> Fraction | float:
    values = [value for frame in frames for value in picked(frame, measure.region, bad)]
    match measure.statistic:
        case Statistic.SUM:
            return sum(map(Fraction, values), Fraction())
        case Statistic.MEAN:
            return sum(map(Fraction, values), Fraction()) / len(values) if values else math.nan
        case Statistic.MAXIMUM:
            return max(values, default=math.nan)
        case Statistic.ABOVE:
            return sum(value > measure.threshold for value in values)


@given(
    st.sampled_from(DTYPES), frame_shapes, st.integers(1, 3), st.integers(0, 2**32), st.integers(0, 5),
    st.lists(st.builds(Measure, regions, st.sampled_from(Statistic), thresholds), max_size=5), bad_pixels,
)  # fmt: skip
def test_every_statistic_of_every_shape_is_what_python_makes_of_the_pixels_inside(
    dtype: str, shape: tuple[int, int], count: int, seed: int, way: int, measures: list[Measure], bad: BadPixels
) -> None:
    frames = frames_of(dtype, shape, count, seed, way)
    found = RegionStatistics(tuple(measures), bad).values(iter(frames))
    assert len(found) == len(measures)
    for value, measure in zip(found, measures, strict=True):
        right = float(expected(frames, measure, bad))
        if dtype == "<f4" and measure.statistic in (Statistic.SUM, Statistic.MEAN):
            scale = sum(float(np.abs(frame, dtype="f8").sum()) for frame in frames)
            assert value == pytest.approx(right, abs=TOLERANCE * scale, nan_ok=True)
        else:
            assert value == right or (math.isnan(value) and math.isnan(right))


@given(st.sampled_from(DTYPES), frame_shapes, st.integers(1, 3), st.integers(0, 2**32), st.lists(regions, max_size=5))
def test_sums_alone_are_to_the_bit_what_statistics_make_of_them(
    dtype: str, shape: tuple[int, int], count: int, seed: int, wanted: list[Region]
) -> None:
    frames = frames_of(dtype, shape, count, seed)
    alone = RegionSums(tuple(wanted)).values(frames)
    assert alone == RegionStatistics(tuple(Measure(region) for region in wanted)).values(frames)


@given(st.sampled_from(DTYPES), frame_shapes, st.integers(1, 3), st.integers(0, 2**32), st.integers(0, 5), regions, bad_pixels)
def test_the_centre_of_mass_is_the_quotient_of_exact_sums(
    dtype: str, shape: tuple[int, int], count: int, seed: int, way: int, region: Region, bad: BadPixels
) -> None:
    frames = [abs(frame) if dtype == "<f4" else frame for frame in frames_of(dtype, shape, count, seed, way)]
    mask = full_mask(region, frames[0].shape)  # type: ignore[arg-type]
    for row, column in np.frombuffer(bad.packed, np.int32).reshape(-1, 2).tolist():
        if row < mask.shape[0] and column < mask.shape[1]:
            mask[row, column] = False
    places = np.argwhere(mask).tolist()
    counts = [sum(Fraction(frame[row, column].item()) for frame in frames) for row, column in places]
    total = sum(counts, Fraction())
    right = [float(sum((place[axis] * n for place, n in zip(places, counts, strict=True)), Fraction()) / total) if total else math.nan
             for axis in (0, 1)]  # fmt: skip
    found = CentreOfMass(region, bad).values(iter(frames))
    if dtype == "<f4":
        assert found == pytest.approx([*right, float(total)], rel=TOLERANCE, abs=TOLERANCE, nan_ok=True)
    else:
        assert [*found] == [*right, float(total)] or (not total and math.isnan(found[0]) and math.isnan(found[1]) and found[2] == 0)


def test_the_centre_of_a_single_lit_pixel_is_its_row_and_column_in_the_whole_frame() -> None:
    frame = np.zeros((40, 50), np.uint16)
    frame[31, 42] = 7
    assert CentreOfMass(Region("total", shape=Ellipse((30, 40), (5, 5)))).values([frame]) == (31.0, 42.0, 7.0)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_a_frame_without_counts_has_no_centre(dtype: str) -> None:
    row, column, total = CentreOfMass(WHOLE).values([np.zeros((3, 4), dtype)])
    assert math.isnan(row)
    assert math.isnan(column)
    assert total == 0


@pytest.mark.parametrize(("dtype", "value"), [("u8", 2**63), ("i8", -(2**62)), ("u4", 2**32 - 1)])
def test_moments_beyond_64_bits_are_refused_or_exact_but_never_wrapped(dtype: str, value: int) -> None:
    frame = np.full((2, 3000), value, dtype)
    if dtype == "u4":
        assert CentreOfMass(WHOLE).values([frame]) == (0.5, 1499.5, float(6000 * value))
    else:
        with pytest.raises(FrameBroken, match=str(6000 * value)):
            CentreOfMass(WHOLE).values([frame])


# --- the rules that are stated ---

FRAMES = [np.array([[1, 2], [3, 40]], np.uint8), np.array([[5, 50], [7, 60]], np.uint8)]
LEFT = Region("left", columns=Interval(0, 1))


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        (Measure(LEFT), 16.0),
        (Measure(LEFT, Statistic.MEAN), 4.0),
        (Measure(LEFT, Statistic.MAXIMUM), 7.0),
        (Measure(WHOLE, Statistic.ABOVE, 39), 3.0),
        (Measure(WHOLE, Statistic.ABOVE, 40), 2.0),
        (Measure(WHOLE, Statistic.ABOVE, 2.5), 6.0),
    ],
)
def test_several_frames_a_point_make_one_value(measure: Measure, value: float) -> None:
    assert RegionStatistics((measure,)).values(FRAMES) == [value]


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
@pytest.mark.parametrize("region", [Region("off", rows=Interval(5, 9)), Region("off", shape=Ellipse((50, 50), (2, 2)))])
def test_a_region_without_pixels_in_the_frame_sums_up_to_nothing_and_has_no_mean_and_no_maximum(dtype: str, region: Region) -> None:
    measures = [Measure(region, statistic, 0.0) for statistic in Statistic]
    total, mean, maximum, above = RegionStatistics(tuple(measures)).values([np.ones((2, 2), dtype)])
    assert (total, above) == (0, 0)
    assert math.isnan(mean)
    assert math.isnan(maximum)


def test_pixels_that_are_no_number_count_nowhere_once_they_are_outside_or_bad() -> None:
    frame = np.array([[np.nan, np.inf], [1, 2]], np.float32)
    bad, measures = BadPixels.of([(0, 0), (0, 1)]), tuple(Measure(WHOLE, statistic, 1.5) for statistic in Statistic)
    assert RegionStatistics(measures, bad).values([frame]) == [3.0, 1.5, 2.0, 1.0]
    assert CentreOfMass(WHOLE, bad).values([frame]) == (1.0, 2 / 3, 3.0)
    lower = Region("a", shape=Ellipse((1, 0.5), (0.6, 0.6)))
    assert RegionStatistics((Measure(lower), Measure(lower, Statistic.MAXIMUM))).values([frame]) == [3.0, 2.0]


@pytest.mark.parametrize("order", [1, -1])
def test_a_maximum_that_is_no_number_stays_so_over_the_frames_of_a_point(order: int) -> None:
    frames = [np.array([[np.nan]], np.float32), np.array([[1.0]], np.float32)][::order]
    assert math.isnan(RegionStatistics((Measure(WHOLE, Statistic.MAXIMUM),)).values(frames)[0])


@pytest.mark.parametrize(
    ("pixel", "threshold", "above"),
    [
        (np.uint64(2**63 + 1), 2**63, 1),
        (np.uint64(2**63 + 1), 2.0**63, 1),
        (np.int64(2**53 + 1), 2**53, 1),
        (np.float32(0.1), 0.1, 1),
        (np.uint8(255), 1e300, 0),
        (np.uint8(0), -1e300, 1),
        (np.float32(3e38), 1e300, 0),
    ],
)
def test_neither_pixel_nor_threshold_is_rounded_before_they_are_compared(pixel: np.generic, threshold: float, above: int) -> None:
    assert RegionStatistics((Measure(WHOLE, Statistic.ABOVE, threshold),)).values([np.full((1, 1), pixel)]) == [above]


def test_values_that_float64_cannot_hold_are_refused_by_name_but_a_mean_is_not() -> None:
    frame = np.full((1, 2), 2**53 + 2, np.int64)
    for statistic in (Statistic.SUM, Statistic.MAXIMUM):
        with pytest.raises(FrameBroken, match=r"'total'.*2\*\*53"):
            RegionStatistics((Measure(WHOLE, statistic),)).values([frame + 1])
    assert RegionStatistics((Measure(WHOLE, Statistic.MEAN),)).values([frame]) == [2.0**53 + 2]


@pytest.mark.parametrize("make", [lambda: RegionStatistics((Measure(WHOLE),)), lambda: CentreOfMass(WHOLE)])
def test_what_is_no_frame_of_numbers_is_refused(make: Callable[[], Reducer]) -> None:
    with pytest.raises(FrameBroken, match="two-dimensional numbers"):
        make().values([np.zeros((2, 2), complex)])


# --- what is kept between frames ---


@given(regions, bad_pixels)
def test_a_reducer_sent_to_another_process_is_the_same_there(region: Region, bad: BadPixels) -> None:
    for reducer in (RegionStatistics((Measure(region, Statistic.MEAN),), bad), CentreOfMass(region, bad)):
        sent = deepcopy(reducer)
        assert sent == reducer
        assert hash(sent) == hash(reducer)


def test_a_mask_is_made_once_for_each_shape_of_frame_however_often_the_region_is_sent_anew() -> None:
    areas = Areas(max_bytes=2**30)
    region = Region("a", shape=Ellipse((5, 5), (3, 3)))
    for _ in range(10):
        areas.area(deepcopy(region), (10, 10), BadPixels.of([(1, 1)]))
        areas.area(region, (20, 20), NO_BAD_PIXELS)
    assert areas.made == 2


def test_masks_beyond_what_may_be_kept_are_made_anew() -> None:
    areas = Areas(max_bytes=3 * 2**20)
    regions = [Region("a", shape=Ellipse((500, k), (600, 600))) for k in range(10)]
    first = [areas.area(region, (1000, 1000), NO_BAD_PIXELS).pixels for region in regions]
    assert areas.kept_bytes <= 3 * 2**20
    assert [areas.area(region, (1000, 1000), NO_BAD_PIXELS).pixels for region in regions] == first
    assert areas.made == 20


def test_a_rectangle_needs_no_mask() -> None:
    assert area_of(Region("a", rows=Interval(2, 4)), (10, 10)).mask is None
    assert area_of(Region("a", rows=Interval(2, 4)), (10, 10), BadPixels.of([(7, 7)])).mask is None


def test_what_lies_outside_a_single_pixel_is_all_but_that_and_the_bad_ones() -> None:
    frame = np.arange(400, dtype=np.uint16).reshape(20, 20)
    rest = Region("rest", Interval(3, 4), Interval(5, 6), outside=True)
    assert RegionStatistics((Measure(rest),), BadPixels.of([(7, 7)])).values([frame]) == [float(frame.sum()) - 65 - 147]


def test_bad_pixels_named_twice_or_outside_the_frame_are_left_out_once() -> None:
    frame = np.full((2, 2), 5, np.uint8)
    assert RegionStatistics((Measure(WHOLE),), BadPixels.of([(0, 0), (0, 0), (9, 9)])).values([frame]) == [15.0]
