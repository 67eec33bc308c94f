"""Slices of a sample that turns: what clients see of a scan by a real RunEngine is bit for bit what a recomputation gives.

As in test_reductions the scan is paused and resumed, its documents come backwards and once more in no order, and the process that reads
them is restarted in the middle.
"""

from __future__ import annotations

import random
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest

from tests.helpers.documents import as_json
from tests.helpers.laboratory import FRAME, Laboratory
from tests.helpers.plans import after_point, until_over
from tests.integration.conftest import Streaming
from tests.integration.test_plans import as_received, reconstructed
from tests.integration.watching import publish_values, until_latest_stopped
from wpb_stream.core.tomography import absorption, filtered_back_projection
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration

POINTS, ROW, FLAT = 12, 2, 250.0


async def test_slices_grow_with_the_scan_and_are_what_a_recomputation_gives(
    settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    lab = Laboratory(tmp_path / "frames")
    asked = {"tomography": {"slices": [ROW, 5], "flat": FLAT}}
    turn = bp.grid_scan([lab.camera], lab.x, 0, 165, POINTS, per_step=after_point(6, bps.pause), md={"wpb": asked})
    until_over(lab, turn)
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
    assert list(update.arrays) == update.run.arrays == list(batch.arrays) == ["sinogram.2", "slice.2", "sinogram.5", "slice.5"]
    for name, array in update.arrays.items():
        assert array.tobytes() == batch.arrays[name].values.tobytes(), name
    newest = {round(shot.at["x"] / 15): shot.frame for shot in lab.films["camera"].shots}
    rows = np.array([newest[point][ROW] for point in range(POINTS)], np.float64)
    np.testing.assert_allclose(update.arrays["sinogram.2"], absorption(rows, FLAT), rtol=1e-6)
    expected = filtered_back_projection(absorption(rows, FLAT), np.radians(165.0) / (POINTS - 1) * np.arange(POINTS))
    np.testing.assert_allclose(update.arrays["slice.2"], expected, rtol=1e-5, atol=1e-6)
    assert update.arrays["slice.2"].shape == (FRAME[1], FRAME[1])
