"""A run shown in a notebook: the kernel is a real one, and what it sends is what a notebook would be sent."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import start_new_async_kernel

from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import Beamline
from wpb_stream.client import Update, watch
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.pictures import draw

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "python.md"
WAIT_S = 60.0
KINDS = ("display_data", "update_display_data", "execute_result", "stream", "error")


class Notebook:
    """Cells that are run, and what they show."""

    def __init__(self, kernel: AsyncKernelClient) -> None:
        self._kernel = kernel

    def run(self, cell: str) -> None:
        self._kernel.execute(cell)

    async def shown(self) -> tuple[str, dict[str, Any]]:
        """The next thing that is shown: its kind and content."""
        async with asyncio.timeout(WAIT_S):
            while True:
                message = await self._kernel.get_iopub_msg()
                if message["msg_type"] in KINDS:
                    return message["msg_type"], message["content"]

    async def until(self, text: str) -> dict[str, Any]:
        """What is shown, once that text is in it."""
        while True:
            _, content = await self.shown()
            if text in content.get("data", content).get("text/plain", content.get("text", "")):
                return content


@pytest_asyncio.fixture(loop_scope="module")
async def notebook() -> AsyncIterator[Notebook]:
    manager, kernel = await start_new_async_kernel(startup_timeout=WAIT_S)
    try:
        yield Notebook(kernel)
    finally:
        kernel.stop_channels()
        await manager.shutdown_kernel(now=True)


def picture(content: dict[str, Any]) -> bytes:
    (png,) = re.findall('src="data:image/png;base64,([^"]+)"', content["data"]["text/html"])
    return base64.b64decode(png)


async def known(beamline: Beamline, one: Scan) -> Update:
    """What the feed says of a run that is over."""
    async for update in watch(beamline.url, one.uid):
        if update.stopped:
            return update
    raise AssertionError


async def test_a_picture_changes_in_place_as_the_run_grows_also_while_a_cell_runs(beamline: Beamline, notebook: Notebook) -> None:
    one = scan(beamline.folder, exit_status="abort", reason="the beam was <lost>")
    await beamline.begin(one, 5)
    notebook.run(f"from wpb_stream.client import watch; showing = watch({beamline.url!r}, {one.uid!r}).show(); showing")
    kind, first = await notebook.shown()
    assert (kind, first["data"]["text/plain"]) == ("display_data", "waiting for the feed")
    half = await notebook.until("run 7 grid_scan running: 5 of 12")
    notebook.run("import threading; threading.Event().wait()")  # as a plan does
    await beamline.publish(*one.at(5, 12), one.stop)
    done = await notebook.until("run 7 grid_scan abort: 12 of 12")
    assert "the beam was &lt;lost&gt;" in done["data"]["text/html"]
    assert {content["transient"]["display_id"] for content in (half, done)} == {first["transient"]["display_id"]}
    assert picture(half) != picture(done)
    last = await known(beamline, one)
    assert picture(done) == draw(last.run, last.table.maps(last.run.shape))


async def test_a_picture_that_is_stopped_stays_and_nothing_is_left_running(
    beamline: Beamline, past: list[Scan], notebook: Notebook
) -> None:
    example = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[-1]
    notebook.run(example.replace("ws://127.0.0.1:8000/ws", beamline.url))
    await notebook.until("12 of 12")
    notebook.run("import threading; showing.stop(); print({each.name for each in threading.enumerate()} & {'watching', 'showing'})")
    assert await notebook.until("set()") == {"name": "stdout", "text": "set()\n"}


async def test_what_the_feed_refuses_is_told_in_the_place_of_the_picture(beamline: Beamline, past: list[Scan], notebook: Notebook) -> None:
    notebook.run(f"from wpb_stream.client import watch; watch({beamline.url!r}, 'no such run').show()")
    assert "<img" not in (await notebook.until("no such run"))["data"]["text/html"]


async def test_where_there_is_no_notebook_it_is_said_what_else_there_is(beamline: Beamline, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServiceError, match="this is no notebook"):
        watch(beamline.url).show()
    assert capsys.readouterr().out == ""
