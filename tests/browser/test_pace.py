"""A large map that grows quickly is drawn no oftener than it changes, and nothing piles up before it is drawn."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser, expect

from tests.browser.pages import viewer_page
from tests.helpers.archive import made_run
from tests.helpers.serving import catalogue_away, serving_of

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SIDE, UPDATES = 200, 40
COUNTED = """
    const counts = (window.counts = { drawn: {}, updates: 0 });
    const { clearRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function (...box) {
        counts.drawn[this.canvas.dataset.channel] = (counts.drawn[this.canvas.dataset.channel] ?? 0) + 1;
        return clearRect.apply(this, box);
    };
    const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
    Object.defineProperty(WebSocket.prototype, "onmessage", { set(hear) {
        set.call(this, hear && ((event) => {
            counts.updates += typeof event.data === "string" ? 0 : 1;
            if (window.waiting) window.waiting.push(() => hear(event));
            else hear(event);
        }));
    } });
"""
"""What comes waits in ``window.waiting`` where that is there: a browser that had no time."""


async def test_each_update_of_a_map_of_200_by_200_is_drawn_once_at_most_and_the_last_one_at_once(tmp_path: Path, browser: Browser) -> None:
    points = SIDE * SIDE
    async with serving_of(catalogue_away(), tmp_path) as serving:
        made = made_run("u", np.full((SIDE, SIDE), np.nan), status="running")
        serving.board.live["u"], serving.board.latest = made, "u"
        async with viewer_page("about:blank", browser=browser) as viewer:
            await viewer.page.add_init_script(COUNTED)
            await viewer.page.goto(f"http://127.0.0.1:{serving.port}/")
            await viewer.wait_until(run="u", rows=0)
            before = await viewer.page.evaluate("counts")

            def grow(rows: np.ndarray) -> None:
                made.table.append(rows, rows, np.outer(np.sin(rows / 997), [1, -1, 2, 4]))
                serving.board.changed()

            *parts, last = np.split(np.arange(points), UPDATES)
            for rows in parts:
                grow(rows)
                await viewer.wait_until(rows=int(rows[-1]) + 1)  # what is told is what is drawn: nothing waits behind it
            after = await viewer.page.evaluate("counts")
            updates = after["updates"] - before["updates"]
            assert 0 < updates <= UPDATES
            for channel in ("rgb", "red", "green", "blue", "total"):
                # The first rows show the readout, for which the maps make room.
                assert 0 < after["drawn"][channel] - before["drawn"][channel] <= updates + 5
            # Several that come at once are one picture.
            before = await viewer.page.evaluate("(window.waiting = [], counts)")
            for count, rows in enumerate(np.split(last, 4), 1):
                grow(rows)
                while await viewer.page.evaluate("waiting.length") < count:
                    await asyncio.sleep(0.01)
            await viewer.page.evaluate("for (const hear of waiting) hear()")
            await viewer.wait_until(rows=points)
            after = await viewer.page.evaluate("counts")
            assert {channel: after["drawn"][channel] - before["drawn"][channel] for channel in ("rgb", "total")} == {"rgb": 1, "total": 1}


async def test_a_run_that_is_described_anew_before_each_of_its_rows_has_a_rate_and_its_links_stay(tmp_path: Path, browser: Browser) -> None:
    """As motors that are told of, or a plan that comes late, have it."""
    async with serving_of(catalogue_away(), tmp_path) as serving:
        made = made_run("u", np.full((4, 5), np.nan), status="running")
        serving.board.live["u"], serving.board.latest = made, "u"
        async with viewer_page(f"http://127.0.0.1:{serving.port}/", browser=browser) as viewer:
            await viewer.wait_until(run="u", rows=0)
            await viewer.page.locator("#downloads a").first.focus()
            for row in range(12):
                made.table.append(np.array([row]), np.array([row]), np.ones((1, 4)) * row)
                made.described += 1
                serving.board.changed()
                await viewer.wait_until(rows=row + 1)
            await expect(viewer.page.locator("#rate")).to_contain_text("/s")
            assert await viewer.page.evaluate("document.activeElement.textContent") == "CSV"
            assert viewer.complaints == []
