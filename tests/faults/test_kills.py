"""The streaming process killed, at any moment: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import random
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.faults.judge import judged
from tests.faults.nursery import Nursling
from tests.helpers.scans import scan
from tests.integration.conftest import RECORDINGS, feed_url
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import watch
from wpb_stream.replay import publish, read_timed
from wpb_stream.settings import Settings
from wpb_stream.sim.standins import write_standins

pytestmark = [pytest.mark.integration, pytest.mark.faults]

POINTS = 25
"""Between two kills."""


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.whole)])
async def test_kills_at_random_moments_of_a_scan_lose_nothing_and_double_nothing(
    kills: int, settings: Settings, nursling: Nursling, tmp_path: Path
) -> None:
    dice = random.Random(kills)
    run = scan(tmp_path / "frames", shape=(kills, POINTS)).write()
    async with judged(settings, run):
        await publish(run.head, settings.sources[0], speed=0)
        for row in range(kills):
            await nursling.serve()
            await publish(run.at(POINTS * row, POINTS * (row + 1)), settings.sources[0], speed=0)
            await asyncio.sleep(dice.uniform(0, 0.1))  # the moment itself is what is drawn
            await nursling.kill()
        await publish([run.stop], settings.sources[0], speed=0)
        await nursling.serve()


async def test_a_recorded_run_goes_on_after_each_kill_under_another_revision_and_its_map_is_complete(
    settings: Settings, nursling: Nursling, tmp_path: Path
) -> None:
    recording = RECORDINGS / "b01-1-demo-plan-2025-06.json"
    file = (await asyncio.to_thread(write_standins, recording, {"/dls/b01-1": tmp_path / "frames"}, frame=(48, 64)))[0]
    messages = iter(list(islice((m for m in read_timed(recording) if m.name), 130)))  # the first of the two runs
    await publish(islice(messages, 34), settings.sources[0], speed=0)
    await nursling.start()
    revisions: list[str] = []
    async with asyncio.timeout(120):
        async for update in watch(feed_url(settings)):
            if update.revision not in revisions:
                revisions.append(update.revision)
            if update.stopped:
                break
            if update.rows >= 15 * len(revisions) and len(revisions) < 4:
                await nursling.kill()
                # Published while nobody listens: what came before the kill is in the catalogue, this waits in the broker.
                await publish(islice(messages, 32 if len(revisions) < 3 else None), settings.sources[0], speed=0)
                await nursling.start()
    with h5py.File(file) as opened:
        expected = opened["/entry/data/data"][...].astype(np.uint64).sum(axis=(1, 2)).reshape(7, 9).astype(float)
    expected[1::2] = expected[1::2, ::-1]
    np.testing.assert_array_equal(update.map("total"), expected)
    assert (update.run.status, update.rows) == ("success", 63)
    assert revisions == ["live", "live.2", "live.3", "live.4"]
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert len(catalogue.documents(update.run.uid)) == 130
