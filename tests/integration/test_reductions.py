"""All that can be asked of frames: what clients see of a scan by a real RunEngine is bit for bit what a recomputation gives.

The scan is paused and resumed, so that points are measured twice; its documents come backwards, and once more in no order;
and the process that reads them is restarted in the middle.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.documents import as_json
from tests.helpers.laboratory import Laboratory
from tests.helpers.plans import after_point, grid, until_over
from tests.integration.conftest import Streaming
from tests.integration.test_plans import as_received, reconstructed
from tests.integration.watching import publish_values, until_latest_stopped
from wpb_stream.core.accumulation import Kind
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration

DISK = {"ellipse": {"centre": [3, 2], "radii": [2, 1.5]}}
ASKED: dict[str, dict[str, Any]] = {
    "sums": {"regions": {"red": {"rows": [0, 3]}, "rest": {**DISK, "outside": True}}},
    "statistics": {
        "regions": {
            "mean": {**DISK, "statistic": "mean"},
            "peak": {"columns": [1, 3], "statistic": "maximum"},
            "hits": {"statistic": "above", "threshold": 99.5},
        },
        "bad_pixels": [[1, 1], [5, 0]],
        "arrays": [kind.value for kind in Kind],
        "fit": {"model": "polynomial", "degree": 2, "channels": ["mean", "peak"]},
    },
    "centre of mass": {
        "reduction": "centre_of_mass",
        "mask": DISK,
        "bad_pixels": [[3, 2]],
        "phase": {"axes": ["-column", "row"], "pixel_size": 55e-6, "distance": 2.0, "wavelength": 1.5e-10},
    },
    "elements": {
        "reduction": "xrf",
        "energy": {"offset": 0.25, "step": 0.5},
        "elements": {"Fe": {"window": [0.5, 1.5], "background": [[0.0, 0.5], [1.5, 2.0]]}, "Ca": {"window": [0.0, 1.0]}},
        "bad_pixels": [[2, 1], [5, 3]],
    },
}


@pytest.mark.parametrize("wpb", ASKED.values(), ids=ASKED)
async def test_what_is_shown_live_is_what_a_recomputation_gives(
    wpb: dict[str, Any], settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    lab = Laboratory(tmp_path / "frames")
    until_over(lab, grid(lab, per_step=after_point(6, bps.pause), md={"wpb": wpb}))
    documents = as_received(lab.documents)
    (batch,) = reconstructed(documents, lab.folder)
    shuffled = random.Random(7).sample(documents[1:], len(documents) - 1)
    messages = [as_json(document.name, document.doc) for document in [documents[0], *documents[:0:-1], *shuffled]]
    middle = len(documents) // 2
    async with streaming(settings):
        await publish_values(settings, messages[:middle])
    async with streaming(settings):
        await publish_values(settings, messages[middle:])
        update = await until_latest_stopped(settings, batch.info.uid)
    maps = batch.table.maps(batch.info.shape)
    assert [channel.name for channel in update.run.channels] == list(maps) == [channel.name for channel in batch.info.channels]
    for channel, values in maps.items():
        assert update.map(channel).tobytes() == values.tobytes(), channel
        assert np.isfinite(values).all(), channel
    assert list(update.arrays) == update.run.arrays == list(batch.arrays)
    for name, array in update.arrays.items():
        assert _whole(array) == _whole(batch.arrays[name].values), name
    assert {notice.code for notice in update.notices} == {notice.code for notice in batch.notices} == set()


def _whole(array: npt.NDArray[Any]) -> tuple[np.dtype[Any], tuple[int, ...], bytes]:
    return array.dtype, array.shape, array.tobytes()
