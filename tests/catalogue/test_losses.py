"""What a bus had let go of, in the catalogue: told to the runs that it may concern, and not remembered for ever."""

from __future__ import annotations

import pytest

from wpb_stream.catalogue import writer as writing
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.records import Batch
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.documents import Document, Loss


def loss(number: int) -> Loss:
    return Loss("kafka:c/topic", "0", number, 5, f"loss {number}")


async def test_a_run_is_told_what_was_lost_since_it_began_and_only_so_many_losses_are_remembered(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_LOSSES", 4)
    upgrade(postgres_url)
    start = Document("start", {"uid": "u", "time": 0.0})
    async with CatalogueWriter(postgres_url) as writer:
        await writer.take_over()
        await writer.store(Batch([], [], {}, [loss(0)]))
        await writer.store(Batch([("u", start)], [], {}))
        await writer.store(Batch([], [], {}, [loss(1), loss(2)]))
        assert await writer.losses_during("u") == ["loss 1", "loss 2"]
        await writer.store(Batch([], [], {}, [loss(number) for number in range(3, 6)]))
        assert await writer.losses_during("u") == ["loss 2", "loss 3", "loss 4", "loss 5"]
        # What is lost after its end is none of its.
        await writer.store(Batch([("u", Document("stop", {"uid": "s", "run_start": "u", "exit_status": "success"}))], [], {}))
        await writer.store(Batch([], [], {}, [loss(6)]))
        assert await writer.losses_during("u") == ["loss 3", "loss 4", "loss 5"]
