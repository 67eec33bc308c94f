"""What a bus had let go of is told to those who watch a run that began with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.helpers.scans import scan
from tests.integration.feed.walking import Bus, Walk
from tests.integration.recomputed import as_received
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.client import watch
from wpb_stream.core.documents import Arrival, Document, Loss

pytestmark = [pytest.mark.integration, pytest.mark.faults]


class Forgetful(Bus):
    """A bus that had let go of something by the time that its messages are read."""

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[Sequence[Arrival]]:
        async for messages in super().batches(positions):
            yield [*messages, Loss(self.identity, "0", 99, 7, "7 messages were deleted")]


async def test_a_loss_that_comes_with_the_start_of_a_run_is_told_to_those_who_watch_it(postgres_url: str, tmp_path: Path) -> None:
    upgrade(postgres_url)
    run, bus = scan(tmp_path).write(), Forgetful()
    received: list[Document] = as_received((each.name or "", each.doc) for each in run.documents)
    bus.publish(received[:-1])
    walk = Walk(postgres_url, tmp_path, bus)
    await walk.start()
    try:
        async with asyncio.timeout(20):
            async for update in watch(walk.url or ""):
                if any(notice.code == "messages_lost" for notice in update.notices):
                    break
    finally:
        await walk.kill()
