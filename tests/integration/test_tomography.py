"""Slices of a sample that turns: what clients see of a scan by a real RunEngine is bit for bit what a recomputation gives.

As in test_reductions the scan is paused and resumed, its documents come backwards and once more in no order, and the process that reads
them is restarted in the middle.
"""

from __future__ import annotations

from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest

from tests.helpers.laboratory import FRAME, Laboratory
from tests.helpers.plans import after_point, until_over
from tests.helpers.projections import projected_back
from tests.integration.conftest import Streaming
from tests.integration.recomputed import assert_alike, live_and_batch
from wpb_stream.core.tomography import absorption
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
    update, batch = await live_and_batch(lab, settings, streaming)
    assert_alike(update, batch)
    assert update.run.arrays == ["sinogram.2", "slice.2", "sinogram.5", "slice.5"]
    newest = {round(shot.at["x"] / 15): shot.frame for shot in lab.films["camera"].shots}
    rows = np.array([newest[point][ROW] for point in range(POINTS)], np.float64)
    np.testing.assert_allclose(update.arrays["sinogram.2"], absorption(rows, FLAT), rtol=1e-6)
    expected = projected_back(absorption(rows, FLAT), np.radians(165.0) / (POINTS - 1) * np.arange(POINTS))
    np.testing.assert_allclose(update.arrays["slice.2"], expected, rtol=1e-5, atol=1e-6)
    assert update.arrays["slice.2"].shape == (FRAME[1], FRAME[1])
