"""The runs recorded at b01-1, replayed over a real broker into a real PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.integration.conftest import RECORDINGS, feed_url
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import Update, watch
from wpb_stream.replay import publish
from wpb_stream.settings import Settings
from wpb_stream.sim.standins import write_standins

pytestmark = pytest.mark.integration

FIRST, SECOND = "7912cf00-8a30-4e87-a0c4-31ae28a54693", "35b95131-f258-4067-a02c-bc1be35925ea"


async def until_stopped(settings: Settings, run: str) -> Update:
    async for update in watch(feed_url(settings), run):
        if update.stopped:
            return update
    raise AssertionError


@pytest.fixture(scope="module")
def demo_plan_recording() -> Path:
    return RECORDINGS / "b01-1-demo-plan-2025-06.json"


async def test_both_recorded_runs_give_the_map_that_numpy_makes_of_their_files(
    settings: Settings, streaming, demo_plan_recording: Path, tmp_path: Path
) -> None:
    files = await asyncio.to_thread(write_standins, demo_plan_recording, {"/dls/b01-1": tmp_path / "frames"})
    async with streaming(settings):
        await publish(demo_plan_recording, settings.sources[0], speed=0)
        latest = await until_stopped(settings, "latest")
        updates = [await until_stopped(settings, uid) for uid in (FIRST, SECOND)]
    assert latest.run.uid == SECOND
    for update, file in zip(updates, sorted(files), strict=True):
        assert (update.rows, update.run.shape, update.run.status) == (63, [7, 9], "success")
        with h5py.File(file) as opened:
            frames = opened["/entry/data/data"][...].astype(np.uint64)
        height = frames.shape[1]
        bands = {"red": (0, height // 3), "green": (height // 3, 2 * height // 3), "blue": (2 * height // 3, height), "total": (0, height)}
        for name, (top, bottom) in bands.items():
            expected = frames[:, top:bottom].sum(axis=(1, 2)).reshape(7, 9).astype(float)
            expected[1::2] = expected[1::2, ::-1]  # the fast axis snakes, by the default for demo_plan
            np.testing.assert_array_equal(update.map(name), expected)
        assert "thirds of the frame's height" in " ".join(notice.message for notice in update.notices)


async def test_the_catalogue_holds_each_document_once_and_knows_the_worker_events_are_none(
    settings: Settings, streaming, demo_plan_recording: Path, tmp_path: Path
) -> None:
    await asyncio.to_thread(write_standins, demo_plan_recording, {"/dls/b01-1": tmp_path / "frames"}, frame=(12, 16))
    async with streaming(settings):
        await publish(demo_plan_recording, settings.sources[0], speed=0)
        await publish(demo_plan_recording, settings.sources[0], speed=0)
        async for update in watch(feed_url(settings)):
            if update.stopped and update.run.uid == SECOND:
                break
    with CatalogueReader(settings.database_url or "") as catalogue:
        names = [document.name for document in catalogue.documents(FIRST)]
        assert names.count("stream_datum") == names.count("event") == 63
        assert (names[0], names[-1], len(names)) == ("start", "stop", 130)
        assert catalogue.dead_letters() == []
        assert [run.status for run in catalogue.runs()] == ["success", "success"]
