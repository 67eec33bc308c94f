"""Images that are accumulated of a scan's frames, as a person sees them beside its maps."""

from __future__ import annotations

import asyncio

import bluesky.plans as bp
import numpy as np
import pytest

from tests.browser.pages import viewer_page
from tests.helpers.laboratory import FRAME, Laboratory
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.integration]


async def test_the_mean_of_all_frames_is_drawn_with_its_first_row_at_the_top(settings: Settings, streaming, lab: Laboratory) -> None:
    plan = bp.grid_scan([lab.camera], lab.y, 0, 2, 3, lab.x, 1, 4, 4, md={"wpb": {"arrays": ["mean_frame", "sum_spectrum"]}})
    async with streaming(settings), viewer_page(f"http://{settings.listen}/") as viewer:
        await asyncio.to_thread(lab.engine, plan)
        await viewer.wait_until(run=lab.uid, rows=12, status="success")
        await viewer.page.select_option("#colours", "grey")
        held = await viewer.page.evaluate(
            "[...window.wpb.model.arrays.values()].map(({ name, shape, values }) => [name, shape, [...values]])"
        )
        (_, shape, mean), (_, _, summed) = held
        assert [name for name, *_ in held] == ["mean_frame", "sum_spectrum"]
        assert shape == list(FRAME)
        assert np.float32(np.array(summed) / 12).tolist() == mean
        shades = [colour[0] for colour in await viewer.colours("mean_frame", range(len(mean)))]
        assert np.argsort(np.argsort(mean)).tolist() == np.argsort(np.argsort(shades)).tolist(), "brighter where more was measured"
        places = [await viewer.cell_rectangle("mean_frame", index) for index in (0, 1, FRAME[1])]
        assert places[0]["x"] < places[1]["x"]
        assert places[0]["y"] < places[2]["y"]
        # At this size all is on the page: pictures below each other beside the large one, and none under the panels.
        figures = await viewer.page.locator("#plots figure").evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")
        below = await viewer.page.locator("#panels").evaluate("one => one.getBoundingClientRect().top")
        assert len({figure["left"] for figure in figures[1:]}) == 2
        assert max(figure["bottom"] for figure in figures) <= below
        links = await viewer.page.locator("#downloads a").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
        assert links == [f"api/runs/{lab.uid}/map.{kind}" for kind in ("csv", "npz", "nxs", "png")]
        label = await viewer.page.locator('canvas[data-channel="mean_frame"]').get_attribute("aria-label")
        assert label is not None
        assert label.startswith("Mean frame: 6 \N{MULTIPLICATION SIGN} 4, ")
        assert viewer.complaints == []
