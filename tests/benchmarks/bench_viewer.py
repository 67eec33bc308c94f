"""Five maps of 200 x 200, and five plots of 10,000 points, that grow at 20 updates a second, drawn without a GPU, each beside a page that
does nothing but draw.

The bare page paints five images of 200 x 200 anew on each frame, at the sizes that the viewer has its maps or lines. All count what the
browser shows.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Page

from tests.browser.pages import chromium_browser, viewer_page
from tests.helpers.archive import made_run
from tests.helpers.serving import Serving, catalogue_away, serving_of
from wpb_stream.core.board import Reconstruction

RATE = 20
SHAPES = {"maps of 200 x 200": (200, 200), "lines of 10,000": (10_000,)}
FRAMES = """(seconds) => new Promise((done) => {
    const begun = performance.now();
    let frames = 0;
    const count = () => {
        const passed = (performance.now() - begun) / 1000;
        if (passed >= seconds) return done([frames / passed, Number(document.documentElement.dataset.rows ?? 0)]);
        frames++;
        requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
})"""
BARE = """(sizes) => {
    document.body.replaceChildren();
    const image = new ImageData(200, 200), pixels = new Uint32Array(image.data.buffer), small = new OffscreenCanvas(200, 200);
    const canvases = sizes.map(([width, height]) => {
        const canvas = Object.assign(document.createElement("canvas"), { width, height });
        document.body.append(canvas);
        return canvas.getContext("2d");
    });
    let time = 0;
    const draw = () => {
        time++;
        for (const context of canvases) {
            for (let i = 0; i < pixels.length; i++) pixels[i] = 0xff000000 | (i * time);
            small.getContext("2d").putImageData(image, 0, 0);
            context.imageSmoothingEnabled = false;
            context.drawImage(small, 0, 0, context.canvas.width, context.canvas.height);
        }
        requestAnimationFrame(draw);
    };
    draw();
}"""
"""Nothing but drawing, on the canvases of the page before."""


async def _grow(made: Reconstruction, serving: Serving, seconds: float) -> None:
    """Have all rows of the run come evenly."""
    for rows in np.array_split(np.arange(made.run.points_expected or 0), int(seconds * RATE)):
        made.table.append(rows, rows, np.outer(np.sin(rows / 997) + 2, [1.0, -1.0, 2.0, 4.0]).astype(np.float64))
        serving.board.changed()
        await asyncio.sleep(1 / RATE)


async def _measure(serving: Serving, browser: Browser, what: str, seconds: float) -> None:
    """Print pictures a second of both pages."""
    made = made_run(what, np.full(SHAPES[what], np.nan), status="running")
    serving.board.live[what], serving.board.latest = made, what
    async with viewer_page(f"http://127.0.0.1:{serving.port}/", browser=browser) as viewer:
        await viewer.wait_until(run=what, rows=0)
        (shown, drawn), _ = await asyncio.gather(viewer.page.evaluate(FRAMES, seconds), _grow(made, serving, seconds + 1))
        await viewer.wait_until(rows=made.run.points_expected)
        sizes = await viewer.page.locator("#plots canvas").evaluate_all("all => all.map((one) => [one.width, one.height])")
    async with viewer_page("about:blank", browser=browser) as bare:
        await bare.page.evaluate(BARE, sizes)
        only, _ = await _frames(bare.page, seconds)
    out = sys.stdout.write
    out(
        f"{what}\n  viewer     {shown:5.1f} pictures/s, {len(sizes)} canvases, {drawn} rows drawn after {seconds:g} s of {RATE} updates/s\n"
    )
    out(f"  bare page  {only:5.1f} pictures/s\n  ratio      {shown / only:5.2f}\n")


async def main(seconds: float = 8.0) -> None:
    """Print pictures a second of the viewer and of the bare page, for maps and for lines."""
    logging.getLogger("wpb_stream").setLevel(logging.CRITICAL)  # that there is no catalogue
    with tempfile.TemporaryDirectory() as folder:
        async with serving_of(catalogue_away(), Path(folder)) as serving, chromium_browser() as browser:
            for what in SHAPES:
                await _measure(serving, browser, what, seconds)


async def _frames(page: Page, seconds: float) -> tuple[float, int]:
    frames, rows = await page.evaluate(FRAMES, seconds)
    return frames, rows


if __name__ == "__main__":
    asyncio.run(main(*map(float, sys.argv[1:])))
