"""The broker killed and started anew under a streaming process that listens: what is published afterwards arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.own_broker import Broker
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import feed_url
from wpb_stream.client import watch
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

WAIT_S = 60.0


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker for this test alone; it runs."""
    broker = Broker(tmp_path)
    await broker.start()
    yield broker
    await broker.kill()


async def assert_arrives(settings: Settings, run: Scan) -> None:
    """Publish a run; its map comes out."""
    await publish(run.documents, settings.sources[0], speed=0)
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            if update.stopped and update.run.uid == run.uid:
                np.testing.assert_array_equal(update.map("total"), run.map("total"))
                return


@pytest.mark.parametrize("noticed", [True, False], ids=["after-its-loss-was-noticed", "at-once"])
@pytest.mark.parametrize("kafka_start", ["earliest", "latest"])
async def test_runs_published_after_each_restart_of_the_broker_arrive(
    noticed: bool, kafka_start: str, settings: Settings, streaming, own_broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"sources": (f"kafka://{own_broker.address}/documents",), "kafka_start": kafka_start})
    caplog.set_level("INFO", logger="wpb_stream")
    async with streaming(settings):
        async with asyncio.timeout(WAIT_S):
            while "listening to documents/0" not in caplog.text:
                await asyncio.sleep(0.02)
        await assert_arrives(settings, scan(tmp_path / "frames").write())
        for restart in (1, 2):
            await own_broker.kill()
            async with asyncio.timeout(WAIT_S):
                while noticed and caplog.text.count(f"Kafka at {own_broker.address} went away") < restart:
                    await asyncio.sleep(0.02)
            await own_broker.start()
            await assert_arrives(settings, scan(tmp_path / "frames", seed=restart).write())
