"""Slices from projections: against scikit-image, and in any order."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import shepp_logan_phantom
from skimage.transform import iradon, radon, resize

from tests.helpers.projections import projected_back
from wpb_stream.core.tomography import FILTERS, BackProjection, Filter, absorption

DEGREES = np.linspace(0, 180, 60, endpoint=False)
HANN = 5e-3
"""Of values up to 1."""
PHANTOM = resize(shepp_logan_phantom(), (65, 65))
SINOGRAM = radon(PHANTOM, DEGREES).T


@pytest.mark.parametrize("columns", [65, 64])
@pytest.mark.parametrize("filter_name", FILTERS)
def test_a_slice_is_what_scikit_image_gives(filter_name: Filter, columns: int) -> None:
    sinogram = SINOGRAM[:, :columns]
    expected = iradon(sinogram.T, DEGREES, filter_name=filter_name, circle=False, output_size=columns)
    made = projected_back(sinogram, np.radians(DEGREES), filter_name=filter_name)
    # What a projection just reaches or not, as cosines are rounded, is left out. Their window of Hann is half a sample beside its middle.
    y, x = np.mgrid[:columns, :columns] - columns // 2
    seen = np.hypot(y, x) < columns // 2 - 1
    assert np.abs(made - expected)[seen].max() < (HANN if filter_name == "hann" else 1e-12)


def test_the_sample_comes_back() -> None:
    made = projected_back(SINOGRAM, np.radians(DEGREES))
    assert np.sqrt(((made - PHANTOM) ** 2).mean()) < 0.06


def test_in_any_order_and_in_parts_it_is_the_same_to_the_last_bit() -> None:
    expected = projected_back(SINOGRAM, np.radians(DEGREES))
    order = np.random.default_rng(1).permutation(len(DEGREES))
    parts = BackProjection(65), BackProjection(65)
    for turn, k in enumerate(order):
        parts[turn % 2].add(SINOGRAM[k], float(np.radians(DEGREES)[k]))
    parts[0].merge(parts[1])
    assert parts[0].image().tobytes() == expected.tobytes()
    assert parts[0].projections == 60


def test_an_axis_beside_the_middle_is_told() -> None:
    moved = np.pad(SINOGRAM, ((0, 0), (8, 0)))
    made = projected_back(moved, np.radians(DEGREES), centre=32 + 8.0)
    expected = projected_back(SINOGRAM, np.radians(DEGREES))
    assert np.abs(made[4:-4, 4:-4] - expected)[10:-10, 10:-10].max() < 1e-12


def test_counts_become_line_integrals() -> None:
    counts = 10 + 1000 * np.exp(-SINOGRAM[3])
    np.testing.assert_allclose(absorption(counts, flat=1010, dark=10), SINOGRAM[3], atol=1e-12)
    np.testing.assert_allclose(absorption(counts, np.full(65, 1010), np.full(65, 10)), SINOGRAM[3], atol=1e-12)
    assert absorption([5.0, 10.0, 1010.0], 1010, 10).tolist() == [0.0, 0.0, 0.0]


def test_shapes_that_do_not_belong_together_are_refused_and_nothing_gives_nothing() -> None:
    with pytest.raises(ValueError, match="65 columns"):
        BackProjection(65).add(np.zeros(64), 0.0)
    assert np.isnan(BackProjection(5).image()).all()


def test_where_a_projection_does_not_reach_it_says_nothing() -> None:
    slice_ = BackProjection(65)
    slice_.add(np.ones(65), np.pi / 4)
    image = slice_.image()
    assert image[0, -1] == image[-1, 0] == 0  # beyond the two ends of the detector
    assert image[0, 0] != 0
