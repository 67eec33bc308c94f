"""The phase as an array: against the phase of a sample through which a beam was propagated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.phase import integrate_gradient
from wpb_stream.core.phase_map import METRES, Optics, PhaseMap

WINDOW, PIXEL_M, STEP = 64, 50e-9, 4
"""The beam's window in samples, the size of one, and samples from point to point."""
SHAPE = (24, 30)
WAVELENGTH, DISTANCE = 1.5e-10, 2.0
# The far field's frequencies are multiples of 1 / (window), each an angle of the wavelength times it.
OPTICS = Optics(WAVELENGTH * DISTANCE / (WINDOW * PIXEL_M), DISTANCE, WAVELENGTH)
STEP_UM = STEP * PIXEL_M * 1e6
GRID = Grid(SHAPE, (Axis("y", "um", 3.0, 3.0 + 23 * STEP_UM), Axis("x", "um", -2.0, -2.0 + 29 * STEP_UM)))


def propagated() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Centres of mass of the far field behind a sample, point by point, in pixels, and the sample's phase there in radians."""
    rows, columns = np.mgrid[: SHAPE[0] * STEP + WINDOW, : SHAPE[1] * STEP + WINDOW]
    bump = np.exp(-(((rows - 70) / 9) ** 2 + ((columns - 100) / 12) ** 2) / 2)
    phase = 2.0 * bump - 1.2 * np.exp(-(((rows - 85) / 9) ** 2 + ((columns - 75) / 8) ** 2) / 2)  # level at the edges of the scan
    y, x = np.mgrid[:WINDOW, :WINDOW] - WINDOW // 2
    probe = np.exp(-(y**2 + x**2) / (2 * 3.0**2))
    row, column, seen = np.empty(SHAPE), np.empty(SHAPE), np.empty(SHAPE)
    pixels = np.arange(WINDOW)
    for i, k in np.ndindex(SHAPE):
        window = np.s_[i * STEP : i * STEP + WINDOW, k * STEP : k * STEP + WINDOW]
        far = np.abs(np.fft.fftshift(np.fft.fft2(probe * np.exp(1j * phase[window])))) ** 2
        row[i, k], column[i, k] = far.sum(axis=1) @ pixels / far.sum(), far.sum(axis=0) @ pixels / far.sum()
        seen[i, k] = (phase[window] * probe**2).sum() / (probe**2).sum()
    return {"row": row, "column": column}, seen


MAPS, PHASE = propagated()


def found(maps: dict[str, np.ndarray], grid: Grid = GRID, phase: PhaseMap | None = None) -> np.ndarray:
    (made,) = (phase or PhaseMap(optics=OPTICS)).arrays(maps, grid).values()
    return made


def test_the_phase_of_a_sample_comes_back_in_radians() -> None:
    assert np.ptp(PHASE) > 2.5
    assert np.abs(found(MAPS) - (PHASE - PHASE.mean())).max() < 1e-3


@pytest.mark.parametrize("units", METRES)
def test_positions_in_any_unit_of_length_give_the_same(units: str) -> None:
    scale = 1e-6 / METRES[units]
    axes = [replace(axis, units=units, start=axis.start * scale, stop=axis.stop * scale) for axis in GRID.axes]  # type: ignore[operator]
    assert found(MAPS, Grid(SHAPE, tuple(axes))) == pytest.approx(found(MAPS), abs=1e-9)


def test_a_scan_that_runs_down_its_axes_gives_the_same_sample() -> None:
    axes = tuple(replace(axis, start=axis.stop, stop=axis.start) for axis in GRID.axes)
    turned = {name: values[::-1, ::-1] for name, values in MAPS.items()}
    assert found(turned, Grid(SHAPE, axes))[::-1, ::-1] == pytest.approx(found(MAPS), abs=1e-9)


def test_a_detector_that_is_turned_and_mirrored_is_told_by_its_axes() -> None:
    turned = {"row": 100 - MAPS["column"], "column": MAPS["row"]}
    assert found(turned, phase=PhaseMap(("column", "-row"), OPTICS)) == pytest.approx(found(MAPS), abs=1e-9)


def test_without_optics_a_pixel_is_a_gradient_of_one_a_step_whatever_the_axes() -> None:
    shifts = [MAPS[name] - MAPS[name].mean() for name in ("row", "column")]
    unknown = Grid(SHAPE, (Axis("y"), Axis("x", "deg", 0.0, 9.0)))
    np.testing.assert_array_equal(found(MAPS, unknown, PhaseMap()), integrate_gradient(*shifts))
    radians = found(MAPS, unknown, PhaseMap()) * OPTICS.gradient_per_pixel * STEP * PIXEL_M
    assert radians == pytest.approx(found(MAPS), abs=1e-9)


def test_what_was_not_measured_yet_is_empty_and_does_not_shift_the_rest() -> None:
    half = {name: np.where(np.arange(24)[:, None] < 12, values, np.nan) for name, values in MAPS.items()}
    made = found(half)
    assert np.isnan(made[12:]).all()
    assert np.isfinite(made[:12]).all()
    shifts = [values[:12] - values[:12].mean() for values in MAPS.values()]
    assert made[:12].std() == pytest.approx(integrate_gradient(*shifts).std() * OPTICS.gradient_per_pixel * STEP * PIXEL_M, rel=0.5)
    assert np.isnan(found({name: np.full(SHAPE, np.nan) for name in MAPS})).all()


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        (Axis("theta", "deg", 0.0, 1.0), "the units of theta are 'deg', no length"),
        (Axis("theta", None, 0.0, 1.0), "the units of theta are None"),
        (Axis("theta", "mm"), "the positions of theta are unknown"),
        (Axis("theta", "mm", 1.0, 1.0), "the positions of theta are unknown"),
    ],
)
def test_radians_without_lengths_are_refused(axis: Axis, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        found(MAPS, Grid(SHAPE, (GRID.axes[0], axis)))
    with pytest.raises(ValueError, match=told):
        found(MAPS, Grid(SHAPE, (axis, GRID.axes[1])))
