"""The list of runs, and the addresses of runs, as a person sees them in Chromium."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.archive import FIRST, fill, made_run
from tests.helpers.serving import Serving, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.core.board import Reconstruction

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PAST = [
    made_run(
        f"run-{number:02}",
        np.arange(12.0).reshape(3, 4) + number,
        number=number,
        plan_name="fly_scan" if number % 10 == 0 else "grid_scan",
        status="abort" if number == 7 else "success",
        started=FIRST + timedelta(days=number),
        data_session=f"cm4000{number % 2}-1",
        sample={"name": "Titanium foil" if number == 33 else "Steel"},
    )
    for number in range(1, 61)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def serving(module_database: str, folder: Path) -> AsyncIterator[Serving]:
    """A server with sixty runs that are over, the last ones first in the list."""
    await fill(module_database, Results(folder), PAST)
    with CatalogueReader(module_database) as reader:
        async with serving_of(reader, folder) as serving:
            serving.board.latest = PAST[-1].run.uid
            yield serving


def address(serving: Serving, path: str = "") -> str:
    return f"http://127.0.0.1:{serving.port}/{path}"


def listed(viewer: Viewer) -> Locator:
    return viewer.page.locator("#archive a[data-run]")


async def uids(viewer: Viewer) -> list[Any]:
    return await listed(viewer).evaluate_all("all => all.map((one) => one.dataset.run)")


async def test_runs_are_searched_paged_and_walked_through_by_keys(serving: Serving, browser: Browser) -> None:
    async with viewer_page(address(serving), browser=browser) as viewer:
        page = viewer.page
        await viewer.wait_until(run="run-60", rows=12)
        await page.keyboard.press("/")
        await expect(listed(viewer)).to_have_count(50)
        assert (await uids(viewer))[:2] == ["run-60", "run-59"]
        first = listed(viewer).first
        for words in ("fly_scan #60", "cm40000-1", "Steel", "3 \N{MULTIPLICATION SIGN} 4", "Finished"):
            await expect(first).to_contain_text(words)
        await expect(first).to_have_attribute("aria-current", "true")
        await page.get_by_role("button", name="More").click()
        await expect(listed(viewer)).to_have_count(60)
        await expect(page.get_by_role("button", name="More")).to_be_hidden()

        # What is typed is searched for; the address says it.
        await page.keyboard.press("/")
        await page.keyboard.type("tit foil")
        await expect(listed(viewer)).to_have_count(1)
        await expect(listed(viewer)).to_contain_text("Titanium foil")
        assert page.url == address(serving, "runs?text=tit+foil")
        form = page.locator("#search")
        await form.locator("[name=text]").fill("")
        await form.locator("[name=session]").fill("cm40000-1")
        await form.locator("[name=plan]").fill("fly_scan")
        await expect(listed(viewer)).to_have_count(6)
        await form.locator("[name=since]").fill((FIRST + timedelta(days=20)).date().isoformat())
        await form.locator("[name=until]").fill((FIRST + timedelta(days=40)).date().isoformat())
        await expect(listed(viewer)).to_have_count(3)
        assert await uids(viewer) == ["run-40", "run-30", "run-20"]

        # The same from the address alone, and a choice by keys.
        await page.goto(address(serving, "runs?status=abort"))
        await expect(listed(viewer)).to_have_count(1)
        await expect(listed(viewer)).to_contain_text("Aborted")
        await form.locator("[name=status]").select_option("")
        await form.locator("[name=scan]").fill("3")
        await expect(listed(viewer)).to_have_count(1)
        await form.locator("[name=scan]").fill("")
        await expect(listed(viewer)).to_have_count(50)
        await form.locator("[name=text]").focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
            await page.keyboard.press(key)
        await expect(listed(viewer).nth(1)).to_be_focused()
        await page.keyboard.press("Enter")
        await viewer.wait_until(run="run-59", rows=12)
        await expect(page.locator("#archive")).to_be_hidden()
        assert page.url == address(serving, "runs/run-59")

        # Escape leaves the run on screen as it was; nothing found is said.
        await page.keyboard.press("/")
        await page.keyboard.type("nothing like it")
        await expect(page.get_by_text("No run fits.")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#archive")).to_be_hidden()
        assert page.url == address(serving, "runs/run-59")
        assert await viewer.state("run") == "run-59"
        assert viewer.complaints == []


PIXELS = """async ([run, columns, rows]) => {
    const image = document.querySelector(`#archive a[data-run="${run}"] img`);
    await image.decode();
    const copy = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d", { willReadFrequently: true });
    copy.drawImage(image, 0, 0);
    const middle = (index, count, size) => Math.floor(((index + 0.5) / count) * size);
    const cells = [...Array(columns * rows).keys()].map((cell) => [middle(cell % columns, columns, image.naturalWidth),
        middle(rows - 1 - Math.floor(cell / columns), rows, image.naturalHeight)]);
    return cells.map(([x, y]) => [...copy.getImageData(x, y, 1, 1).data]);
}"""
"""Red, green, blue and opacity of each cell of a thumbnail."""


async def test_thumbnails_show_the_maps_and_a_run_that_goes_on_grows_in_the_list(
    serving: Serving, browser: Browser, module_database: str, folder: Path
) -> None:
    def so_far(rows: int) -> Reconstruction:
        values = np.where(np.arange(12) < rows, np.arange(12.0), np.nan).reshape(3, 4)
        return made_run("run-now", values, number=61, status="running", started=FIRST + timedelta(days=99))

    await fill(module_database, Results(folder), [so_far(0)])
    serving.board.live["run-now"] = so_far(3)
    async with viewer_page(address(serving, "runs"), browser=browser) as viewer:
        first = listed(viewer).first
        await expect(first).to_contain_text("Running 25 %")
        await expect(first.locator("img")).to_have_attribute("src", re.compile("^blob:"))
        shown = await viewer.page.evaluate(PIXELS, ["run-now", 4, 3])
        assert [[red, green, opacity] for red, green, _, opacity in shown] == [
            *([0, 255, 255], [128, 128, 255], [255, 0, 255]),
            *[[0, 0, 0]] * 9,
        ]
        whole = await viewer.page.evaluate(PIXELS, ["run-60", 4, 3])
        assert [red for red, *_ in whole] == [round(255 * cell / 11) for cell in range(12)]
        serving.board.live["run-now"] = so_far(9)
        await expect(first).to_contain_text("Running 75 %")
        below = listed(viewer).nth(45).locator("img")
        assert await below.get_attribute("src") is None, "what is out of sight is not fetched"
        await below.scroll_into_view_if_needed()
        await expect(below).to_have_attribute("src", re.compile("^blob:"))
        assert viewer.complaints == []
    del serving.board.live["run-now"]


@asynccontextmanager
async def below_a_path(port: int, path: str) -> AsyncIterator[int]:
    """A proxy that serves what that port serves, below a path; gives its own port."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        method, target, version = line.split(b" ")
        there, back = await asyncio.open_connection("127.0.0.1", port)
        back.write(b" ".join([method, target.removeprefix(path.encode()) if target.startswith(path.encode()) else b"/none", version]))
        with suppress(ConnectionError):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pipe(reader, back))
                tasks.create_task(pipe(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_address_says_what_is_on_screen_also_below_a_path_of_a_proxy(serving: Serving, browser: Browser) -> None:
    async with below_a_path(serving.port, "/wpb") as port, viewer_page(f"http://127.0.0.1:{port}/wpb/", browser=browser) as viewer:
        page, root = viewer.page, f"http://127.0.0.1:{port}/wpb/"
        await viewer.wait_until(run="run-60", rows=12)
        assert page.url == root
        await page.locator('#runs a[data-run="run-58"]').click()
        await viewer.wait_until(run="run-58", rows=12)
        assert page.url == f"{root}runs/run-58"
        await page.locator("#all-runs").click()
        assert page.url == f"{root}runs"
        await expect(listed(viewer)).to_have_count(50)
        await page.locator('#archive a[data-run="run-56"]').click()
        await viewer.wait_until(run="run-56", rows=12)
        assert page.url == f"{root}runs/run-56"
        await expect(page.locator("#archive")).to_be_hidden()
        await page.go_back()
        await expect(page.locator("#archive")).to_be_visible()
        await page.go_back()
        await viewer.wait_until(run="run-58", rows=12)
        await expect(page.locator("#archive")).to_be_hidden()
        await page.go_forward()
        await page.go_forward()
        await viewer.wait_until(run="run-56", rows=12)
        await page.reload()
        await viewer.wait_until(run="run-56", rows=12)
        assert await page.locator(".uid").evaluate("one => one.href") == page.url, "there is a link to copy"
        assert await page.locator("#downloads a").first.evaluate("one => one.href") == f"{root}api/runs/run-56/map.csv?revision=live"
        await page.locator("#follow").click()
        await viewer.wait_until(run="run-60", rows=12)
        assert page.url == root
        # The older form, and a revision.
        await page.goto(f"{root}?run=run-55")
        await viewer.wait_until(run="run-55", rows=12)
        assert page.url == f"{root}runs/run-55"
        await page.goto(f"{root}runs/run-55?revision=none")
        await expect(page.locator("#empty-text")).to_contain_text("Run run-55 has no revision 'none'.")
        await page.goto(f"{root}runs/run-55?revision=live")
        await viewer.wait_until(run="run-55", rows=12)
        assert page.url == f"{root}runs/run-55?revision=live"
        assert viewer.complaints == []


async def test_two_runs_stand_side_by_side_point_at_the_same_cell_and_may_have_the_same_limits(serving: Serving, browser: Browser) -> None:
    async with viewer_page(address(serving, "runs/run-10?channel=total"), browser=browser) as viewer:
        page, other = viewer.page, viewer.page.locator("#beside")
        await viewer.wait_until(run="run-10", rows=12)
        assert await page.locator("figure[data-size=large] canvas").get_attribute("data-channel") == "total"
        await page.get_by_role("button", name="Enlarge Green").click()
        assert page.url == address(serving, "runs/run-10?channel=green")
        await page.keyboard.press("/")
        await page.keyboard.type("run-50")
        await expect(listed(viewer)).to_have_count(1)
        await page.get_by_role("link", name="fly_scan #50 beside the run on screen").click()
        await expect(other).to_have_attribute("data-rows", "12")
        assert page.url == address(serving, "runs/run-10?channel=green&beside=run-50")
        await expect(other).to_contain_text("fly_scan #50")
        await expect(other.locator(".badge")).to_have_text("Finished")
        places = [await page.locator(one).bounding_box() for one in ("#plots", "#beside-plots")]
        assert all(places)
        assert places[0]["x"] + places[0]["width"] <= places[1]["x"]

        # The same cell in both, pointed at in either.
        await viewer.point_at("red", 6)
        await expect(page.locator("#beside-values")).to_have_text("Red 56 · Green \N{MINUS SIGN}56 · Blue 112 · Total 224")
        assert (await viewer.readout())["Red"] == "16"
        canvas = other.locator('canvas[data-channel="red"]')
        await canvas.focus()
        await canvas.press("ArrowRight")
        await canvas.press("ArrowRight")
        await expect(page.locator("#readout-title")).to_have_text("Under the cursor")
        assert (await viewer.readout())["Red"] == (await page.locator("#beside-values").inner_text()).split()[1].replace("5", "1", 1)
        await canvas.press("Escape")

        # The same limits: what is brightest here is dark there.
        await page.select_option("#colours", "grey")
        before = (await viewer.colours("red", [11]))[0]
        await page.get_by_role("button", name="Same limits").click()
        await expect(page.locator("#plots figcaption").first).to_contain_text("Red 10 to 61")
        after = (await viewer.colours("red", [11]))[0]
        assert before == (0xFA,) * 3
        assert after == (round(0x0C + (0xFA - 0x0C) * round(255 * 11 / 51) / 255),) * 3
        await page.get_by_role("button", name="Same limits").click()
        await viewer.page.locator("html").hover()
        assert (await viewer.colours("red", [11]))[0] == before

        # One below the other on a phone; closed, and there again in the history.
        await page.set_viewport_size({"width": 400, "height": 900})
        places = [await page.locator(one).bounding_box() for one in ("#plots", "#beside-plots")]
        assert all(places)
        assert places[0]["y"] + places[0]["height"] <= places[1]["y"]
        await other.get_by_role("button", name="Close").click()
        await expect(other).to_be_hidden()
        await page.go_back()
        await expect(other).to_be_visible()
        assert viewer.complaints == []
