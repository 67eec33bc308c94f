"""The streaming process killed in mid-scan: the run goes on, and the map is complete."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.integration.conftest import RECORDINGS, StreamingProcess, feed_url
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import watch
from wpb_stream.replay import publish, read_timed
from wpb_stream.settings import Settings
from wpb_stream.sim.standins import write_standins

pytestmark = pytest.mark.integration


async def test_a_run_goes_on_after_each_kill_and_its_final_map_is_complete(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    recording = RECORDINGS / "b01-1-demo-plan-2025-06.json"
    file = (await asyncio.to_thread(write_standins, recording, {"/dls/b01-1": tmp_path / "frames"}, frame=(48, 64)))[0]
    messages = iter(list(islice((m for m in read_timed(recording) if m.name), 130)))  # the first of the two runs
    await publish(islice(messages, 34), settings.sources[0], speed=0)
    await streaming_process.start()
    revisions: list[str] = []
    async with asyncio.timeout(120):
        async for update in watch(feed_url(settings)):
            if update.revision not in revisions:
                revisions.append(update.revision)
            if update.stopped:
                break
            if update.rows >= 15 * len(revisions) and len(revisions) < 4:
                await streaming_process.kill()
                # Published while nobody listens: what came before the kill is in the catalogue, this waits in the broker.
                await publish(islice(messages, 32 if len(revisions) < 3 else None), settings.sources[0], speed=0)
                await streaming_process.start()
    with h5py.File(file) as opened:
        expected = opened["/entry/data/data"][...].astype(np.uint64).sum(axis=(1, 2)).reshape(7, 9).astype(float)
    expected[1::2] = expected[1::2, ::-1]
    np.testing.assert_array_equal(update.map("total"), expected)
    assert (update.run.status, update.rows) == ("success", 63)
    assert revisions == ["live", "live.2", "live.3", "live.4"]
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert len(catalogue.documents(update.run.uid)) == 130
