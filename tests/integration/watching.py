"""Putting runs onto the bus, and watching what becomes of them, as a client does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

import numpy as np

from tests.helpers.scans import Scan
from tests.helpers.topics import put
from tests.integration.conftest import feed_url
from wpb_stream.client import Update, watch
from wpb_stream.replay import parse_kafka_url
from wpb_stream.settings import Settings

CHANNELS = ("red", "green", "blue", "total")
WAIT_S = 60.0
LARGEST = 2 * 2**20
"""Bytes of a message that is put on the bus here; the larger ones take long and say no more."""


async def until_stopped(settings: Settings, run: str) -> Update:
    """Watch a run, which has begun, to its end."""
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings), run)) as updates:
        async for update in updates:
            if update.stopped:
                return update
    raise AssertionError


async def until_latest_stopped(settings: Settings, run: str) -> Update:
    """Watch the latest run until that one was the latest and is over."""
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            if update.stopped and update.run.uid == run:
                return update
    raise AssertionError


def assert_is_map_of(update: Update, run: Scan) -> None:
    assert (update.run.uid, update.rows, update.run.status) == (run.uid, run.points, "success")
    for channel in CHANNELS:
        np.testing.assert_array_equal(update.map(channel), run.map(channel))


async def publish_values(settings: Settings, values: Iterable[bytes]) -> None:
    """Put bytes on the bus as they are."""
    brokers, topic = parse_kafka_url(settings.sources[0])
    await put(brokers, topic, *values)
