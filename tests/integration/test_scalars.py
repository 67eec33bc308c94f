"""Scans of a device that gives numbers and writes no files, by a real RunEngine: read back, and through a bus and the running process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.utils import Msg

from tests.helpers.laboratory import Laboratory
from tests.helpers.plans import after_point, until_over
from tests.integration.conftest import Streaming
from tests.integration.recomputed import as_received, reconstructed
from tests.integration.watching import until_latest_stopped
from wpb_stream.replay import parse_kafka_url
from wpb_stream.settings import Settings
from wpb_stream.sim.publisher import RunPublisher

X = np.linspace(1, 4, 4)


def grid(lab: Laboratory) -> Generator[Msg, Any, Any]:
    return bp.grid_scan([lab.bright], lab.y, 0, 2, 3, lab.x, 1, 4, 4, snake_axes=True)


def rewound(lab: Laboratory) -> Generator[Msg, Any, Any]:
    per_step = after_point(5, bps.pause)
    return bp.grid_scan([lab.bright], lab.y, 0, 2, 3, lab.x, 1, 4, 4, snake_axes=True, per_step=per_step)


def line(lab: Laboratory) -> Generator[Msg, Any, Any]:
    return bp.scan([lab.bright], lab.x, 1, 4, 4)


CASES = [(grid, np.tile(X**2, (3, 1))), (rewound, np.tile(X**2, (3, 1))), (line, X**2)]


@pytest.mark.parametrize(("plan", "expected"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_the_map_is_what_the_device_read(plan: Callable[[Laboratory], Any], expected: Any, tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    until_over(lab, plan(lab))
    (made,) = reconstructed(as_received(lab.documents), tmp_path)
    np.testing.assert_array_equal(made.table.maps(made.info.shape)["bright"], expected)
    assert [channel.name for channel in made.info.channels] == ["bright"]
    assert made.notices == []


@pytest.mark.integration
@pytest.mark.parametrize(("plan", "expected"), CASES[1:], ids=lambda case: getattr(case, "__name__", ""))
async def test_a_scan_that_is_published_shows_the_same_map(
    plan: Callable[[Laboratory], Any], expected: Any, settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    lab = Laboratory(tmp_path / "frames")
    lab.engine.subscribe(RunPublisher(*parse_kafka_url(settings.sources[0])))
    async with streaming(settings):
        await asyncio.to_thread(until_over, lab, plan(lab))
        update = await until_latest_stopped(settings, lab.uid)
    np.testing.assert_array_equal(update.map("bright"), expected)
    assert update.notices == ()
