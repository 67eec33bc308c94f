"""The table of the fits that a plan asked for."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np

from tests.dagster.test_line_statistics import maps_of
from wpb_dagster.line_fits import FittedLine, as_csv, fits_of
from wpb_stream.core.line_fits import LineFits
from wpb_stream.core.line_models import LineModel

STRAIGHT = LineFits(LineModel("polynomial", degree=1), ("b", "a"))


def test_each_line_that_can_be_fitted_has_a_row_in_the_motors_positions() -> None:
    maps = maps_of((2, 3), start=10.0, stop=12.0)
    maps.channels["a"][0, 1] = np.nan
    found = list(fits_of(STRAIGHT, maps))
    assert [(fit.channel, fit.line) for fit in found] == [("b", (0,)), ("b", (1,)), ("a", (1,))]
    np.testing.assert_allclose([fit.told[:2] for fit in found], [(10, -1), (7, -1), (-7, 1)], atol=1e-9)


def test_a_scan_of_one_axis_is_one_line() -> None:
    maps = maps_of((3,), start=10.0, stop=12.0)
    assert [fit.line for fit in fits_of(STRAIGHT, maps)] == [(), ()]


def test_the_file_leaves_empty_what_could_not_be_told() -> None:
    fit = FittedLine("a", (1, 0), LineModel("polynomial", degree=1), (1.0, 2.5, 0.5, float("nan"), 0.1))
    rows = list(csv.reader(io.StringIO(as_csv([fit, replace(fit, line=())]).decode())))
    assert rows == [
        ["channel", "line", "c0", "c1", "c0_stderr", "c1_stderr", "reduced_chi_square"],
        ["a", "1, 0", "1.0", "2.5", "0.5", "", "0.1"],
        ["a", "", "1.0", "2.5", "0.5", "", "0.1"],
    ]
