"""How far a scan has come is counted in points, which need not be as many as the cells of its map."""

from __future__ import annotations

import asyncio

import bluesky.plans as bp
import pytest

from tests.browser.pages import viewer_page
from tests.helpers.laboratory import Laboratory
from tests.helpers.plan_cases import PLANS
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.integration]


async def test_a_spiral_is_complete_when_all_its_points_are_though_some_share_a_cell(
    settings: Settings, streaming, lab: Laboratory
) -> None:
    async with streaming(settings), viewer_page(f"http://{settings.listen}/") as viewer:
        await asyncio.to_thread(lab.engine, bp.spiral([lab.camera], lab.x, lab.y, 0, 0, 4, 4, 0.3, 12))
        points = sum(name == "event" for name, _ in lab.documents)
        await viewer.wait_until(run=lab.uid, rows=points, status="success")
        assert await viewer.page.locator("#points").inner_text() == f"{points} of {points} · 100 %"
        assert viewer.complaints == []


async def test_a_point_that_is_measured_again_counts_once(settings: Settings, streaming, lab: Laboratory) -> None:
    rewound = next(case for case in PLANS if case.name == "paused and resumed")
    async with streaming(settings), viewer_page(f"http://{settings.listen}/") as viewer:
        await asyncio.to_thread(rewound.drive, lab, rewound.plan(lab))
        await viewer.wait_until(run=lab.uid, rows=13, status="success")
        assert await viewer.page.locator("#points").inner_text() == "12 of 12 · 100 %"
        assert viewer.complaints == []


async def test_readings_of_a_device_without_files_are_drawn_as_they_come(settings: Settings, streaming, lab: Laboratory) -> None:
    async with streaming(settings), viewer_page(f"http://{settings.listen}/") as viewer:
        await asyncio.to_thread(lab.engine, bp.grid_scan([lab.bright], lab.y, 0, 2, 3, lab.x, 1, 4, 4, snake_axes=True))
        await viewer.wait_until(run=lab.uid, rows=12, status="success")
        assert await viewer.page.locator("canvas[data-channel]").evaluate_all("all => all.map((one) => one.dataset.channel)") == ["bright"]
        await viewer.page.select_option("#colours", "grey")
        shades = [colour[0] for colour in await viewer.colours("bright", range(12))]
        assert shades[:4] == sorted(set(shades[:4])), "brighter with every step of x"
        assert shades == shades[:4] * 3, "each row the same, whichever way it was scanned"
        assert viewer.complaints == []
