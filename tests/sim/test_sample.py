"""The simulated sample: what the camera sees, and what the maps made of it look like."""

from __future__ import annotations

import numpy as np
import pytest

from wpb_stream.core.reduction import region_sums
from wpb_stream.core.regions import Region, thirds
from wpb_stream.sim import sample

SHAPE = (60, 80)


def scanned(points: int) -> np.ndarray:
    """Sums of the red, green and blue band and the whole frame over a square scan: (points, points, 4)."""
    rng = np.random.default_rng(0)
    places = np.linspace(0, 1, points)
    regions = (*thirds(), Region("total"))
    return np.array([[region_sums(sample.frame(u, v, SHAPE, rng), regions) for u in places] for v in places])


def test_the_maps_of_the_three_colours_and_the_total_differ_clearly() -> None:
    maps = scanned(24).reshape(-1, 4)
    correlation = np.corrcoef(maps, rowvar=False)
    assert np.abs(correlation[np.triu_indices(3, k=1)]).max() < 0.6
    assert correlation[:3, 3].max() < 0.9


def test_every_colour_has_bright_and_dark_places_that_noise_does_not_hide() -> None:
    maps = scanned(24)[..., :3].reshape(-1, 3)
    assert (maps.max(axis=0) > 3 * maps.min(axis=0)).all()


def test_the_sums_of_the_bands_follow_the_response_of_the_sample() -> None:
    places = np.linspace(0, 1, 24)
    expected = sample.response(places[None, :], places[:, None])
    measured = scanned(24)[..., :3]
    for colour in range(3):
        assert np.corrcoef(expected[..., colour].ravel(), measured[..., colour].ravel())[0, 1] > 0.99


def test_u_runs_across_and_v_down() -> None:
    left_of_the_ring, above = sample.response([0.07, 0.45], [0.45, 0.07])
    assert left_of_the_ring[0] > 0.4 > above[0]


def test_the_same_seed_gives_the_same_frame_and_another_seed_another() -> None:
    first, again, other = (sample.frame(0.4, 0.6, SHAPE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("shape", [(256, 320), (1, 1), (2, 5), (7, 3)])
def test_a_frame_has_the_shape_that_was_asked_for(shape: tuple[int, int]) -> None:
    image = sample.frame(0.5, 0.5, shape, np.random.default_rng(0))
    assert image.shape == shape
    assert image.dtype == np.uint8


def test_frames_are_not_saturated_where_the_sample_is_brightest() -> None:
    image = sample.frame(0.5, 0.52, (256, 320), np.random.default_rng(0))
    assert (image == 255).mean() < 0.05


def test_the_bands_are_the_thirds_that_the_default_regions_sum() -> None:
    for height in (256, 255, 7, 1):
        assert sample.band_rows(height) == tuple(region.rows.resolve(height) for region in thirds())
