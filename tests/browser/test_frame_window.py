"""The frame of a point beside the maps, its pixels, regions and spectra; and what one takes away of a run. One browser for all."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from typing import Any

import bluesky.plans as bp
import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Page, expect

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.documents import as_json
from tests.helpers.laboratory import FRAME, Laboratory
from tests.helpers.scans import scan
from tests.integration.feed.conftest import Beamline, beamline, module_settings
from tests.integration.recomputed import as_received
from tests.integration.watching import publish_values, until_latest_stopped

__all__ = ["beamline", "module_settings"]
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

GREY = (0x0C, 0xFA)
PLAIN = str.maketrans({"\u202f": None, "\u2212": "-", "\N{MULTIPLICATION SIGN}": "x"})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def viewer(beamline: Beamline) -> AsyncIterator[Viewer]:
    async with viewer_page(f"http://{beamline.settings.listen}/", width=1600, height=1000) as viewer:
        yield viewer


async def show(viewer: Viewer, beamline: Beamline, uid: str, rows: int) -> None:
    await viewer.page.goto(f"http://{beamline.settings.listen}/?run={uid}")
    await viewer.wait_until(run=uid, rows=rows, status="success")


async def pick(viewer: Viewer, cell: int, point: int, channel: str = "total") -> None:
    """Click a cell of a map, and wait for the frame of its point."""
    place = await viewer.cell_rectangle(channel, cell)
    canvas = viewer.page.locator(f'canvas[data-channel="{channel}"]')
    await canvas.click(position={"x": place["x"] + place["w"] / 2, "y": place["y"] + place["h"] / 2})
    await shown(viewer.page, point)


async def shown(page: Page, point: int) -> None:
    await page.locator(f'#frame[data-point="{point}"]').wait_for()
    await expect(page.get_by_role("heading", name=f"Frame of point {point}", exact=True)).to_be_visible()


async def places(page: Page, pixels: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where pixels of the frame are drawn, in CSS pixels from the upper left corner of the canvas; at the next drawing."""
    script = "async (all) => { await new Promise(requestAnimationFrame); return all.map((one) => window.wpb.pixelAt(...one)); }"
    return await page.evaluate(script, [list(pixel) for pixel in pixels])


async def drawn_at(page: Page, pixel: tuple[float, float]) -> tuple[float, float]:
    """Where a pixel of the frame is, in CSS pixels from the upper left corner of the page."""
    ((x, y),) = await places(page, [pixel])
    box = await page.locator("#frame-canvas").bounding_box()
    assert box is not None
    return box["x"] + x, box["y"] + y


async def drag(page: Page, start: tuple[float, float], stop: tuple[float, float]) -> None:
    await page.mouse.move(*await drawn_at(page, start))
    await page.mouse.down()
    await page.mouse.move(*await drawn_at(page, stop), steps=2)
    await page.mouse.up()


async def outlined(viewer: Viewer, cell: int) -> bool:
    """Whether a cell of a map is outlined in white, at its left: no colour of the map has as much of red, green and blue alike."""
    place = await viewer.cell_rectangle("total", cell)
    picture = Image.open(BytesIO(await viewer.page.locator('canvas[data-channel="total"]').screenshot())).convert("RGB")
    left, height = round(place["x"]), round(place["y"] + place["h"] * 0.2)
    colours: list[Any] = [picture.getpixel((left + beside, height)) for beside in (-2, -1, 0)]
    return max(min(colour) for colour in colours) > 110


async def shades(page: Page, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """The red of each pixel of the frame, as it is on the screen; away from its middle and its edges, where outlines are."""
    picture = Image.open(BytesIO(await page.locator("#frame-canvas").screenshot())).convert("RGB")
    found = await places(page, [(row + 0.25, column + 0.25) for row, column in np.ndindex(*shape)])
    reds: list[Any] = [picture.getpixel((int(x), int(y))) for x, y in found]
    return np.array(reds)[:, 0].reshape(shape)


def grey(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.int64]:
    share = np.clip((values.astype(float) - low) / (high - low), 0, 1)
    levels = np.floor(255 * share + 0.5)
    return np.floor(GREY[0] + (GREY[1] - GREY[0]) * levels / 255 + 0.5).astype(np.int64)


async def table(page: Page) -> dict[str, list[str]]:
    """What is said of the regions: name to sum, mean, lowest, highest, pixels, and the value on the map."""
    rows = await page.locator("#frame-regions tr").all()
    return {
        await row.get_attribute("data-region") or "": [text.translate(PLAIN) for text in await row.locator("td").all_inner_texts()]
        for row in rows
    }


def told(values: npt.NDArray[Any]) -> list[str]:
    """How the first columns of the table tell the statistics of these pixels."""
    return [f"{values.sum()}", f"{float(f'{values.mean():.6g}'):.15g}", f"{values.min()}", f"{values.max()}", f"{values.size}"]


async def test_a_click_shows_the_frame_of_the_point_and_all_that_can_be_seen_and_measured_on_it(viewer: Viewer, beamline: Beamline) -> None:
    lab = Laboratory(beamline.folder / "two")
    await asyncio.to_thread(lab.engine, bp.grid_scan([lab.camera, lab.other], lab.y, 0, 2, 3, lab.x, 1, 4, 4, snake_axes=True))
    await publish_values(beamline.settings, [as_json(each.name, each.doc) for each in as_received(lab.documents)])
    await until_latest_stopped(beamline.settings, lab.uid)
    asked: list[dict[str, Any]] = []
    viewer.page.once("websocket", lambda socket: socket.on("framesent", lambda sent: asked.append(json.loads(sent))))
    await show(viewer, beamline, lab.uid, 12)
    page, frames = viewer.page, [shot.frame for shot in lab.films["camera"].shots]
    await pick(viewer, 5, 6)  # the second row runs backwards
    assert (await page.locator("#frame-at").inner_text()) == "x 2 mm, y 1 mm"
    # The maps stay on the page, beside it.
    right = await page.locator("#plots").evaluate("one => one.getBoundingClientRect().right")
    assert right <= await page.locator("#frame").evaluate("one => one.getBoundingClientRect().left")
    await viewer.page.locator("#title").hover()
    assert [await outlined(viewer, cell) for cell in (5, 7)] == [True, False], "whose frame it is shows on the maps"
    await page.select_option("#frame-colours", "grey")
    frame = frames[6]
    assert (await shades(page, FRAME)).tolist() == grey(frame, frame.min(), frame.max()).tolist()

    # What the maps are made of is outlined, and measured: as on the maps, to the last count.
    bands = {"red": frame[:2], "green": frame[2:4], "blue": frame[4:]}
    assert await table(page) == {name: [*told(band), f"{band.sum()}"] for name, band in bands.items()}
    await page.mouse.move(*await drawn_at(page, (2, 3)))
    assert await page.locator("#frame-readout").inner_text() == f"row 2, column 3: {frame[2, 3]}"

    # A region is drawn, with the pointer or by its numbers.
    await page.get_by_label("Region", exact=True).check()
    await drag(page, (1, 1), (3.2, 2))
    assert [await page.locator(f"#frame-{side}").input_value() for side in ("row-from", "row-to", "column-from", "column-to")] == list(
        "1413"
    )
    assert (await table(page))[""] == [*told(frame[1:4, 1:3]), ""]
    await page.get_by_label("Row, to").fill("6")
    assert (await table(page))[""] == [*told(frame[1:6, 1:3]), ""]

    # Maps of it cannot be had here, which is said.
    await page.get_by_label("Channel of the region").select_option("red")
    await drag(page, (0, 0), (1, 1))
    assert list(await table(page)) == ["", "red", "green", "blue"]
    assert (await table(page))["red"] == [*told(frame[:2, :2]), ""]
    await page.get_by_role("button", name="Make the maps again").click()
    await expect(page.locator("#remake-said")).to_contain_text("The run cannot be made again now: Dagster cannot be reached")
    await page.get_by_role("button", name="Remove").click()
    await page.get_by_label("Channel of the region").select_option("")

    # The profile along a line.
    await page.get_by_label("Line", exact=True).check()
    await drag(page, (0, 0), (5, 3))
    label = await page.locator("#frame-profile").get_attribute("aria-label") or ""
    steps = [(math.floor(5 * i / 6 + 0.5), math.floor(3 * i / 6 + 0.5)) for i in range(7)]
    assert label == "Values along the line: " + ", ".join(str(frame[place]) for place in steps)

    # The next points, with the same limits if they are locked.
    await page.get_by_role("button", name="Lock").click()
    await page.locator("#frame-canvas").press("PageDown")
    await shown(page, 7)
    assert (await page.locator("#frame-at").inner_text()) == "x 1 mm, y 1 mm"
    assert (await table(page))[""] == [*told(frames[7][1:6, 1:3]), ""]
    await page.get_by_role("button", name="Remove").click()
    assert (await shades(page, FRAME)).tolist() == grey(frames[7], frame.min(), frame.max()).tolist()
    await page.get_by_role("button", name="Auto").click()
    await page.get_by_role("button", name="Previous point").click()
    await shown(page, 6)
    await page.select_option("#frame-scale", "log")
    logs = grey(np.log(frame), np.log(float(frame.min())), np.log(float(frame.max())))
    assert np.abs(await shades(page, FRAME) - logs).max() <= 1, "a logarithm may be rounded otherwise in a browser"
    await page.select_option("#frame-scale", "linear")

    # Closer, and back.
    before = await drawn_at(page, (0, 0)), await drawn_at(page, (0, 1))
    await page.locator("#frame-canvas").press("+")
    after = await drawn_at(page, (0, 0)), await drawn_at(page, (0, 1))
    assert after[1][0] - after[0][0] == pytest.approx(1.25 * (before[1][0] - before[0][0]))
    await page.locator("#frame-canvas").press("0")
    assert (await drawn_at(page, (0, 0)), await drawn_at(page, (0, 1))) == before

    # The other detector, which the maps know nothing of.
    assert await page.locator("#frame-detector option").all_inner_texts() == ["camera", "other"]
    await page.get_by_label("Detector").select_option("other")
    other = lab.films["other"].shots[6].frame
    await expect(page.locator("#frame-statistics")).to_be_hidden()
    await shown(page, 6)
    assert (await shades(page, FRAME)).tolist() == grey(other, other.min(), other.max()).tolist()
    # Maps of a region there are maps of that detector.
    await page.get_by_label("Region", exact=True).check()
    await page.get_by_label("Channel of the region").select_option("green")
    await drag(page, (0, 0), (1, 1))
    await page.get_by_role("button", name="Make the maps again").click()
    await expect(page.locator("#remake-said")).to_contain_text("Dagster cannot be reached")
    assert [each["recipe"] for each in asked if each["type"] == "reprocess"][1:] == [
        {"regions": {"green": {"rows": [0, 2], "columns": [0, 2]}}, "data_key": "other"}
    ]
    # Escape closes what lies over it first.
    await page.locator("#title").hover()
    await page.keyboard.press("/")
    await expect(page.locator("#archive")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#archive")).to_be_hidden()
    await expect(page.locator("#frame")).to_be_visible()
    await page.locator("#frame-canvas").press("Escape")
    await expect(page.locator("#frame")).to_be_hidden()
    assert not await outlined(viewer, 5)

    # Without a pointer: the cursor is on the map again.
    await page.locator('canvas[data-channel="total"]').focus()
    await page.keyboard.press("ArrowRight")
    await page.get_by_text("Under the cursor").wait_for()
    await page.keyboard.press("Enter")
    await expect(page.locator("#frame")).to_be_visible()
    assert viewer.complaints == []


async def pinch(page: Page, middle: npt.NDArray[np.float64], before: float, after: float) -> None:
    """Put two fingers on the frame, so far apart, and move them until they are so far apart."""
    box = await page.locator("#frame-canvas").bounding_box()
    assert box is not None
    session = await page.context.new_cdp_session(page)
    x, y = box["x"] + middle[0], box["y"] + middle[1]
    for kind, apart in (("touchStart", before), ("touchMove", (before + after) / 2), ("touchMove", after)):
        fingers = [{"x": x - apart / 2, "y": y, "id": 0}, {"x": x + apart / 2, "y": y, "id": 1}]
        await session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await session.detach()


async def test_a_large_frame_comes_smaller_at_first_and_whole_when_somebody_looks_closer(viewer: Viewer, beamline: Beamline) -> None:
    frames = np.random.default_rng(5).integers(0, 4000, (4, 600, 1200), dtype=np.uint16)
    large = scan(beamline.folder, (2, 2), frames=frames, wpb={"reduction": "centre_of_mass"})
    await beamline.take(large)
    asked: list[dict[str, Any]] = []
    viewer.page.once("websocket", lambda socket: socket.on("framesent", lambda sent: asked.append(json.loads(sent))))
    await show(viewer, beamline, large.uid, 4)
    page, frame = viewer.page, frames[1]
    await pick(viewer, 1, 1)
    await page.mouse.move(*await drawn_at(page, (301, 700)))
    mean = frame[300:303, 699:702].mean(dtype=np.float64)
    assert (await page.locator("#frame-readout").inner_text()).translate(
        PLAIN
    ) == f"row 301, column 700: {float(f'{mean:.6g}'):.15g} (mean of 3 x 3)"
    await page.mouse.wheel(0, -100)
    await expect(page.locator("#frame-readout")).not_to_contain_text("mean")
    await shown(page, 1)
    # A hand on a touchpad goes by small steps, of which ten are one of a wheel.
    apart = np.ptp([x for x, _ in await places(page, [(301, 600), (301, 800)])])
    for _ in range(10):
        await page.mouse.wheel(0, -10)
    assert np.ptp([x for x, _ in await places(page, [(301, 600), (301, 800)])]) == pytest.approx(1.25 * apart)
    await page.mouse.wheel(0, 100)
    await page.mouse.move(*await drawn_at(page, (290, 690)))
    assert (await page.locator("#frame-readout").inner_text()).translate(PLAIN) == f"row 290, column 690: {frame[290, 690]}"
    await page.mouse.move(0, 0)
    before = np.array(await places(page, [(290, 680), (290, 700), (310, 680)]))
    middle = before.mean(axis=0)
    await pinch(page, middle, 60, 120)
    after = np.array(await places(page, [(290, 680), (290, 700), (310, 680)]))
    np.testing.assert_allclose(after, middle + 2 * (before - middle), atol=0.1)
    await pinch(page, middle, 120, 60)
    np.testing.assert_allclose(await places(page, [(290, 680), (290, 700), (310, 680)]), before, atol=0.1)
    assert [sent.get("max_size") for sent in asked if sent["type"] == "get_frame"] == [[512, 512], None]
    await page.get_by_label("Region", exact=True).check()
    for name, value in {"Row, from": 10, "Row, to": 590, "Column, from": 20, "Column, to": 1100}.items():
        await page.get_by_label(name).fill(str(value))
    assert (await table(page))[""] == [*told(frame[10:590, 20:1100]), ""]
    large.file.unlink()
    assert viewer.complaints == []


async def test_spectra_are_lines_that_follow_the_pointer(viewer: Viewer, beamline: Beamline) -> None:
    frames = np.random.default_rng(6).integers(1, 9, (6, 2, 128), dtype=np.uint16)
    frames[:, 0, 40] = 5000
    one = scan(beamline.folder, (2, 3), frames=frames, wpb={"reduction": "xrf", "elements": {"Fe": {"window": [36, 44]}}})
    await beamline.take(one)
    await show(viewer, beamline, one.uid, 6)
    page = viewer.page
    await pick(viewer, 1, 1, "Fe")
    await expect(page.locator("#frame-low")).to_be_hidden()
    window = frames[1][:, 36:44]
    assert await table(page) == {"Fe": [*told(window), f"{window.sum()}"]}
    # The other detector element is seen beside the peak with a logarithmic axis only: half of the plot is above it.
    await expect(page.locator("#frame-canvas")).to_be_visible()
    for scale, seen in (("linear", False), ("log", True)):
        await page.select_option("#frame-scale", scale)
        picture = np.array(Image.open(BytesIO(await page.locator("#frame-canvas").screenshot())).convert("RGB")).astype(int)
        second = np.abs(picture - (0xD0, 0x72, 0x06)).max(axis=2) < 24  # the shade of the second line
        assert bool(np.ptp(np.nonzero(second)[0]) > 40) == seen
    # Whoever rests on another point sees its spectra, and those of the point that was picked when he leaves.
    await viewer.point_at("Fe", 2)
    await shown(page, 2)
    assert (await table(page))["Fe"] == [*told(frames[2][:, 36:44]), f"{frames[2][:, 36:44].sum()}"]
    await page.locator("#title").hover()
    await shown(page, 1)
    assert viewer.complaints == []


async def test_long_spectra_are_shown_whole_and_stay_as_close_from_point_to_point(viewer: Viewer, beamline: Beamline) -> None:
    frames = np.random.default_rng(7).integers(0, 9000, (4, 2, 1024), dtype=np.uint16)
    one = scan(beamline.folder, (2, 2), frames=frames, wpb={"reduction": "xrf", "elements": {"Fe": {"window": [700, 710]}}})
    await beamline.take(one)
    asked: list[dict[str, Any]] = []
    viewer.page.once("websocket", lambda socket: socket.on("framesent", lambda sent: asked.append(json.loads(sent))))
    await show(viewer, beamline, one.uid, 4)
    page, canvas = viewer.page, viewer.page.locator("#frame-canvas")

    async def read() -> int:
        """The channel under the pointer, whose counts of both elements are said."""
        await canvas.hover(position={"x": 200, "y": 60})
        said = (await page.locator("#frame-readout").inner_text()).translate(PLAIN)
        point, channel = int((await page.locator("#frame").get_attribute("data-point")) or ""), int(said.split()[1].rstrip(":"))
        assert said == f"channel {channel}: {frames[point, 0, channel]}, {frames[point, 1, channel]}"
        return channel

    await pick(viewer, 1, 1, "Fe")
    assert (await table(page))["Fe"] == [*told(frames[1][:, 700:710]), f"{frames[1][:, 700:710].sum()}"]
    whole = await read()
    for _ in range(3):
        await canvas.press("+")
    closer = await read()
    assert closer != whole
    await canvas.press("PageDown")
    await shown(page, 2)
    assert await read() == closer
    assert [sent.get("max_size") for sent in asked if sent["type"] == "get_frame"] == [[512, 512], None, None]
    assert viewer.complaints == []


async def test_why_there_is_no_frame_is_said(viewer: Viewer, beamline: Beamline) -> None:
    gone = scan(beamline.folder, seed=41)
    await beamline.take(gone)
    kept = gone.file.read_bytes()
    gone.file.unlink()
    await show(viewer, beamline, gone.uid, 12)
    await pick(viewer, 0, 0)
    await expect(viewer.page.locator("#frame-said")).to_contain_text("The frame of point 0 cannot be read")
    # Whoever asks once more is given it if it is there by now.
    gone.file.write_bytes(kept)
    await pick(viewer, 0, 0)
    await expect(viewer.page.locator("#frame-said")).to_have_text("")
    await expect(viewer.page.locator("#frame-canvas")).to_have_attribute("aria-label", re.compile("pixels"))
    assert viewer.complaints == []


async def test_a_run_is_taken_away_as_lines_of_python_that_load_it_and_a_map_as_it_is_seen(viewer: Viewer, beamline: Beamline) -> None:
    run = scan(beamline.folder, seed=51)
    await beamline.take(run)
    await show(viewer, beamline, run.uid, 12)
    page = viewer.page
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy Python").click()
    await expect(page.locator("#python-said")).to_have_text("Copied to the clipboard.")
    code = await page.evaluate("navigator.clipboard.readText()")
    loaded: dict[str, Any] = {}
    await asyncio.to_thread(exec, code, loaded)
    for channel, values in loaded["maps"].items():
        np.testing.assert_array_equal(values, run.map(channel))
    assert (loaded["update"].run.uid, loaded["update"].revision) == (run.uid, "live")
    await page.keyboard.press("Escape")

    async with page.expect_download() as taken:
        await page.get_by_role("button", name="Save Total as a picture").click()
    assert (await taken.value).suggested_filename == "grid_scan-7-total.png"
    picture = Image.open(await (await taken.value).path()).convert("RGB")
    canvas = await page.locator('canvas[data-channel="total"]').bounding_box()
    assert canvas is not None
    head = picture.height - round(canvas["height"])
    places = [await viewer.cell_rectangle("total", cell) for cell in range(12)]
    seen: list[Any] = [
        picture.getpixel((int(place["x"] + place["w"] * 0.3), int(head + place["y"] + place["h"] * 0.3))) for place in places
    ]
    assert seen == await viewer.colours("total", range(12))
    assert len(np.unique(np.array(picture.crop((0, 0, picture.width, head))))) > 10, "what it is of stands above it"
    assert await page.locator("#dagster-link").is_hidden(), "no Dagster is known here"
    assert viewer.complaints == []
