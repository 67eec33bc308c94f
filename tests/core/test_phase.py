"""A phase integrated from its gradient: against phases whose gradients are known, in formulas and by numpy's differences."""

from __future__ import annotations

import numpy as np
import pytest

from wpb_stream.core.phase import integrate_gradient

SHAPE = (48, 65)
STEPS = (0.5, 2.0)


def places() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return rows * STEPS[0], columns * STEPS[1]


def level(phase: np.ndarray) -> np.ndarray:
    return phase - np.nanmean(phase)


def bump() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A Gaussian that has faded at the edges, and its gradient."""
    y, x = places()
    dy, dx = (y - y.mean()) / 3, (x - x.mean()) / 14
    phase = np.exp(-(dy**2 + dx**2) / 2)
    return phase, -dy / 3 * phase, -dx / 14 * phase


def wave() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, x = places()
    p, q = 2 * np.pi * 3 / (SHAPE[0] * STEPS[0]), 2 * np.pi * 5 / (SHAPE[1] * STEPS[1])
    return np.sin(p * y) * np.cos(q * x + 1), p * np.cos(p * y) * np.cos(q * x + 1), -q * np.sin(p * y) * np.sin(q * x + 1)


def test_a_periodic_phase_comes_back_from_its_gradient_to_rounding() -> None:
    phase, dy, dx = wave()
    assert integrate_gradient(dy, dx, STEPS, periodic=True) == pytest.approx(level(phase), abs=1e-13)


@pytest.mark.parametrize("periodic", [True, False])
def test_a_phase_that_fades_comes_back_whether_its_edges_are_mirrored_or_not(periodic: bool) -> None:
    phase, dy, dx = bump()
    assert integrate_gradient(dy, dx, STEPS, periodic=periodic) == pytest.approx(level(phase), abs=2e-3)


def test_the_differences_numpy_makes_of_a_phase_give_it_back_as_closely_as_they_are_its_gradient() -> None:
    phase, dy, dx = bump()
    rough = np.gradient(phase, *STEPS)
    error = max(np.abs(rough[0] - dy).max() * 3, np.abs(rough[1] - dx).max() * 14)
    assert np.abs(integrate_gradient(*rough, STEPS) - level(phase)).max() < 2 * error < 0.1


def test_a_slope_of_the_whole_map_comes_back_where_a_periodic_map_can_have_none() -> None:
    y, x = places()
    phase = 0.3 * y - 0.1 * x
    found = integrate_gradient(np.full(SHAPE, 0.3), np.full(SHAPE, -0.1), STEPS)
    assert np.abs(found - level(phase)).max() < 0.3 * STEPS[0] + 0.1 * STEPS[1]
    assert np.abs(integrate_gradient(np.full(SHAPE, 0.3), np.full(SHAPE, -0.1), STEPS, periodic=True)).max() < 1e-15


def test_cells_without_a_measurement_stay_so_and_leave_the_others_finite() -> None:
    phase, dy, dx = bump()
    dy[0, 3], dx[40, 2] = np.nan, np.nan
    found = integrate_gradient(dy, dx, STEPS)
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 3], [40, 2]]
    assert np.nanmean(found) == pytest.approx(0, abs=1e-15)
    assert np.nanmax(np.abs(found - level(phase))) < 3e-3


def test_a_map_in_the_middle_of_its_scan_is_level_where_nothing_was_measured() -> None:
    _, dy, dx = bump()
    dy[30:], dx[30:] = np.nan, np.nan
    found = integrate_gradient(dy, dx, STEPS)
    assert np.isfinite(found[:30]).all()
    assert np.isnan(found[30:]).all()


def test_without_any_measurement_there_is_no_phase() -> None:
    assert np.isnan(integrate_gradient(np.full((2, 3), np.nan), np.zeros((2, 3)))).all()


def test_a_single_cell_is_level() -> None:
    assert integrate_gradient([[5.0]], [[7.0]]).tolist() == [[0.0]]


@pytest.mark.parametrize(("a", "b"), [(np.zeros(3), np.zeros(3)), (np.zeros((2, 3)), np.zeros((3, 2)))])
def test_maps_that_do_not_belong_together_are_refused(a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(ValueError, match="same two dimensions"):
        integrate_gradient(a, b)


@pytest.mark.parametrize("steps", [(0.0, 1.0), (1.0, float("nan")), (float("inf"), 1.0)])
def test_steps_that_cannot_be_are_refused(steps: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="steps"):
        integrate_gradient(np.zeros((2, 3)), np.zeros((2, 3)), steps)
