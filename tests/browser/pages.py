"""The viewer in a real Chromium, for tests that look at what a person would look at.

::

    async with viewer_page(f"http://127.0.0.1:{port}/") as viewer:
        await viewer.wait_until(rows=576, status="success")
        colours = await viewer.colours("rgb", [0, 1, 2])
        assert viewer.complaints == []

The page's Content-Security-Policy forbids ``eval``, and with it Playwright's ``wait_for_function``: wait with :meth:`Viewer.wait_until`
or with locators instead.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any, Literal

from PIL import Image
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

ARGUMENTS = (
    "--headless=new",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""As root, without a GPU (WebGL in software, for pages that are ours), colours as they are, with no connection of the browser's own, and
however many pages are open."""
WAIT_MS = 30_000
"""Bound of every wait, so that a broken page fails its test instead of hanging it."""


@dataclass(slots=True)
class Viewer:
    """The page, and what its browser complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list[str])
    """Console errors and warnings, and exceptions nobody caught. A test that cuts the connection expects some."""

    async def wait_until(self, **state: object) -> None:
        """Wait until the page has drawn that state.

        :param state: ``rows``, ``run`` (a uid), ``status``, ``connection``: what the page keeps on its root element, after each drawing
        """
        wanted = "".join(f'[data-{name}="{value}"]' for name, value in state.items())
        await self.page.locator(f"html{wanted}").wait_for(state="attached")

    async def state(self, name: str) -> str:
        """What the page last drew: ``rows``, ``run``, ``status`` or ``connection``."""
        return await self.page.locator("html").get_attribute(f"data-{name}") or ""

    async def cell_rectangle(self, channel: str, cell: int) -> dict[str, float]:
        """Where a cell is drawn: ``x``, ``y``, ``w``, ``h`` in CSS pixels from the upper left corner of the channel's canvas."""
        (rectangle,) = await self.cell_rectangles(channel, [cell])
        return rectangle

    async def cell_rectangles(self, channel: str, cells: Sequence[int]) -> list[dict[str, float]]:
        """Where cells are drawn, as :meth:`cell_rectangle` has it."""
        # What has just been put on the page is drawn in the next frame, and what has to make room for it in the one after that.
        rectangles: list[dict[str, float] | None] = await self.page.evaluate(
            """async ([channel, cells]) => {
                for (let frames = 3; frames > 0; frames--) await new Promise(requestAnimationFrame);
                return cells.map((cell) => window.wpb.cellRect(channel, cell));
            }""",
            [channel, list(cells)],
        )
        found = [rectangle for rectangle in rectangles if rectangle is not None]
        assert len(found) == len(cells), f"some of the cells {list(cells)} of {channel} are not on the page"
        return found

    async def colours(self, channel: str, cells: Sequence[int]) -> list[tuple[int, int, int]]:
        """Red, green and blue in the middle of each cell, from one picture of the screen.

        :param channel: a channel's name, or ``rgb`` for the composite
        """
        canvas = self.page.locator(f'#plots canvas[data-channel="{channel}"]')
        places = await self.cell_rectangles(channel, cells)  # first: then what was changed is drawn
        picture = Image.open(BytesIO(await canvas.screenshot())).convert("RGB")
        found: list[tuple[int, int, int]] = []
        for place in places:
            # Off the centre: there lies the cursor's cross, and the path.
            colour: Any = picture.getpixel((int(place["x"] + place["w"] * 0.3), int(place["y"] + place["h"] * 0.3)))
            found.append(colour)
        return found

    async def point_at(self, channel: str, cell: int) -> None:
        """Move the mouse onto a cell."""
        place = await self.cell_rectangle(channel, cell)
        canvas = self.page.locator(f'#plots canvas[data-channel="{channel}"]')
        await canvas.hover(position={"x": place["x"] + place["w"] / 2, "y": place["y"] + place["h"] / 2})

    async def readout(self) -> dict[str, str]:
        """The values on the page, by name: what the cursor points at, or else the latest point. Plain digits and hyphens."""
        plain = str.maketrans({"\u202f": None, "\u2212": "-"})
        rows = await self.page.locator("#values > div").all()
        return {await row.locator("dt").inner_text(): (await row.locator("dd").first.inner_text()).translate(plain) for row in rows}


@cache
def _running_chromium() -> str:
    """The address of a Chromium that stays for all tests of this process: to start one takes longer than most of what they look at.

    :raises FileNotFoundError: it is not installed
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("The browser tests need Chromium: apt-get install chromium (make test does it).")
    profile = tempfile.mkdtemp(prefix="wpb-chromium-")
    command = [chromium, *ARGUMENTS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    errors = process.stderr

    @atexit.register
    def end() -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)

    for line in errors:
        if found := re.search(r"DevTools listening on (ws://\S+)", line):
            # Whatever it says from here on is read, or it would wait for that.
            threading.Thread(target=errors.read, daemon=True).start()
            return found[1]
    raise AssertionError("Chromium ended before it listened")


@asynccontextmanager
async def chromium_browser() -> AsyncIterator[Browser]:
    """A Chromium, which other tests have used before.

    :raises FileNotFoundError: it is not installed
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(_running_chromium())
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def viewer_page(
    url: str,
    *,
    browser: Browser | None = None,
    width: int = 1440,
    height: int = 900,
    scheme: Literal["dark", "light"] = "dark",
    pixel_ratio: float = 1,
) -> AsyncIterator[Viewer]:
    """Open a page with a new profile, which is gone afterwards.

    :param browser: connected to anew if absent
    :param width: of the window, in CSS pixels
    :param height: of the window, in CSS pixels
    :param pixel_ratio: device pixels to a CSS pixel; :meth:`Viewer.colours` needs 1
    :raises FileNotFoundError: Chromium is not installed
    """
    async with nullcontext(browser) if browser else chromium_browser() as found:
        context = await found.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=pixel_ratio)
        try:
            context.set_default_timeout(WAIT_MS)
            viewer = Viewer(await context.new_page())

            def heard(message: ConsoleMessage) -> None:
                if message.type in ("error", "warning"):
                    viewer.complaints.append(f"{message.type}: {message.text}")

            viewer.page.on("console", heard)
            viewer.page.on("pageerror", lambda error: viewer.complaints.append(f"exception: {error}"))
            await viewer.page.goto(url)
            yield viewer
        finally:
            await context.close()
