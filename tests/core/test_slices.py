"""Slices from the rows of projections: scikit-image's, whatever the order in which projections come and however they are parted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import shepp_logan_phantom
from skimage.transform import iradon, radon, resize

from tests.helpers.projections import projected_back
from wpb_stream.core.accumulation import Accumulation, Kind, Tally
from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import NO_BAD_PIXELS, BadPixels
from wpb_stream.core.slices import MAX_COLUMNS, Slices

SIZE, ANGLES, FLAT, DARK = 64, 90, 50_000.0, 100.0
PHANTOM = resize(shepp_logan_phantom(), (SIZE, SIZE), anti_aliasing=True)
DEGREES = np.linspace(0, 180, ANGLES, endpoint=False)
ABSORBED = radon(PHANTOM, DEGREES, circle=True).T / SIZE  # shape (angles, columns)
COUNTS = DARK + FLAT * np.exp(-ABSORBED)
FRAMES = np.stack([np.full_like(COUNTS, FLAT), COUNTS, COUNTS[:, ::-1]], axis=1)  # shape (angles, rows, columns)
INSIDE = np.hypot(*(np.mgrid[:SIZE, :SIZE] - SIZE // 2)) < SIZE // 2 - 1
"""What a projection just reaches or not, as cosines are rounded, is left out."""
TWO = Slices((1, 2), 0.0, np.deg2rad(DEGREES[1]), flat=FLAT + DARK, dark=DARK)


def made(
    frames: npt.NDArray[np.float64], of: Slices = TWO, order: list[int] | None = None, parts: int = 1, bad: BadPixels = NO_BAD_PIXELS
) -> dict[str, npt.NDArray[np.float64]]:
    whole = Tally(Accumulation((Kind.MEAN,), slices=of))
    points = list(range(len(frames))) if order is None else order
    for k in range(parts):
        part = Tally(Accumulation((Kind.MEAN,), bad, of))
        for point in points[k::parts]:
            part.take(point, frames[point])
        whole.merge(part)
        whole.arrays()  # made as it grows
    return whole.arrays()


def test_slices_are_those_of_scikit_image() -> None:
    arrays = made(FRAMES)
    assert list(arrays) == ["mean_frame", "sinogram.1", "slice.1", "sinogram.2", "slice.2"]
    np.testing.assert_allclose(arrays["sinogram.1"], ABSORBED, atol=1e-6)
    expected = iradon(ABSORBED.T, DEGREES, filter_name="ramp", circle=True)
    np.testing.assert_allclose(arrays["slice.1"][INSIDE], expected[INSIDE], atol=1e-6)
    assert arrays["slice.1"].dtype == arrays["sinogram.1"].dtype == np.float32
    mirrored = iradon(ABSORBED.T[::-1], DEGREES, filter_name="ramp", circle=True)
    np.testing.assert_allclose(arrays["slice.2"][INSIDE], mirrored[INSIDE], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)), st.integers(1, 5))
def test_neither_order_nor_parting_changes_a_bit(order: list[int], parts: int) -> None:
    clean, other = made(FRAMES[:12]), made(FRAMES[:12], order=order, parts=parts)
    for name, array in clean.items():
        assert other[name].tobytes() == array.tobytes(), name


def test_points_without_a_frame_are_missing_in_the_sinogram_and_count_nowhere_in_the_slice() -> None:
    some = made(FRAMES, order=[0, 3, 5])
    assert np.flatnonzero(np.isnan(some["sinogram.1"]).all(axis=1)).tolist() == [1, 2, 4]
    assert np.isfinite(some["slice.1"]).all()


def test_the_axis_may_lie_beside_the_middle() -> None:
    shifted = np.pad(FRAMES, ((0, 0), (0, 0), (8, 0)), constant_values=FLAT + DARK)
    moved = made(shifted, Slices((1,), 0.0, TWO.step, SIZE // 2 + 8.0, flat=FLAT + DARK, dark=DARK))["slice.1"]
    np.testing.assert_allclose(moved[4:-4, 4:-4][10:-10, 10:-10], made(FRAMES)["slice.1"][10:-10, 10:-10], atol=1e-6)


def test_a_turn_the_other_way_gives_the_same_slice() -> None:
    backwards = Slices((1, 2), np.deg2rad(DEGREES[-1]), -TWO.step, flat=FLAT + DARK, dark=DARK)
    np.testing.assert_allclose(made(FRAMES[::-1], backwards)["slice.1"], made(FRAMES)["slice.1"], atol=1e-6)


def test_several_frames_of_a_point_are_averaged() -> None:
    of = Slices((0,), 0.0, 0.1, flat=400.0)
    tally = Tally(Accumulation((), slices=of))
    for counts in (100.0, 300.0):
        tally.take(0, np.full((1, 8), counts))
    np.testing.assert_allclose(tally.arrays()["sinogram.0"], np.log(2), rtol=1e-6)


def test_wide_detectors_are_made_narrower_and_bad_columns_absorb_what_their_neighbours_do() -> None:
    columns = 2 * MAX_COLUMNS - 1
    bad = BadPixels.of([(0, 6)])
    frames = np.full((3, 2, columns), 200.0)
    frames[:, 0, 6] = 1e6
    arrays = made(frames, Slices((0,), 0.0, 0.5, flat=400.0), bad=bad)
    assert arrays["sinogram.0"].shape == (3, MAX_COLUMNS)
    assert arrays["slice.0"].shape == (MAX_COLUMNS, MAX_COLUMNS)
    np.testing.assert_allclose(arrays["sinogram.0"], np.log(2), rtol=1e-6)
    narrow = projected_back(np.full((3, MAX_COLUMNS), np.log(2)), np.array([0.0, 0.5, 1.0]), (columns // 2 + 0.5) / 2 - 0.5)
    assert arrays["slice.0"][256, 256] == pytest.approx(narrow[256, 256] / 2, rel=0.02)


def test_a_row_that_frames_do_not_have_is_told() -> None:
    with pytest.raises(FrameBroken, match="no row 9 in frames of 3 rows"):
        made(FRAMES, Slices((1, 9), 0.0, 0.1))
