"""An update as a line of text, and as labelled arrays."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xarray

from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo, RunStopped
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable
from wpb_stream.update import Update

AXES = [AxisInfo("stage-y", "mm", 0.0, 1.0, False), AxisInfo("stage-x", None, 4.0, -2.0, True)]


def update(*channels: str, axes: list[AxisInfo] = AXES, **known: Any) -> Update:
    """Of a raster of 3 x 4, of which all but the last point were measured."""
    table = PointTable(channels)
    table.append(np.arange(11), np.arange(11), np.arange(11.0 * len(channels)).reshape(11, -1))
    told = [ChannelInfo(name, f"the {name}", "counts", None, None) for name in channels]
    metadata = {"uid": "u", "sample": "leaf"}
    run = RunInfo("u", 7, "grid_scan", "running", "2026-03-01T09:00:00Z", None, "raster", [3, 4], axes, told, [], 12, 11, metadata)
    return Update(run, "live", table, 0, **known)


@pytest.mark.parametrize(("scan_id", "called"), [(7, "7"), (0, "0"), (None, "u")])
def test_a_run_is_called_by_its_scan_id_or_else_by_its_uid(scan_id: int | None, called: str) -> None:
    told = update("total")
    named = replace(told, run=msgspec.structs.replace(told.run, scan_id=scan_id))
    assert named.headline() == f"run {called} grid_scan running: 11 of 12 (91 %) points"


def test_each_channel_is_a_variable_over_the_axes_with_its_units() -> None:
    told = update("red", "total")
    dataset = told.to_xarray()
    assert dict(dataset.sizes) == {"stage-y": 3, "stage-x": 4}
    assert list(dataset.data_vars) == ["red", "total"]
    assert dataset["red"].attrs == {"units": "counts", "long_name": "the red"}
    for channel in ("red", "total"):
        np.testing.assert_array_equal(dataset[channel], told.map(channel))
    assert np.isnan(dataset["total"][2, 3])


def test_coordinates_are_the_positions_of_the_points_with_the_units_of_the_axis() -> None:
    dataset = update("total").to_xarray()
    np.testing.assert_array_equal(dataset["stage-y"], [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(dataset["stage-x"], [4.0, 2.0, 0.0, -2.0])
    assert dataset["stage-y"].attrs == {"long_name": "stage-y", "units": "mm"}
    assert dataset["stage-x"].attrs == {"long_name": "stage-x"}
    assert float(dataset["total"].sel({"stage-y": 0.5, "stage-x": 0.0})) == 6.0


def test_an_axis_whose_positions_are_unknown_has_no_coordinates() -> None:
    dataset = update("total", axes=[AXES[0], AxisInfo("stage-x", "mm", None, None, True)]).to_xarray()
    assert list(dataset.coords) == ["stage-y"]


def test_a_channel_and_an_axis_of_the_same_name_are_told_apart() -> None:
    dataset = update("stage-x", "total").to_xarray()
    assert dataset["stage-x"].dims == ("stage-y", "stage-x_axis")
    assert dataset["stage-x_axis"].attrs["long_name"] == "stage-x"


def test_the_attributes_tell_of_the_run_what_is_known() -> None:
    assert update("total").to_xarray().attrs == {
        "uid": "u",
        "scan_id": 7,
        "plan_name": "grid_scan",
        "status": "running",
        "started": "2026-03-01T09:00:00Z",
        "recipe": "raster",
        "revision": "live",
        "rows": 11,
        "points_expected": 12,
        "start_document": '{"uid":"u","sample":"leaf"}',
    }
    stopped = RunStopped(1, "u", "abort", "the beam was lost", 11)
    ended = update("total", notices=(Notice("shape_guessed", "The shape was guessed."),), stopped=stopped).to_xarray()
    assert (ended.attrs["reason"], ended.attrs["notices"]) == ("the beam was lost", "The shape was guessed.")


def test_it_is_written_to_a_file_and_read_as_it_was(tmp_path: Path) -> None:
    dataset = update("red", "total").to_xarray()
    dataset.to_netcdf(tmp_path / "run.nc", engine="scipy")
    with xarray.open_dataset(tmp_path / "run.nc", engine="scipy") as read:
        xarray.testing.assert_identical(read, dataset)


def test_without_xarray_it_is_said_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install 'websockets-plotting-blue\[xarray\]'"):
        update("total").to_xarray()
