"""The NeXus file of a run, read back as a viewer would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.recipe import Channel
from wpb_stream.frames.nexus import write_nexus

GRID = Grid((2, 3), (Axis("stage-y", "mm", 0.0, 1.0), Axis("stage-x", None, None, None, True)))
CHANNELS = (Channel("red", "Red", colour="red"), Channel("total", "Total"), Channel("blue", "Blue", "V"))
MAPS = {"red": np.arange(6.0).reshape(2, 3), "total": np.full((2, 3), np.nan), "blue": np.ones((2, 3))}
START = {"uid": "6f2c", "time": 1750000000.5, "plan_name": "grid_scan", "scan_id": 7, "odd": {1, 2}}


def written(path: Path, **more: Any) -> Path:
    return write_nexus(path, **{"start": START, "maps": MAPS, "grid": GRID, "channels": CHANNELS} | more)


def test_the_default_plot_is_the_total_over_the_motors_with_the_other_channels_beside_it(tmp_path: Path) -> None:
    with h5py.File(written(tmp_path / "run.nxs")) as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert [group.attrs["NX_class"] for group in (file, entry, data)] == ["NXroot", "NXentry", "NXdata"]
        assert data.attrs["signal"] == "total"
        assert data.attrs["auxiliary_signals"].tolist() == ["red", "blue"]
        assert data.attrs["axes"].tolist() == ["stage_y", "stage_x"]
        assert [data.attrs[f"stage_{name}_indices"] for name in "yx"] == [0, 1]
        np.testing.assert_array_equal(data["red"], MAPS["red"])
        np.testing.assert_array_equal(data["total"], MAPS["total"])
        assert dict(data["blue"].attrs) == {"long_name": "Blue", "units": "V"}
        assert data["stage_y"][:].tolist() == [0.0, 1.0]
        assert dict(data["stage_y"].attrs) == {"long_name": "stage-y (mm)", "units": "mm"}
        assert data["stage_x"][:].tolist() == [0, 1, 2]


def test_the_entry_says_which_run_it_was_and_keeps_its_start_document(tmp_path: Path) -> None:
    stop = {"time": 1750000010, "exit_status": "success"}
    with h5py.File(written(tmp_path / "run.nxs", stop=stop, revision="live", notices=["thirds of the frame were used"])) as file:
        said = {
            name: file[f"entry/{name}"][()].decode() for name in ("title", "entry_identifier_uuid", "start_time", "end_time", "revision")
        }
        assert said == {
            "title": "grid_scan 7",
            "entry_identifier_uuid": "6f2c",
            "start_time": "2025-06-15T15:06:40.500000+00:00",
            "end_time": "2025-06-15T15:06:50+00:00",
            "revision": "live",
        }
        assert file["entry/start_document"].attrs["NX_class"] == "NXnote"
        assert json.loads(file["entry/start_document/data"][()])["plan_name"] == "grid_scan"
        assert file["entry/notices/data"][()] == b"thirds of the frame were used"


def test_a_composite_is_an_rgb_image_over_the_same_axes(tmp_path: Path) -> None:
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    with h5py.File(written(tmp_path / "run.nxs", composite=picture)) as file:
        data = file["entry/composite"]
        assert data[data.attrs["signal"]].attrs["interpretation"] == "rgb-image"
        assert data.attrs["axes"].tolist() == ["stage_y", "stage_x", "."]
        np.testing.assert_array_equal(data["rgb"], picture)


@pytest.mark.parametrize("time", [float("nan"), 1e300, "yesterday", None, -1e18])
def test_a_start_document_without_a_sane_time_is_written_without_one(tmp_path: Path, time: Any) -> None:
    with h5py.File(written(tmp_path / "run.nxs", start={"uid": "../x", "time": time})) as file:
        assert "start_time" not in file["entry"]


def test_motor_names_that_nexus_does_not_allow_stay_apart_and_stay_readable(tmp_path: Path) -> None:
    grid = Grid((2, 3), (Axis("a/b"), Axis("a b")))
    with h5py.File(written(tmp_path / "run.nxs", grid=grid)) as file:
        data = file["entry/maps"]
        first, second = data.attrs["axes"]
        assert first != second
        assert [data[name].attrs["long_name"] for name in (first, second)] == ["a/b", "a b"]


def test_a_failed_writing_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = written(tmp_path / "run.nxs")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="needs a map of shape"):
        written(path, maps={})
    with pytest.raises(ValueError, match="the composite has shape"):
        written(path, composite=np.zeros((3, 2, 3), np.uint8))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["run.nxs"]
