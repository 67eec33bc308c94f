"""Frames that are masked and corrected with what lies in files: what clients see is bit for bit what a recomputation gives, and right.

As in test_reductions the scan is paused and resumed, its documents come backwards and once more in no order, and the process that reads
them is restarted in the middle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import h5py
import numpy as np
import pytest

from tests.helpers.documents import as_json
from tests.helpers.laboratory import FRAME, Laboratory
from tests.helpers.plans import after_point, grid, until_over
from tests.integration.conftest import Streaming
from tests.integration.recomputed import as_received, assert_alike, live_and_batch, reconstructed
from tests.integration.watching import publish_values, until_latest_stopped
from wpb_dagster.reconstruction import Reconstructed
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration

FILES = "file:///replaced by the folder/"
RANDOM = np.random.default_rng(8)
ARRAYS = {
    "mask": RANDOM.random(FRAME) < 0.5,
    "bad": RANDOM.random(FRAME) < 0.2,
    "dark": RANDOM.integers(0, 9, (3, *FRAME), dtype="u2"),
    "flat": RANDOM.uniform(0.7, 1.4, FRAME).astype("f4"),
}
ARRAYS["flat"][2, 1] = 0


def named(name: str, key: str = "file") -> dict[str, str]:
    return {key: FILES, "dataset": name}


MASK, BAD = named("mask", "mask_file"), named("bad", "mask_file")
ASKED: dict[str, dict[str, Any]] = {
    "masks": {"regions": {"in": MASK, "out": {**MASK, "outside": True, "statistic": "mean"}}, "bad_pixels": BAD},
    "dark": {"regions": {"in": MASK, "hits": {"statistic": "above", "threshold": 99.5}}, "dark": named("dark")},
    "dark and flat": {
        "regions": {"peak": {"statistic": "maximum"}},
        "bad_pixels": BAD,
        "dark": named("dark"),
        "flat": named("flat"),
        "arrays": ["mean_frame", "maximum_frame", "last_frame"],
    },
    "angles": {
        "reduction": "azimuthal",
        "geometry": {"dist": 0.1, "poni1": 0.001, "poni2": 0.002, "pixel1": 1e-3, "pixel2": 1e-3, "wavelength": 1e-10},
        "ranges": {"near": [0.5, 1.5], "far": [1.5, 3]},
        "npt": 12,
        "mask": MASK,
        "bad_pixels": BAD,
        "dark": named("dark"),
    },
    "dead time": {
        "reduction": "xrf",
        "elements": {"Fe": {"window": [1, 3], "background": [[0, 1]]}},
        "dead_time": {"real_time": "real_time", "live_time": [f"live_time_{element}" for element in range(FRAME[0])]},
        "bad_pixels": BAD,
    },
    "centre of mass": {"reduction": "centre_of_mass", "mask": MASK, "dark": named("dark"), "flat": named("flat")},
}


def with_files(asked: Any, uri: str) -> Any:
    if isinstance(asked, dict):
        return {key: with_files(value, uri) for key, value in asked.items()}
    return uri if asked == FILES else asked


@pytest.mark.parametrize("wpb", ASKED.values(), ids=ASKED)
async def test_what_is_shown_live_is_what_a_recomputation_gives(
    wpb: dict[str, Any], settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    lab = Laboratory(tmp_path / "frames")
    lab.folder.mkdir(exist_ok=True)
    with h5py.File(lab.folder / "arrays.h5", "w") as file:
        for name, array in ARRAYS.items():
            file[name] = array
    asked = with_files(wpb, (lab.folder / "arrays.h5").as_uri())
    until_over(lab, grid(lab, per_step=after_point(6, bps.pause), md={"wpb": asked}))
    write_dead_time(lab)
    update, batch = await live_and_batch(lab, settings, streaming)
    assert_alike(update, batch)
    assert not batch.notices


async def test_a_mask_that_is_missing_costs_the_map_but_not_the_run(settings: Settings, streaming: Streaming, tmp_path: Path) -> None:
    lab = Laboratory(tmp_path / "frames")
    asked = with_files({"regions": {"in": MASK}}, (lab.folder / "none.h5").as_uri())
    until_over(lab, grid(lab, md={"wpb": asked}))
    batch = only_batch(lab)
    assert batch.missing == list(range(12))
    async with streaming(settings.model_copy(update={"frame_deadline_s": 0.0})):
        await publish_values(settings, [as_json(document.name, document.doc) for document in as_received(lab.documents)])
        update = await until_latest_stopped(settings, batch.info.uid)
    assert update.rows == 0
    for told in (update.notices, batch.notices):
        assert {notice.code for notice in told} == {"frame_missing"}
        assert all("wpb.regions.in" in notice.message and "none.h5" in notice.message for notice in told)


def write_dead_time(lab: Laboratory) -> None:
    """What a fluorescence detector says of each of its elements at each point, beside the frames."""
    (path,) = lab.folder.glob("camera-*.h5")
    points = len(lab.films["camera"].shots)
    with h5py.File(path, "a") as file:
        file["real_time"] = np.ones((points, FRAME[0]))
        for element, live in enumerate(np.random.default_rng(4).uniform(0.6, 1, (FRAME[0], points))):
            file[f"live_time_{element}"] = live


def only_batch(lab: Laboratory) -> Reconstructed:
    (batch,) = reconstructed(as_received(lab.documents), lab.folder)
    return batch
