"""Statistics of the lines of maps."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from tests.helpers.documents import raster_run
from wpb_dagster.line_statistics import COLUMNS, as_csv, statistics_of
from wpb_dagster.reconstruction import Maps
from wpb_stream.core.description import describe
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.run import Run
from wpb_stream.recipes.raster import Raster


def maps_of(shape: tuple[int, ...], **axis: Any) -> Maps:
    start = {**raster_run((2, 3))[0].doc, "shape": list(shape), "snaking": [False] * len(shape), "extents": None, "motors": None}
    info: RunInfo = describe(Run(start, Raster().make(start, PlanDefaults())))
    axes = [*info.axes[:-1], msgspec.structs.replace(info.axes[-1], **axis)]
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    return Maps(msgspec.structs.replace(info, axes=axes), "r", [], {"a": values, "b": -values})


def test_each_line_along_the_fast_axis_has_its_statistics_in_the_motors_positions() -> None:
    found = list(statistics_of(maps_of((2, 3), start=10.0, stop=12.0)))
    assert [(each.channel, each.line) for each in found] == [("a", (0,)), ("a", (1,)), ("b", (0,)), ("b", (1,))]
    assert [each.peak.maximum for each in found] == [(12.0, 2.0), (12.0, 5.0), (10.0, -0.0), (10.0, -3.0)]


def test_lines_that_were_not_measured_are_left_out() -> None:
    maps = maps_of((2, 2, 3))
    maps.channels["a"][0, 1] = np.nan
    found = list(statistics_of(replace(maps, channels={"a": maps.channels["a"]})))
    assert [each.line for each in found] == [(0, 0), (1, 0), (1, 1)]


def test_a_scan_of_one_axis_is_one_line_and_the_file_leaves_empty_what_there_is_not() -> None:
    maps = maps_of((3,))
    flat = Maps(maps.info, "r", [], {"a": np.zeros(3)})
    rows = list(csv.reader(io.StringIO(as_csv(list(statistics_of(flat))).decode())))
    assert rows == [list(COLUMNS), ["a", "", "0.0", "0.0", "0.0", "0.0", "", "", ""]]


def test_an_axis_without_positions_counts_points() -> None:
    (found, _) = statistics_of(maps_of((3,), start=None, stop=None))
    assert found.peak.maximum == (2.0, 2.0)
