"""The browser client in Node, on a real streaming process."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.feed.test_browser_client import WATCHER
from tests.helpers.nodejs import CLIENT, ROOT, node, packages, script
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import feed_url
from tests.integration.feed.conftest import CHANNELS, Beamline
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


def expected(one: Scan) -> dict[str, Any]:
    """What a client must find of a scan."""
    frame, mean = one.frames[3], one.frames.mean(axis=0).astype("f4")
    return {
        "uid": one.uid,
        "channels": {channel: one.map(channel).ravel().tolist() for channel in CHANNELS},
        "frame": {"shape": list(frame.shape), "values": frame.ravel().tolist()},
        "mean": {"shape": list(mean.shape), "values": mean.ravel().tolist()},
    }


async def test_runs_are_watched_listed_and_fetched(beamline: Beamline, past: list[Scan]) -> None:
    packages("npm")
    with_an_array = scan(beamline.folder, seed=9, wpb={"arrays": ["mean_frame"]})
    await beamline.take(with_an_array)
    told = {"url": beamline.url, "scans": [expected(one) for one in (*past, with_an_array)]}
    assert "fail 0" in await node(Path(__file__).parent / "client.test.js", WPB_EXPECTED=json.dumps(told))


async def test_the_example_of_the_documentation_prints_a_line_for_each_run(beamline: Beamline, past: list[Scan], tmp_path: Path) -> None:
    (example,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "how-to" / "browser.md").read_text(), re.DOTALL)
    code = example.replace("ws://127.0.0.1:8000/ws", beamline.url).replace('"websockets-plotting-blue"', json.dumps(CLIENT.as_uri()))
    (tmp_path / "example.mjs").write_text(code.replace("grid_scan", "fly"))
    said = await node(tmp_path / "example.mjs")
    assert said.splitlines() == [f"{scan_id} success {one.map('total').max():.0f}" for scan_id, one in ((812, past[3]), (7, past[2]))]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_server_that_is_stopped_in_mid_scan_and_started_again_costs_no_value(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with script(WATCHER, feed_url(settings)) as watcher:
        async with streaming(settings):
            await publish([*run.head, *run.at(0, 5)], settings.sources[0], speed=0)
            await watcher.until("points", until=5)
        (*_, told) = await watcher.until("connection", state="waiting")
        assert told["sentence"].startswith("The server is restarting. Trying again ")
        await publish(run.at(5, 9), settings.sources[0], speed=0)
        async with streaming(settings):
            await watcher.until("points", until=9)
            await publish([*run.at(9, 12), run.stop], settings.sources[0], speed=0)
            (*_, stopped) = await watcher.until("stopped")
            watcher.tell("close")
            assert await watcher.ended() == 0
    assert stopped["status"] == "success"
    assert stopped["maps"] == {channel: run.map(channel).ravel().tolist() for channel in CHANNELS}
