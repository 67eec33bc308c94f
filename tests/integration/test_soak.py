"""What a streaming process holds after many runs is what it held before them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from tests.helpers.census import census
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import Streaming, feed_url
from tests.integration.watching import publish_values
from wpb_stream.client import Update, watch
from wpb_stream.pipeline import KEPT_ENDED
from wpb_stream.replay import Recorded, publish, with_new_uids
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

WAIT_S = 120.0
RUNS = 30
"""In one go; more than are kept for those who watch them still."""


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[asyncio.Queue[Update]]:
    """The ends of runs, as a client that watches the latest one hears of them."""
    ended: asyncio.Queue[Update] = asyncio.Queue()

    async def watch_latest() -> None:
        async with aclosing(watch(feed_url(settings))) as updates:
            async for update in updates:
                if update.stopped:
                    ended.put_nowait(update)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch_latest())
        yield ended
        task.cancel()


async def play(runs: Sequence[Sequence[Recorded]], settings: Settings, ended: asyncio.Queue[Update]) -> None:
    """Publish runs, and wait until the last one is over."""
    await publish((document for run in runs for document in run), settings.sources[0], speed=0)
    async with asyncio.timeout(WAIT_S):
        while (await ended.get()).run.uid != runs[-1][0].doc["uid"]:
            pass


def played(scans: Sequence[Scan], runs: int) -> list[list[Recorded]]:
    return [list(with_new_uids(scans[number % len(scans)].documents)) for number in range(runs)]


async def settled(expected: dict[str, int]) -> dict[str, int]:
    """What is held, once it is as expected, or after a while in any case: a run that its clients know to be over is still being let go."""
    for _ in range(100):
        if {name: census()[name] for name in expected} == expected:
            break
        await asyncio.sleep(0.05)
    return census()


def strays() -> Iterator[bytes]:
    """Documents of runs that never begin, messages that are no documents, events of a worker that makes no run."""
    for number in range(RUNS):
        bounds = {"seq_nums": {"start": 1, "stop": 2}, "indices": {"start": 0, "stop": 1}}
        resource = str(uuid4())
        yield msgspec.msgpack.encode(
            ("stream_datum", {"uid": f"{resource}/0", "stream_resource": resource, "descriptor": str(uuid4()), **bounds})
        )
        yield b"\x00 no document %d" % number
        yield json.dumps({"state": "IDLE", "task_status": {"task_id": str(uuid4())}, "errors": [], "warnings": []}).encode()


FLAT = ("runs", "owners", "parked", "parents waited for", "unclaimed", "plans", "growing", "on the board", "queued", "tasks")
"""What must be the same after any number of runs."""
CONNECTIONS = 8
"""To the database: they come and go with what there is to ask."""
KEPT = {"runs": KEPT_ENDED, "growing": KEPT_ENDED, "on the board": KEPT_ENDED, "queued": 0, "parked": 0, "parents waited for": 0}


async def test_after_many_runs_no_more_is_held_than_after_a_few(settings: Settings, streaming: Streaming, tmp_path: Path) -> None:
    scans = [scan(tmp_path / "frames", seed=seed).write() for seed in range(3)]
    async with streaming(settings), watching(settings) as ended:
        await play(played(scans, RUNS), settings, ended)
        before = await settled(KEPT)
        await play(played(scans, 2 * RUNS), settings, ended)
        after = await settled({name: before[name] for name in FLAT})
    assert {name: before[name] for name in KEPT} == KEPT
    # A descriptor and a resource a run.
    assert before["owners"] == after["owners"] == 2 * KEPT_ENDED
    assert {name: after[name] for name in FLAT} == {name: before[name] for name in FLAT}
    assert after["open files"] <= before["open files"] + CONNECTIONS


@pytest.mark.whole
async def test_runs_that_never_end_and_documents_without_a_run_leave_nothing_behind_but_what_waits(
    settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    scans = [scan(tmp_path / "frames", seed=seed).write() for seed in range(3)]
    impatient = settings.model_copy(update={"run_idle_s": 1.0})
    async with streaming(impatient), watching(settings) as ended:
        await play(played(scans, RUNS), settings, ended)
        before = await settled(KEPT)
        unended = [run[: 3 + 2 * 5] for run in played(scans, RUNS)]
        await play(unended, settings, ended)
        await publish_values(settings, strays())
        await play(played(scans, RUNS), settings, ended)
        after = await settled({**KEPT, "parked": RUNS, "parents waited for": RUNS})
    assert {name: after[name] for name in FLAT} == {name: before[name] for name in FLAT} | {"parked": RUNS, "parents waited for": RUNS}
    assert after["open files"] <= before["open files"] + CONNECTIONS


@pytest.mark.whole
async def test_of_the_tasks_that_made_runs_only_those_of_runs_that_are_kept_are_remembered(
    settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    runs = played([scan(tmp_path / "frames").write()], RUNS)
    messages: list[bytes] = []
    for number, run in enumerate(runs):
        task = f"task-{number}"
        messages += [msgspec.json.encode({"name": document.name, "doc": document.doc, "task_id": task}) for document in run]
        messages.append(json.dumps({"state": "IDLE", "task_status": {"task_id": task, "task_failed": False}}).encode())
    async with streaming(settings), watching(settings) as ended:
        await publish_values(settings, messages)
        async with asyncio.timeout(WAIT_S):
            while (await ended.get()).run.uid != runs[-1][0].doc["uid"]:
                pass
        held = await settled({**KEPT, "plans": KEPT_ENDED})
    assert {name: held[name] for name in (*KEPT, "plans")} == {**KEPT, "plans": KEPT_ENDED}
