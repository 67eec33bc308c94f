"""The plain page of docs/how-to/browser.md, of another origin than the feed, as written there but for the address."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.nodejs import ROOT, site
from tests.helpers.serving import catalogue_away, live, serving_of

pytestmark = pytest.mark.browser

(PAGE, _) = re.findall(r"```html\n(.*?)```", (ROOT / "docs" / "how-to" / "browser.md").read_text(), re.DOTALL)
ADDRESS = "127.0.0.1:8000"
SHADES = """() => {
    const copy = new OffscreenCanvas(1, 4).getContext("2d", { willReadFrequently: true });
    copy.drawImage(document.querySelector("canvas"), 0, 0);
    const { data } = copy.getImageData(0, 0, 1, 4);
    return [0, 1, 2, 3].map((cell) => [data[4 * cell], data[4 * cell + 3]]);
}"""
"""Red and opacity of each cell."""
WATCH = """async (server) => {
    const { watch } = await import(`${server}/client.js`);
    window.states = [];
    const waiting = new Promise((resolve) => {
        const connection = (state) => {
            window.states.push(state);
            if (state === "waiting") resolve();
        };
        window.feed = watch(`${server}/ws`, "latest", { run: () => window.states.push("a run") }, { connection });
    });
    await waiting;
}"""


async def listeners(viewer: Viewer) -> list[str]:
    """What is listened to on the window."""
    browser = await viewer.page.context.new_cdp_session(viewer.page)
    window = await browser.send("Runtime.evaluate", {"expression": "window"})
    found = await browser.send("DOMDebugger.getEventListeners", {"objectId": window["result"]["objectId"]})
    return [each["type"] for each in found["listeners"]]


async def test_a_page_of_an_allowed_origin_draws_a_run_as_it_grows_and_others_are_shown_none(tmp_path: Path) -> None:
    reader = catalogue_away()
    (tmp_path / "favicon.ico").touch()
    with site(tmp_path) as allowed, site(tmp_path) as other:
        async with serving_of(reader, tmp_path, origins=[allowed]) as serving:
            made = live(serving.board, 3)
            made.run = msgspec.structs.replace(made.run, shape=[4, 1], points_expected=4)
            server = f"127.0.0.1:{serving.port}"
            (tmp_path / "index.html").write_text(PAGE.replace(ADDRESS, server))
            (tmp_path / "empty.html").write_text("<!doctype html><title>Nothing</title>")
            async with viewer_page(allowed) as viewer:
                await viewer.page.get_by_text("3 of 4 points").wait_for()
                assert await viewer.page.evaluate(SHADES) == [[255, 255]] * 3 + [[0, 0]], "what is not measured is not painted"
                made.table.append(np.array([3]), np.array([1]), np.array([[2.0]]))
                serving.board.changed()
                await viewer.page.get_by_text("4 of 4 points").wait_for()
                assert await viewer.page.evaluate(SHADES) == [[128, 255], [255, 255], [128, 255], [0, 0]]
                assert viewer.complaints == []
                await viewer.page.goto(f"{other}/empty.html")
                await viewer.page.evaluate(WATCH, f"http://{server}")
                assert "online" in await listeners(viewer), "it waits for the network"
                await viewer.page.evaluate("feed.close()")
                assert "online" not in await listeners(viewer)
                assert set(await viewer.page.evaluate("states")) == {"waiting", "closed"}
