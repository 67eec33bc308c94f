"""Dagster's own pages of a finished scan, as a person sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote

import dagster as dg
import pytest
from playwright.async_api import expect

from tests.browser.pages import viewer_page
from tests.dagster.conftest import beamline, definitions, instance, materialise, resources_of, roots, webserver
from tests.dagster.scans import Beamline, random_frames
from tests.dagster.test_run import acquired

__all__ = ["beamline", "definitions", "instance", "materialise", "resources_of", "roots", "webserver"]
pytestmark = [pytest.mark.browser, pytest.mark.integration]

LINEAGE = ("run_start", "documents", "frames", "point_values", "maps", "preview", "nexus_file", "line_statistics", "summary")


async def test_the_lineage_the_picture_and_the_checks_of_a_finished_scan_are_on_dagsters_pages(
    beamline: Beamline, materialise: Callable[[str], dg.ExecuteInProcessResult], webserver: str
) -> None:
    uid = (await asyncio.to_thread(acquired, beamline, random_frames(18)))[0].doc["uid"]
    await asyncio.to_thread(materialise, uid)
    async with viewer_page(f"{webserver}/assets/summary?view=lineage&lineageScope=upstream&lineageDepth=6", width=2000) as lineage:
        for asset in LINEAGE:
            await expect(lineage.page.get_by_text(asset, exact=True).first).to_be_visible(timeout=60_000)
    async with viewer_page(f"{webserver}/assets/preview?view=partitions&partition={quote(uid)}") as preview:
        kept = preview.page.locator("tr", has_text="preview (kept here)")
        await expect(kept).to_be_visible(timeout=60_000)
        await kept.get_by_text("Show Markdown").click()
        picture = preview.page.locator('img[src^="data:image/png;base64,"]')
        await expect(picture).to_be_visible()
        assert await picture.evaluate("image => image.naturalWidth") > 200
    async with viewer_page(f"{webserver}/assets/maps?view=checks&checkDetail=map_complete") as checks:
        await expect(checks.page.get_by_text("see the check all_frames_found").first).to_be_visible(timeout=60_000)
        await expect(checks.page.get_by_text("live_equals_batch").first).to_be_visible()
