"""Over a real RabbitMQ: a recorded session of blueapi, a streaming process killed, a broker restarted, and a real blueapi."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from playwright.async_api import expect

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.rabbitmq import READER, RabbitMQ
from tests.integration.blueapi import BlueAPI, blueapi
from tests.integration.conftest import RECORDINGS, StreamingProcess, feed_url
from wpb_stream.blueapi import BlueApi, Task, UnknownTask
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import Update, watch
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.settings import Settings
from wpb_stream.sim.standins import write_standins

__all__ = ["blueapi"]

pytestmark = pytest.mark.integration

WAIT_S = 60.0
RECORDING = RECORDINGS / "stomp-blueapi-frames.jsonl"
RUN = "6ddf22cf-68ee-47c9-aca4-4aaef45a540a"
TOPIC = "public.worker.event"
"""blueapi's."""


@pytest.fixture
def stomp_settings(settings: Settings, rabbitmq: RabbitMQ, stomp_topic: str, tmp_path: Path) -> Settings:
    """Settings of a streaming process that listens to RabbitMQ, on a topic of its own."""
    options = {**READER, "heartbeat_s": 1}
    mapped = (f"/data/sim={tmp_path / 'frames'}",)
    return settings.model_copy(update={"sources": (rabbitmq.url(stomp_topic),), "stomp_options": options, "path_map": mapped})


@pytest.fixture
def frames(tmp_path: Path) -> npt.NDArray[np.uint8]:
    """The frames that the recorded run speaks of, in the order they were taken."""
    (file,) = write_standins(RECORDING, {"/data/sim": tmp_path / "frames"})
    return read_frames(file)


def read_frames(file: Path) -> npt.NDArray[np.uint8]:
    with h5py.File(file, swmr=True) as opened:
        return opened["/entry/data/data"][...]


def bodies() -> list[bytes]:
    """What the recorded blueapi published."""
    frames = map(json.loads, RECORDING.read_text().splitlines())
    return [frame["body"].encode() for frame in frames if frame["command"] == "MESSAGE"]


def snaked(frames: npt.NDArray[np.uint8], rows: int) -> npt.NDArray[np.float64]:
    """The map of the frames' sums, row by row, back and forth."""
    total = frames.sum(axis=(1, 2), dtype=np.float64).reshape(rows, -1)
    total[1::2] = total[1::2, ::-1]
    return total


async def until_stopped(settings: Settings, run: str = "latest") -> Update:
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings), run)) as updates:
        async for update in updates:
            if update.stopped:
                return update
    raise AssertionError


async def until_rows(settings: Settings, rows: int) -> None:
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            if update.rows >= rows:
                return


@pytest.fixture
def hear_info(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what a source says at level INFO."""
    caplog.set_level("INFO", logger="wpb_stream.sources.stomp")


async def until_told(text: str, log: Path | pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(WAIT_S):
        while text not in (log.read_text() if isinstance(log, Path) else log.text):
            await asyncio.sleep(0.05)


def assert_is_whole(settings: Settings, update: Update, frames: npt.NDArray[np.uint8]) -> None:
    """Whether the recorded run is there, with its map, and nothing else."""
    assert (update.run.uid, update.rows, update.run.status, update.run.shape) == (RUN, 6, "success", [2, 3])
    np.testing.assert_array_equal(update.map("total"), snaked(frames, rows=2))
    with CatalogueReader(settings.database_url or "") as catalogue:
        names = [document.name for document in catalogue.documents(RUN)]
        assert (names.count("event"), names.count("stream_datum"), len(names)) == (6, 12, 23)
        assert catalogue.dead_letters() == []


@pytest.mark.usefixtures("hear_info")
async def test_a_recorded_session_of_blueapi_gives_its_map_and_the_state_of_its_plan_and_no_dead_letters(
    stomp_settings: Settings,
    streaming,
    rabbitmq: RabbitMQ,
    stomp_topic: str,
    frames: npt.NDArray[np.uint8],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with streaming(stomp_settings):
        await until_told(f"listening to /topic/{stomp_topic} ", caplog)
        await rabbitmq.publish(stomp_topic, *bodies())
        update = await until_stopped(stomp_settings)
    assert_is_whole(stomp_settings, update, frames)
    assert update.run.plan is not None
    assert (update.run.plan.state, update.run.plan.failed) == ("IDLE", False)


@pytest.mark.faults
async def test_a_streaming_process_killed_in_mid_stream_misses_nothing_that_came_before_during_and_after(
    stomp_settings: Settings, rabbitmq: RabbitMQ, stomp_topic: str, frames: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    process, published = StreamingProcess(stomp_settings), bodies()
    try:
        await process.serve(tmp_path / "first.log")
        await until_told(f"listening to /topic/{stomp_topic} ", tmp_path / "first.log")
        await rabbitmq.publish(stomp_topic, *published[:50])
        await until_rows(stomp_settings, 2)
        await process.kill()
        await rabbitmq.publish(stomp_topic, *published[50:60])
        await process.serve(tmp_path / "second.log")
        await rabbitmq.publish(stomp_topic, *published[60:])
        update = await until_stopped(stomp_settings, RUN)
    finally:
        await process.kill()
    assert_is_whole(stomp_settings, update, frames)


@pytest.mark.usefixtures("hear_info")
async def test_a_broker_restarted_in_mid_stream_is_entered_again(
    stomp_settings: Settings,
    streaming,
    rabbitmq: RabbitMQ,
    stomp_topic: str,
    frames: npt.NDArray[np.uint8],
    caplog: pytest.LogCaptureFixture,
) -> None:
    published = bodies()
    async with streaming(stomp_settings):
        await until_told(f"listening to /topic/{stomp_topic} ", caplog)
        await rabbitmq.publish(stomp_topic, *published[:50], persistent=True)
        await until_rows(stomp_settings, 2)
        caplog.clear()
        rabbitmq.end()
        await until_told("trying again", caplog)
        await rabbitmq.until_back()
        await rabbitmq.publish(stomp_topic, *published[50:], persistent=True)
        update = await until_stopped(stomp_settings)
    assert_is_whole(stomp_settings, update, frames)


async def until(settings: Settings, run: str, happened: Callable[[Update], bool]) -> Update:
    """Watch a run until something has been told of it."""
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings), run)) as updates:
        async for update in updates:
            if happened(update):
                return update
    raise AssertionError


def is_idle(update: Update) -> bool:
    """Whether blueapi's worker is done with the task of the run."""
    return update.run.plan is not None and update.run.plan.state == "IDLE"


# --- blueapi itself -----------------------------------------------------------------------------------------------------


@pytest.fixture
def blueapi_settings(stomp_settings: Settings, rabbitmq: RabbitMQ, blueapi: BlueAPI) -> Settings:
    """Settings of a streaming process that listens to blueapi."""
    told = {"sources": (rabbitmq.url(TOPIC),), "data_roots": (blueapi.frames,), "blueapi_url": blueapi.url}
    return stomp_settings.model_copy(update=told)


@pytest.mark.usefixtures("hear_info")
async def test_a_scan_that_blueapi_runs_gives_its_map_and_whoever_watches_it_may_have_it_run_again(
    blueapi_settings: Settings, streaming, blueapi: BlueAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with streaming(blueapi_settings):
        await until_told(f"listening to /topic/{TOPIC} ", caplog)
        await blueapi.run("map_sample", camera="camera", stage="stage", rows=3, columns=4)
        update = await until_stopped(blueapi_settings)
        await until(blueapi_settings, update.run.uid, is_idle)
        (file,) = blueapi.frames.glob("*.h5")
        async with viewer_page(f"http://{blueapi_settings.listen}/") as viewer:
            await run_again(viewer, update.run.uid)
    taken = read_frames(file)
    assert len({int(frame.sum()) for frame in taken}) == 12, "no two points look alike"
    assert (update.run.plan_name, update.run.shape, update.rows, update.run.status) == ("grid_scan", [3, 4], 12, "success")
    np.testing.assert_array_equal(update.map("total"), snaked(taken, rows=3))
    with CatalogueReader(blueapi_settings.database_url or "") as catalogue:
        assert catalogue.dead_letters() == []


async def run_again(viewer: Viewer, uid: str) -> None:
    """Have the plan of a run run again from the page, which follows it."""
    page = viewer.page
    await viewer.wait_until(run=uid, rows=12, status="success")
    await page.get_by_role("button", name="Run again").click()
    await expect(page.locator("#again-plan")).to_have_text('map_sample(camera="camera", stage="stage", rows=3, columns=4)')
    await page.get_by_role("button", name="Run", exact=True).click()
    await expect(page.locator("#again-said")).to_have_text(re.compile("It runs, as task [0-9a-f]{8}."))
    await page.locator(f'html:not([data-run="{uid}"])[data-rows="12"][data-status="success"]').wait_for(state="attached")
    assert viewer.complaints == []


@pytest.mark.usefixtures("hear_info")
async def test_a_plan_that_fails_in_blueapi_is_told_at_its_run(
    blueapi_settings: Settings, streaming, blueapi: BlueAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with streaming(blueapi_settings):
        await until_told(f"listening to /topic/{TOPIC} ", caplog)
        await blueapi.run("break_down", camera="camera")
        run = (await until_stopped(blueapi_settings)).run.uid
        update = await until(blueapi_settings, run, lambda update: "plan_failed" in {notice.code for notice in update.notices})
    assert update.run.status == "fail"
    assert update.run.plan is not None
    assert update.run.plan.failed
    assert "the shutter is closed" in " ".join(notice.message for notice in update.notices)
    with CatalogueReader(blueapi_settings.database_url or "") as catalogue:
        assert catalogue.dead_letters() == []


async def test_a_task_that_blueapi_cannot_run_now_is_not_left_there(blueapi: BlueAPI) -> None:
    asked = BlueApi(blueapi.url)
    with pytest.raises(UnknownTask, match="does not know the task no/such any more"):
        await asked.task("no/such")
    with pytest.raises(ServiceError, match="refuses: HTTP 422"):
        await asked.run(Task("map_sample", {"camera": "camera"}, "cm12345-1"))
    scan = Task("map_sample", {"camera": "camera", "stage": "stage", "rows": 20, "columns": 20}, "cm12345-1")
    first = await asked.run(scan)
    assert await asked.task(first) == scan
    with pytest.raises(ServiceError, match="busy with another task"):
        await asked.run(scan)
    assert await blueapi.tasks() == [first]
