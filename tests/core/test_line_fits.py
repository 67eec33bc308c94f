"""Fits of all lines of a map, as arrays; and only of those that are new."""

from __future__ import annotations

import numpy as np
import pytest
from lmfit.models import ConstantModel, GaussianModel

from wpb_stream.core.derived import derived_of_scalars, grid_of
from wpb_stream.core.description import describe
from wpb_stream.core.fit_memory import FitMemory
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.line_fits import MAX_FITS, LineFits, name_of
from wpb_stream.core.line_models import Line, LineFit, LineModel, fit_line
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.run import Run
from wpb_stream.recipes.raster import Raster

GAUSSIAN = LineModel("gaussian")
FITS = LineFits(GAUSSIAN, ("total",))
GRID = Grid((2, 3, 40), (Axis("z"), Axis("y"), Axis("x", "mm", 5.0, 9.0, snaking=True)))


def peaks(grid: Grid) -> np.ndarray:
    """Lines with a peak each, further on in each line, and noise."""
    x = grid.axes[-1].positions(grid.shape[-1])
    lines = int(np.prod(grid.shape[:-1]))
    noise = np.random.default_rng(0).normal(0, 1, (lines, len(x)))
    centres = 6 + 0.3 * np.arange(lines)[:, None]
    return (7 + 100 * np.exp(-((x - centres) ** 2) / 0.18) + noise).reshape(grid.shape)


def test_each_line_along_the_fast_axis_has_its_fit() -> None:
    maps = {"total": peaks(GRID), "red": np.zeros(GRID.shape)}
    made = FITS.arrays(maps, GRID)
    assert tuple(made) == FITS.names
    assert {values.shape for name, values in made.items() if not name.endswith("curve")} == {(2, 3)}
    assert made["fit.total.curve"].shape == GRID.shape
    oracle, x = GaussianModel() + ConstantModel(), np.linspace(5.0, 9.0, 40)
    for line in np.ndindex(2, 3):
        begun = oracle.make_params(amplitude=75, center=6 + 0.3 * (3 * line[0] + line[1]), sigma=0.3, c=7)
        found = oracle.fit(maps["total"][line], begun, x=x)
        assert made["fit.total.centre"][line] == pytest.approx(found.params["center"].value, rel=1e-6)
        assert made["fit.total.fwhm"][line] == pytest.approx(found.params["fwhm"].value, rel=1e-4)
        np.testing.assert_allclose(made["fit.total.curve"][line], found.best_fit, rtol=0, atol=0.01)


def test_a_scan_of_one_axis_has_one_fit_and_an_axis_without_positions_counts_points() -> None:
    grid = Grid((40,), (Axis("x"),))
    made = FITS.arrays({"total": peaks(Grid((1, 40), (Axis("y"), GRID.axes[2])))[0]}, grid)
    assert made["fit.total.centre"].shape == (1,)
    assert made["fit.total.centre"][0] == pytest.approx((6 - 5) / 4 * 39, abs=0.1)
    assert made["fit.total.curve"].shape == (40,)


def test_a_scan_that_runs_down_its_axis_gives_what_one_that_runs_up_gives() -> None:
    down = Grid(GRID.shape, (*GRID.axes[:2], Axis("x", "mm", 9.0, 5.0)))
    up = FITS.arrays({"total": peaks(GRID)}, GRID)
    turned = FITS.arrays({"total": peaks(GRID)[..., ::-1]}, down)
    for name in FITS.names:
        expected = up[name][..., ::-1] if name.endswith("curve") else up[name]
        np.testing.assert_allclose(turned[name], expected, rtol=1e-9, err_msg=name)


def test_lines_that_cannot_be_fitted_and_channels_that_are_not_there_are_empty() -> None:
    values = peaks(GRID)
    values[0, 1] = np.nan
    values[1, 2, 3:] = np.nan
    fits = LineFits(GAUSSIAN, ("total", "absent"))
    made = fits.arrays({"total": values}, GRID)
    assert tuple(made) == fits.names
    for told in GAUSSIAN.told:
        assert np.argwhere(np.isnan(made[name_of("total", told)])).tolist() == [[0, 1], [1, 2]]
        assert np.isnan(made[name_of("absent", told)]).all()
    assert np.isnan(made["fit.total.curve"][0, 1]).all()
    assert np.isfinite(made["fit.total.curve"][1, 1]).all()


class Counted:
    """Fits, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, model: LineModel, x: Line, y: Line) -> LineFit | None:
        self.calls += 1
        return fit_line(model, x, y)


def test_a_growing_map_costs_one_fit_for_each_line_that_changed_and_gives_the_same_bits() -> None:
    grid = Grid((20, 20), (Axis("y"), Axis("x", "mm", 5.0, 13.0)))
    whole, counted = peaks(grid), Counted()
    memory = FitMemory(counted)
    growing = np.full(grid.shape, np.nan)
    for line in range(20):
        for stop in (10, 20):  # looked at twice a line
            growing[line, :stop] = whole[line, :stop]
            made = FITS.arrays({"total": growing}, grid, memory)
    assert counted.calls == 40 + 1  # and once the line without any point
    afterwards = FITS.arrays({"total": whole}, grid, fit_line)
    assert {name: values.tobytes() for name, values in made.items()} == {name: values.tobytes() for name, values in afterwards.items()}


def test_what_is_remembered_is_of_the_same_model_positions_and_values_only() -> None:
    counted = Counted()
    memory, x, y = FitMemory(counted), GRID.axes[2].positions(40), peaks(GRID)[0, 0]
    found = {memory(model, *line) for model in (GAUSSIAN, LineModel("gaussian", "linear")) for line in ((x, y), (x + 1, y), (x, y + 1))}
    assert (counted.calls, len(found)) == (6, 6)
    assert memory(GAUSSIAN, x.copy(), y.copy()) in found
    assert counted.calls == 6


def test_the_lines_that_were_asked_for_longest_ago_are_forgotten() -> None:
    counted = Counted()
    memory, x, lines = FitMemory(counted, lines=2), GRID.axes[2].positions(40), peaks(GRID).reshape(6, 40)
    for line in (0, 1, 0, 2, 0):
        memory(GAUSSIAN, x, lines[line])
    assert (counted.calls, len(memory)) == (3, 2)
    memory(GAUSSIAN, x, lines[1])
    assert counted.calls == 4


def unknown(name: str, known: str) -> tuple[str, str]:
    return "channel_unknown", f"wpb.fit.channels: there is no channel {name!r}; known are {known}."


def test_fits_are_of_the_numbers_in_the_events_where_there_are_no_frames() -> None:
    default, named = LineFits(GAUSSIAN, ("total",), named=False), LineFits(GAUSSIAN, ("diode", "totl"))
    fits = LineFits(GAUSSIAN, ("diode", "current"), named=False)
    assert derived_of_scalars([default], ["diode", "current"], GRID) == ((fits,), [])
    found = derived_of_scalars([named], ["current", "diode"], GRID)
    assert found == ((LineFits(GAUSSIAN, ("diode",)),), [unknown("totl", "current, diode")])
    assert derived_of_scalars([named], ["current"], GRID) == ((), [unknown("diode", "current"), unknown("totl", "current")])


def test_there_are_no_more_fits_than_are_remembered_and_the_channels_that_are_left_out_are_told() -> None:
    default = LineFits(GAUSSIAN, ("total",), named=False)
    grid = Grid((2, MAX_FITS // 4, 3), (Axis("z"), Axis("y"), Axis("x")))
    fits = LineFits(GAUSSIAN, ("a", "b"), named=False)
    assert derived_of_scalars([default], ["a", "b"], grid) == ((fits,), [])
    told = "wpb.fit: 16,384 lines of 4 channels are more than 32,768 fits; not fitted are c, d."
    assert derived_of_scalars([default], ["a", "b", "c", "d"], grid) == ((fits,), [("arrays_left_out", told)])
    told = "wpb.fit: 32,769 lines of 1 channels are more than 32,768 fits; not fitted are a."
    too_long = Grid((MAX_FITS + 1, 3), (Axis("y"), Axis("x")))
    assert derived_of_scalars([default], ["a"], too_long) == ((), [("arrays_left_out", told)])


def test_the_grid_that_clients_are_told_of_is_the_runs_own() -> None:
    start = {"uid": "u", "time": 0.0, "shape": [2, 3], "extents": [[0, 1], [5, 7]], "snaking": [False, True], "motors": ["y", "x"]}
    run = Run(start, Raster().make(start, PlanDefaults()))
    assert grid_of(describe(run)) == run.grid
