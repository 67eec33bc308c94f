"""Make the screenshots in docs/pictures anew: the viewer in mid-scan, and the scan's assets in Dagster.

Starts the whole demo in a folder of its own, takes one scan, and looks at it with Chromium.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.pages import Viewer, viewer_page
from wpb_stream.client import watch
from wpb_stream.dagster_web import DagsterWeb
from wpb_stream.settings import load
from wpb_stream.up import Beamline, Running, running

PICTURES = Path(__file__).parent / "pictures"
SHAPE = (40, 60)
RUNS_BEFORE = 1
"""Scans before the one on the picture, so that the list of runs is not empty."""


async def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with running(load(data=Path(folder) / "demo", listen="127.0.0.1:8100", dagster_port=3100)) as everything:
            shape = "x".join(map(str, SHAPE))
            await everything.scan(Beamline(shape, rate=120.0, scans=RUNS_BEFORE + 1))
            await _viewer(everything)
            await everything.supervisor.until_finished("beamline")
            await _dagster(everything)


async def _viewer(everything: Running) -> None:
    async with viewer_page(everything.viewer, width=1440, height=900) as viewer:
        async with asyncio.timeout(180):
            for _ in range(RUNS_BEFORE):
                await _until(viewer, "success", SHAPE[0] * SHAPE[1])
            await _until(viewer, "running", int(0.7 * SHAPE[0] * SHAPE[1]))
        await viewer.point_at("rgb", 12 * SHAPE[1] + 25)
        await viewer.page.screenshot(path=PICTURES / "viewer-mid-scan.png")


async def _until(viewer: Viewer, status: str, rows: int) -> None:
    while await viewer.state("status") != status or int(await viewer.state("rows") or 0) < rows:
        await asyncio.sleep(0.1)


async def _dagster(everything: Running) -> None:
    web = DagsterWeb(everything.dagster)
    uid = await _latest(everything)
    async with asyncio.timeout(120):
        while (verdict := await web.verdict(uid)) is None or not verdict.final:
            await asyncio.sleep(0.5)
    for name, path in (
        ("dagster-assets", "assets/summary?view=lineage&lineageScope=upstream&lineageDepth=6"),
        ("dagster-preview", f"assets/preview?view=partitions&partition={quote(uid)}"),
        ("dagster-check", "assets/maps?view=checks&checkDetail=live_equals_batch"),
        ("dagster-summary", f"assets/summary?view=partitions&partition={quote(uid)}"),
    ):
        width, height = (2000, 720) if "lineage" in path else (1440, 900)
        async with viewer_page(everything.dagster + path, scheme="light", width=width, height=height) as dagster:
            await dagster.page.wait_for_load_state("networkidle")
            await dagster.page.wait_for_timeout(5000)  # Dagster lays its graph out after everything has come
            await dagster.page.screenshot(path=PICTURES / f"{name}.png")


async def _latest(everything: Running) -> str:
    async for update in watch(everything.feed):
        return update.run.uid
    raise AssertionError


if __name__ == "__main__":
    asyncio.run(main())
