"""Numbers beside the frames, by a real RunEngine: what clients see is what the devices read, and bit for bit what a recomputation gives.

The scan is paused and resumed, so that points are measured twice; its documents come backwards, and once more in no order;
and the process that reads them is restarted in the middle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import h5py
import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.laboratory import Laboratory
from tests.helpers.plans import Plan, after_point, until_over
from tests.integration.conftest import Streaming
from tests.integration.recomputed import as_received, assert_alike, live_and_batch, reconstructed
from wpb_stream.settings import Settings

SHAPE = (3, 4)
X = np.tile(np.linspace(1, 4, 4), (3, 1))
Y = np.repeat(np.linspace(0, 2, 3), 4).reshape(SHAPE)
ASKED: dict[str, dict[str, Any]] = {
    "by a reading": {"normalise": {"by": "bright"}},
    "by what the detector wrote": {"normalise": {"by": "blobs-sum"}},
    "beside": {"scalars": ["bright", "blobs-sum"], "positions": "measured"},
    "all": {"normalise": {"by": "bright"}, "scalars": ["blobs-sum", "bright"], "positions": ["x"]},
    "bins": {"bins": [3, 4], "extents": [[0, 2], [1, 4]], "normalise": {"by": "bright"}, "scalars": ["blobs-sum"]},
    "no images": {"data_key": "blobs-sum", "scalars": ["bright"], "normalise": {"by": "bright"}},
}


def plan(lab: Laboratory, wpb: dict[str, Any]) -> Plan:
    per_step = after_point(6, bps.pause)
    return bp.grid_scan([lab.blobs, lab.bright], lab.y, 0, 2, 3, lab.x, 1, 4, 4, snake_axes=True, per_step=per_step, md={"wpb": wpb})


def written(lab: Laboratory, dataset: str) -> npt.NDArray[Any]:
    """What stands in the detector's file for each cell: of a point that was measured twice the later one."""
    seq_nums = [(datum["seq_nums"]["start"], datum["indices"]["start"]) for name, datum in lab.documents if name == "stream_datum"]
    (file,) = lab.folder.glob("*.h5")
    with h5py.File(file, locking=False) as found:  # our own reader has it open so
        data = found[dataset][:]
    index = dict(sorted(seq_nums, key=lambda pair: pair[1]))
    assert max(index.values()) + 1 > len(index), "nothing was measured twice"
    cells = np.arange(12).reshape(SHAPE)
    cells[1] = cells[1][::-1]
    return np.array([data[index[point + 1]] for point in cells.ravel()]).reshape(*SHAPE, *data.shape[1:])


def expected(lab: Laboratory, wpb: dict[str, Any]) -> dict[str, npt.NDArray[np.float64]]:
    """The maps, from what motors and detectors did."""
    total = written(lab, "/entry/data/data").sum(axis=(2, 3), dtype=np.float64)
    sums = written(lab, "/entry/sum").astype(np.float64)
    beside = {"bright": X**2, "blobs-sum": sums, "x": X, "y": Y}
    name = wpb.get("data_key", "total")
    monitor = beside[wpb["normalise"]["by"]] if "normalise" in wpb else np.ones(SHAPE)
    positions = ["y", "x"] if "bins" in wpb or wpb.get("positions") == "measured" else wpb.get("positions", [])
    beside["count"] = np.ones(SHAPE)
    positions += ["count"] if "bins" in wpb else []
    return {name: (sums if "data_key" in wpb else total) / monitor} | {key: beside[key] for key in [*wpb.get("scalars", []), *positions]}


@pytest.mark.parametrize("wpb", ASKED.values(), ids=ASKED)
def test_the_maps_are_what_the_devices_read(wpb: dict[str, Any], tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    until_over(lab, plan(lab, wpb))
    (made,) = reconstructed(as_received(lab.documents), tmp_path)
    maps = made.table.maps(made.info.shape)
    for channel, values in expected(lab, wpb).items():
        np.testing.assert_array_equal(maps[channel], values, err_msg=channel)
    assert {notice.code for notice in made.notices} <= {"regions_guessed"}
    assert made.missing == []


@pytest.mark.integration
@pytest.mark.parametrize("wpb", ASKED.values(), ids=ASKED)
async def test_what_is_shown_live_is_what_a_recomputation_gives(
    wpb: dict[str, Any], settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    lab = Laboratory(tmp_path / "frames")
    until_over(lab, plan(lab, wpb))
    update, batch = await live_and_batch(lab, settings, streaming)
    assert_alike(update, batch)
