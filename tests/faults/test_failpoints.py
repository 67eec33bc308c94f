"""The streaming process killed at each arrow of the walk, and started again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL

import psycopg
import pytest

from tests.faults.judge import judged
from tests.faults.nursery import Nursling
from tests.helpers.scans import scan
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.failpoints import STAGES, arm
from wpb_stream.replay import Recorded, publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

AT_ITS_END = ("ended", "written", "saved", "ending", "kept")
"""These come once a run."""
IN_BETWEEN = tuple(stage for stage in STAGES if stage not in (*AT_ITS_END, "adopted", "published"))
"""These come with every start or every batch."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Small windows, and a topic for gateways: every stage is come to."""
    return settings.model_copy(update={"window_frames": 5, "gateway_topic": settings.sources[0] + "-board"})


async def dies(process: Nursling, settings: Settings, stage: str, *documents: Recorded) -> None:
    """Start the process, publish documents, and wait for its death at that stage."""
    await process.start(WPB_CRASH_AT=stage)
    await publish(documents, settings.sources[0], speed=0)
    assert await process.ended() == -SIGKILL, process.log[-3000:]


async def test_a_scan_during_which_the_process_dies_at_every_stage_once_is_whole(
    settings: Settings, nursling: Nursling, tmp_path: Path
) -> None:
    run, unordered = scan(tmp_path / "frames", (len(IN_BETWEEN), 6)).write(), scan(tmp_path / "frames", seed=1).write()
    async with judged(settings, run, unordered, clients=1):
        await dies(nursling, settings, "published", *run.head, *run.at(0, 6))
        for row, stage in enumerate(IN_BETWEEN[1:], 1):
            await dies(nursling, settings, stage, *run.at(6 * row, 6 * (row + 1)))
        await dies(nursling, settings, "taken_over")
        await dies(nursling, settings, "adopted", *unordered.documents[1:], unordered.documents[0])
        await publish([run.stop], settings.sources[0], speed=0)
        for stage in AT_ITS_END:
            await dies(nursling, settings, stage)
        await nursling.serve()


async def until_stored(settings: Settings, process: Nursling, documents: int) -> None:
    """Wait until so many documents are in the catalogue, or the process is dead."""
    async with asyncio.timeout(60), await psycopg.AsyncConnection.connect(settings.database_url or "", autocommit=True) as connection:
        while process.alive:
            row = await (await connection.execute("SELECT count(*) FROM documents")).fetchone()
            if row is not None and row[0] >= documents:
                break
            await asyncio.sleep(0.02)


@pytest.mark.whole
@pytest.mark.parametrize("nth", [1, 2, 5])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_scan_during_which_the_process_dies_at_a_stage_the_nth_time_is_whole(
    stage: str, nth: int, settings: Settings, nursling: Nursling, tmp_path: Path
) -> None:
    """Stages that come once a start or a run are waited for over as many starts or runs."""
    runs = [scan(tmp_path / "frames", (4, 6), seed=seed).write() for seed in range(nth)]
    once_a_start = stage in ("taken_over", "restored")
    upgrade(settings.database_url or "")
    async with judged(settings, *runs, clients=1):
        for _ in range(nth - 1 if once_a_start else 0):
            await dies(nursling, settings, stage)
        await nursling.start(WPB_CRASH_AT=stage if once_a_start else f"{stage}:{nth}")
        published = 0
        for run in runs:
            for part in (*(run.at(first, first + 6) for first in range(0, run.points, 6)), [*run.head, run.stop]):
                await publish(part, settings.sources[0], speed=0)
                published += len(part)
                await until_stored(settings, nursling, published)  # each part a batch of its own
        assert await nursling.ended() == -SIGKILL, nursling.log[-3000:]
        await nursling.serve()


@pytest.mark.parametrize("told", ["nowhere", "stored:0", "stored:x", "stored:-1"])
def test_a_stage_that_there_is_not_is_refused_in_a_sentence(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_CRASH_AT", told)
    with pytest.raises(ServiceError, match=f"WPB_CRASH_AT must be one of taken_over, .* and is {told!r}"):
        arm()
