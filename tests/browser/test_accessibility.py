"""The viewer for people who do not see, or not well: held to axe-core's rules, on every kind of page it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.archive import fill, made_run
from tests.helpers.nodejs import packages
from tests.helpers.serving import Serving, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.core.access import Access
from wpb_stream.tokens import new_token

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PHONE, WALL = {"width": 390, "height": 844}, {"width": 3840, "height": 2160}
RULES = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => [id, nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`)]);
}"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def serving(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    """A server with a run that goes on, of half a map, and runs that ended in each way, one of them a line."""
    folder = tmp_path_factory.mktemp("results")
    values = np.where(np.arange(48) < 20, np.arange(48.0), np.nan).reshape(6, 8)
    running = made_run("now", values, number=9, status="running", sample={"name": "Foil"})
    ways = [made_run(f"run-{status}", np.arange(12.0).reshape(3, 4), status=status) for status in ("abort", "fail", "lost", "success")]
    await fill(module_database, Results(folder), [made_run("line", np.sin(np.arange(50.0))), *ways, running])
    with CatalogueReader(module_database) as reader:
        async with serving_of(reader, folder) as serving:
            serving.board.live["now"], serving.board.latest = running, "now"
            yield serving


async def found(viewer: Viewer) -> list[Any]:
    """Serious and critical violations of what is on the page, dark on a phone and light on a wall."""
    source = (packages("npm") / "axe-core" / "axe.min.js").read_text()
    await viewer.page.evaluate(source)
    violations: list[Any] = []
    for scheme, size in (("dark", PHONE), ("light", WALL)):
        await viewer.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        await viewer.page.set_viewport_size(size)  # type: ignore[arg-type]
        violations += [(scheme, size["width"], *each) for each in await viewer.page.evaluate(RULES)]
    return violations


async def test_a_running_scan_the_controls_a_frame_two_runs_and_the_list_of_runs(serving: Serving, browser: Browser) -> None:
    async with viewer_page(f"http://127.0.0.1:{serving.port}/", browser=browser) as viewer:
        page = viewer.page
        await viewer.wait_until(run="now", rows=20)
        assert await found(viewer) == []
        # The window of a point's frame, with the controls of regions in it.
        await page.locator('canvas[data-channel="total"]').focus()
        for key in ("ArrowRight", "Enter"):
            await page.keyboard.press(key)
        await expect(page.locator("#frame-said")).to_contain_text("There is no frame")
        await page.get_by_label("Region", exact=True).check()
        assert await found(viewer) == []
        await page.goto(f"http://127.0.0.1:{serving.port}/runs/run-abort?beside=run-lost")
        await expect(page.locator("#beside")).to_have_attribute("data-rows", "12")
        assert await found(viewer) == []
        await page.goto(f"http://127.0.0.1:{serving.port}/runs/now?beside=run-fail")
        await expect(page.locator("#beside")).to_have_attribute("data-rows", "12")
        await page.get_by_role("button", name="Display").click()
        assert await found(viewer) == []
        await page.keyboard.press("/")
        await expect(page.locator("#archive a[data-run]")).to_have_count(6)
        assert await found(viewer) == []


async def test_a_scan_along_one_axis_and_maps_in_a_frame(serving: Serving, browser: Browser) -> None:
    async with viewer_page(f"http://127.0.0.1:{serving.port}/runs/line", browser=browser) as viewer:
        await viewer.wait_until(run="line", rows=50)
        assert await found(viewer) == []
        await viewer.page.goto(f"http://127.0.0.1:{serving.port}/?embed=1")
        await viewer.wait_until(run="now", rows=20)
        assert await found(viewer) == []


async def test_the_form_that_asks_for_a_token(serving: Serving, browser: Browser, tmp_path: Path) -> None:
    _, entry = new_token("alice")
    with CatalogueReader("postgresql://127.0.0.1:1/none") as reader:
        async with serving_of(reader, tmp_path, access=Access([entry.grant])) as guarded:
            async with viewer_page(f"http://127.0.0.1:{guarded.port}/", browser=browser) as viewer:
                await viewer.wait_until(connection="unauthenticated")
                assert await found(viewer) == []
