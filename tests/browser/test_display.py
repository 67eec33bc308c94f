"""What a person changes in how maps are drawn, draws on them, and plays again: in Chromium, on the real feed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser.pages import Viewer, viewer_page
from tests.browser.test_viewer import GREY, page_url, send, shown, text
from tests.helpers.scans import Scan, random_frames, scan
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.integration]


def shades(run: Scan, channel: str, shares: np.ndarray) -> dict[int, tuple[int, ...]]:
    """The grey of each cell, from the share of the colours that each point has."""
    levels = np.floor(255 * np.clip(shares, 0, 1) + 0.5)
    greys = [math.floor(GREY[0] + (GREY[1] - GREY[0]) * level / 255 + 0.5) for level in levels]
    return {run.cell(point): (grey,) * 3 for point, grey in enumerate(greys)}


async def press(viewer: Viewer, *ids: str) -> None:
    for each in ids:
        await viewer.page.locator(f"#{each}").click()


async def drag(viewer: Viewer, channel: str, first: int, last: int) -> None:
    """Drag over a map from the middle of one cell to that of another."""
    box = await viewer.page.locator(f'canvas[data-channel="{channel}"]').bounding_box()
    assert box is not None
    for cell, done in ((first, viewer.page.mouse.down), (last, viewer.page.mouse.up)):
        place = await viewer.cell_rectangle(channel, cell)
        await viewer.page.mouse.move(box["x"] + place["x"] + place["w"] / 2, box["y"] + place["y"] + place["h"] / 2, steps=3)
        await done()


async def test_maps_are_drawn_with_the_limits_scale_and_gamma_that_were_chosen(settings: Settings, streaming: Any, tmp_path: Path) -> None:
    frames = random_frames(30, 4)
    frames[:12] //= 4  # so that rows that come later widen the range
    run = scan(tmp_path / "frames", (5, 6), frames=frames).write()
    red = run.values("red")

    async def drawn_as(shares: np.ndarray) -> None:
        known = shades(run, "red", shares)
        assert await shown(viewer, "red", list(known)) == known

    def spread(values: np.ndarray, low: float, high: float) -> np.ndarray:
        return (values - low) / (high - low)

    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, [*run.head, *run.at(0, 12)])
        await viewer.wait_until(run=run.uid, rows=12)
        await viewer.page.select_option("#colours", "grey")
        await press(viewer, "display-open")
        level = viewer.page.locator("#levels li", has_text="Red")
        low, high, lock = level.locator("input").nth(0), level.locator("input").nth(1), level.locator("button")
        first = red[:12]
        assert [float(await field.input_value()) for field in (low, high)] == pytest.approx([first.min(), first.max()], rel=1e-5)
        await lock.click()
        await send(settings, [*run.at(12, 30), run.stop])
        await viewer.wait_until(run=run.uid, rows=30, status="success")
        assert red.max() > first.max(), "else a lock would not be seen"
        await drawn_as(spread(red, first.min(), first.max()))
        await lock.click()
        await drawn_as(spread(red, red.min(), red.max()))
        await viewer.page.select_option("#clip", "5")
        await drawn_as(spread(red, *(np.percentile(red, share, method=how) for share, how in ((5, "lower"), (95, "higher")))))
        await viewer.page.select_option("#clip", "0")
        await low.fill("20000")
        await low.press("Enter")
        await drawn_as(spread(red, 20000, red.max()))
        assert await lock.get_attribute("aria-pressed") == "true"
        await high.fill("1")
        await high.press("Enter")
        assert "the lowest value below the highest" in await high.evaluate("(field) => field.validationMessage")
        await drawn_as(spread(red, 20000, red.max()))
        await lock.click()
        await viewer.page.select_option("#scale", "log")
        await drawn_as(spread(np.log(red), np.log(red.min()), np.log(red.max())))
        await press(viewer, "inverted")
        await drawn_as(1 - np.floor(255 * spread(np.log(red), np.log(red.min()), np.log(red.max())) + 0.5) / 255)
        await press(viewer, "inverted")
        await viewer.page.select_option("#scale", "linear")
        await viewer.page.locator("#gamma").fill("-1")
        assert await text(viewer, "#gamma-value") == "0.5"
        await drawn_as(spread(red, red.min(), red.max()) ** 0.5)
        # The composite has the same limits and gamma.
        parts = [
            np.floor(255 * spread(run.values(c), run.values(c).min(), run.values(c).max()) ** 0.5 + 0.5) for c in ("red", "green", "blue")
        ]
        expected = {run.cell(n): tuple(int(part[n]) for part in parts) for n in range(30)}
        assert await shown(viewer, "rgb", list(expected)) == expected
        assert "30 values" in (await level.locator("canvas").get_attribute("aria-label") or "")
        box = await level.locator("canvas").bounding_box()
        assert box is not None
        await viewer.page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 8)
        await viewer.page.mouse.down()
        await viewer.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 8, steps=3)
        await viewer.page.mouse.up()
        assert float(await high.input_value()) == pytest.approx((red.min() + red.max()) / 2, rel=0.02)
        await viewer.page.reload()
        await viewer.wait_until(run=run.uid, rows=30, status="success")
        await drawn_as(spread(red, red.min(), red.max()) ** 0.5)  # what was chosen is kept, limits are not
        assert viewer.complaints == []


async def test_maps_are_turned_enlarged_and_set_side_by_side(settings: Settings, streaming: Any, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames", (3, 4)).write()
    grey = shades(run, "total", (run.values("total") - run.values("total").min()) / np.ptp(run.values("total")))
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, run.documents)
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        await viewer.page.select_option("#colours", "grey")
        await press(viewer, "display-open")

        async def to_the_right_and_up() -> tuple[int, int]:
            """How far the second cell of the fast axis lies from the first one, in cells."""
            assert await shown(viewer, "total", list(grey)) == grey
            one, other = [await viewer.cell_rectangle("total", cell) for cell in (0, 1)]
            return round((other["x"] - one["x"]) / one["w"]), round((one["y"] - other["y"]) / one["h"])

        assert await to_the_right_and_up() == (1, 0)
        await press(viewer, "leftwards")
        assert await to_the_right_and_up() == (-1, 0)
        await press(viewer, "swapped")
        assert await to_the_right_and_up() == (0, 1)
        await press(viewer, "downwards")
        assert await to_the_right_and_up() == (0, -1)
        await viewer.point_at("total", 7)
        await viewer.page.locator("#readout-title", has_text="Under the cursor").wait_for()
        assert (await viewer.readout())["cell"] == "1, 3"
        await press(viewer, "leftwards", "swapped", "downwards")

        async def widths() -> list[int]:
            """Of all pictures of channels that are on the page, in their order."""
            return [
                round((await canvas.bounding_box() or {})["width"])
                for canvas in await viewer.page.locator("figure:not([hidden]) canvas").all()
            ][:5]

        composite, *rest = await widths()
        assert all(composite > width for width in rest)
        await viewer.page.locator('figure:has(canvas[data-channel="blue"]) .enlarge').click()
        names = await viewer.page.locator("figure:not([hidden]) canvas").evaluate_all("(all) => all.map((one) => one.dataset.channel)")
        sizes = dict(zip(names, await widths(), strict=False))
        assert sizes["blue"] == max(sizes.values()) > sizes["rgb"]
        await viewer.page.select_option("#layout", "even")
        assert np.ptp(await widths()) <= 1
        await viewer.page.select_option("#layout", "one")
        assert len(await widths()) == 1
        assert await viewer.page.locator("figure:not([hidden]) canvas").get_attribute("data-channel") == "blue"
        assert viewer.complaints == []


async def test_a_region_is_summed_and_a_line_followed_over_all_channels(settings: Settings, streaming: Any, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames", (5, 6)).write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, [*run.head, *run.at(0, 20)])
        await viewer.wait_until(run=run.uid, rows=20)
        await viewer.page.select_option("#tool", "region")
        await drag(viewer, "green", 1, 22)
        cells = [row * 6 + column for row in range(4) for column in range(1, 5)]
        at = {run.cell(point): point for point in range(20)}

        async def table() -> dict[str, list[str]]:
            rows = await viewer.page.locator("#sums tr").all()
            return {
                await row.locator("th").inner_text(): [cell.replace("\u202f", "") for cell in await row.locator("td").all_inner_texts()]
                for row in rows
            }

        def expected(channel: str) -> list[str]:
            values = np.array([run.values(channel)[at[cell]] for cell in cells if cell in at])
            mean = values.mean()
            said = str(int(mean)) if mean == int(mean) else f"{mean:.6g}"
            return [str(int(values.sum())), said, str(int(values.min())), str(int(values.max()))]

        assert await text(viewer, "#selection-title") == "Region of 16 cells"
        assert await table() == {channel.title(): expected(channel) for channel in ("red", "green", "blue", "total")}
        # It is drawn over every map: its edge is light, in the middle of cells' edges.
        frame = await viewer.cell_rectangle("total", 1)
        colour = await viewer.page.evaluate(_LIGHTEST, ["total", frame["x"], frame["y"] + frame["h"] / 2])
        assert colour > 200
        await send(settings, [*run.at(20, 30), run.stop])
        await viewer.wait_until(run=run.uid, rows=30, status="success")
        at |= {run.cell(point): point for point in range(20, 30)}
        await viewer.page.locator("#sums td").first.filter(has_text=f"{int(expected('red')[0]):,}".replace(",", "\u202f")).wait_for()
        await viewer.page.select_option("#tool", "line")
        await drag(viewer, "blue", 0, 28)
        assert await text(viewer, "#selection-title") == "Line of 5 cells, 5.657 mm"
        await viewer.page.locator("figure h2", has_text="Blue along the line, 5.657 mm").wait_for()
        await press(viewer, "selection-clear")
        await viewer.page.locator("#selection").wait_for(state="hidden")
        assert await viewer.page.locator("figure h2", has_text="along the line").count() == 0
        # With the keyboard: the cursor steps, and draws while shift is held.
        await viewer.page.select_option("#tool", "region")
        await viewer.page.locator('canvas[data-channel="red"]').focus()
        for key in ("ArrowDown", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowUp"):
            await viewer.page.keyboard.press(key)
        assert await text(viewer, "#selection-title") == "Region of 2 cells"
        # With the mouse's other button nothing is drawn.
        place = await viewer.cell_rectangle("red", 0)
        await viewer.page.locator('canvas[data-channel="red"]').click(button="right", position={"x": place["x"] + 3, "y": place["y"] + 3})
        assert await text(viewer, "#selection-title") == "Region of 2 cells"
        # Replayed, the sums are those of the points that there were.
        await drag(viewer, "green", 0, 29)
        sums = viewer.page.locator("#sums td").first
        for controls, points in ((["replay-open", "replay-back"], 29), (["replay-back"], 28), (["replay-open"], 30)):
            await press(viewer, *controls)
            assert (await sums.inner_text()).replace("\u202f", "") == str(run.values("red")[:points].sum().astype(int))
        # Those of one run are not those of the next.
        await send(settings, scan(tmp_path / "frames", seed=2).write().documents)
        await viewer.wait_until(rows=12, status="success")
        await viewer.page.locator("#selection").wait_for(state="hidden")
        assert viewer.complaints == []


_LIGHTEST = """([channel, x, y]) => {
    const canvas = document.querySelector(`canvas[data-channel="${channel}"]`);
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(x - 3, y, 6, 1);
    return Math.max(...[...data].filter((_, i) => i % 4 === 0));
}"""
"""The lightest red within three pixels to the left and right of a place."""


async def test_a_scan_is_played_again_while_it_goes_on(settings: Settings, streaming: Any, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames", (3, 4)).write()
    red = run.values("red")

    async def drawn(points: int) -> None:
        """The first points are drawn as they were then, and no others."""
        known = shades(run, "red", (red[:points] - red[:points].min()) / np.ptp(red[:points]))
        colours = await shown(viewer, "red", range(12))
        assert {cell: colours[cell] for cell in known} == known
        assert all(colours[cell] != (GREY[0],) * 3 and len(set(colours[cell])) > 1 for cell in range(12) if cell not in known)

    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, [*run.head, *run.at(0, 8)])
        await viewer.wait_until(run=run.uid, rows=8)
        await viewer.page.select_option("#colours", "grey")
        await press(viewer, "replay-open", "replay-back", "replay-back")
        assert await text(viewer, "#replay-text") == "6 of 8"
        await drawn(6)
        assert (await viewer.readout())["point"] == "5"
        await viewer.page.locator("#replay-row").fill("3")
        await drawn(3)
        await send(settings, [*run.at(8, 10)])
        await viewer.page.locator("#replay-text", has_text="3 of 10").wait_for()
        await drawn(3)
        # Whoever takes the slider while it plays has it.
        await press(viewer, "replay-play")
        await viewer.page.locator("#replay-row").fill("3")
        await viewer.page.locator('#replay-play[aria-pressed="false"]').wait_for()
        assert await text(viewer, "#replay-text") == "3 of 10"
        await press(viewer, "replay-play")
        await viewer.page.locator("#replay-text", has_text="10 of 10").wait_for()
        await viewer.page.locator('#replay-play[aria-pressed="false"]').wait_for()
        await drawn(10)
        await press(viewer, "replay-back", "replay-open")
        await drawn(10)
        await send(settings, [*run.at(10, 12), run.stop])
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        await drawn(12)
        edge = await viewer.cell_rectangle("total", run.cell(5))
        await press(viewer, "replay-open")
        await viewer.page.locator("#replay-row").fill("6")
        await drawn(6)
        # The next cell, to its left, was empty then: what is light there is the mark of the point that was the latest.
        assert await viewer.page.evaluate(_LIGHTEST, ["total", edge["x"] - 3, int(edge["y"] + edge["h"] / 2)]) > 130
        assert viewer.complaints == []


async def test_the_page_says_how_fresh_its_data_are_and_what_is_missing(settings: Settings, streaming: Any, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames", (3, 4)).write()
    async with streaming(settings), viewer_page("about:blank") as viewer:
        await viewer.page.clock.install()
        await viewer.page.goto(page_url(settings))
        await send(settings, [*run.head, *run.at(0, 3)])
        await viewer.wait_until(run=run.uid, rows=3)
        await send(settings, run.at(5, 7))
        await viewer.wait_until(run=run.uid, rows=5)
        await viewer.page.locator("#missing", has_text="2").wait_for()
        await viewer.page.locator("#lag", has_text=" s").wait_for()
        assert await viewer.page.locator("#freshness").is_hidden()
        await press(viewer, "path", "display-open", "plan")
        # The path that is to come crosses cells that nothing was measured in.
        ahead = await viewer.cell_rectangle("total", run.cell(9))
        assert await viewer.page.evaluate(_LIGHTEST, ["total", ahead["x"] + ahead["w"] / 2, int(ahead["y"] + ahead["h"] / 2)]) > 130
        await viewer.page.clock.fast_forward(15_000)
        await viewer.page.locator("#freshness", has_text="No data for").wait_for()
        await send(settings, run.at(3, 5))
        await viewer.wait_until(run=run.uid, rows=7)
        await viewer.page.locator("#freshness").wait_for(state="hidden")
        await viewer.page.locator("#missing").wait_for(state="hidden")
        await send(settings, [run.stop])
        await viewer.wait_until(run=run.uid, status="success")
        assert await viewer.page.locator("#freshness").is_hidden()
        assert viewer.complaints == []
