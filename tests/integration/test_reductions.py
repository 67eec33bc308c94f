"""All that can be asked of frames: what clients see of a scan by a real RunEngine is bit for bit what a recomputation gives.

The scan is paused and resumed, so that points are measured twice; its documents come backwards, and once more in no order;
and the process that reads them is restarted in the middle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import pytest

from tests.helpers.laboratory import Laboratory
from tests.helpers.plans import after_point, grid, until_over
from tests.integration.conftest import Streaming
from tests.integration.recomputed import assert_alike, live_and_batch
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
    update, batch = await live_and_batch(lab, settings, streaming)
    assert_alike(update, batch)
    assert not batch.notices
