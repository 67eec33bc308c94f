"""Scans along one axis in Chromium: their lines, where they are, looked at closer, and on a logarithmic axis."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.pages import viewer_page
from tests.browser.test_viewer import page_url, send
from tests.helpers.scans import scan
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.integration]

LISTENERS = """
window.listeners = 0;
for (const [name, by] of [["addEventListener", 1], ["removeEventListener", -1]]) {
  const kept = window[name];
  window[name] = function (kind, ...rest) {
    if (kind === "dppxchange") window.listeners += by;
    return kept.call(this ?? window, kind, ...rest);
  };
}
"""
"""Counts what plots of lines have the window call."""
RED, GREEN, BLUE, TEXT = (0xFF, 0x7B, 0x72), (0x4C, 0xC4, 0x6A), (0x6C, 0xB0, 0xFF), (0xE4, 0xEA, 0xF1)


async def test_a_line_goes_through_its_points_and_is_looked_at_closer_by_dragging(
    settings: Settings, streaming: Any, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (40,), extents=[[10.0, 49.0]]).write()
    red = run.values("red")
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, run.documents)
        await viewer.wait_until(run=run.uid, rows=40, status="success")

        async def places(*points: int, channel: str = "red") -> np.ndarray:
            """The middle of points, in pixels, one a row; of the first line where there are several."""
            found = await viewer.cell_rectangles(channel, points)
            return np.array([(each["x"] + each["w"] / 2, each["y"] + each["h"] / 2) for each in found])

        async def picture(channel: str) -> np.ndarray:
            image = await viewer.page.locator(f'#plots canvas[data-channel="{channel}"]').screenshot()
            return np.asarray(Image.open(BytesIO(image)).convert("RGB")).astype(int)

        async def dotted(*points: int) -> bool:
            """Whether the channel's own colour is within two pixels of each point: between points the line is thinner, and darker."""
            drawn = await picture("red")
            at = (await places(*points)).astype(int)
            return all((np.abs(drawn[y - 2 : y + 3, x - 2 : x + 3] - RED) < 12).all(axis=-1).any() for x, y in at)

        # The dots of the line, in the colour of the channel, are where the axes say.
        assert await dotted(*range(40))
        first, low, high, last = await places(0, int(red.argmin()), int(red.argmax()), 39)
        even = await places(*range(40))
        np.testing.assert_allclose(np.diff(even[:, 0]), (last - first)[0] / 39)
        shares = (even[:, 1] - low[1]) / (high - low)[1]
        np.testing.assert_allclose(shares, (red - red.min()) / np.ptp(red), atol=1e-6)
        # All of them over one axis: each in its colour, of which the legend says whose it is.
        drawn, caption = await picture("lines"), viewer.page.locator('#plots figure:has(canvas[data-channel="lines"]) figcaption')
        assert "Red\nGreen\nBlue\nTotal" in await caption.inner_text()
        at = await places(*range(40), channel="lines")
        least, most = int(red.argmin()), int(red.argmax())
        slope = (at[most, 1] - at[least, 1]) / (red[most] - red[least])
        names = ("red", "green", "blue", "total")
        heights = np.array([at[least, 1] + slope * (run.values(name) - red[least]) for name in names])
        for line, ink in enumerate((RED, GREEN, BLUE, TEXT)):
            # Where no other line passes over it.
            clear = (np.abs(np.delete(heights, line, 0) - heights[line]) > 8).all(axis=0)
            assert clear.sum() > 10, names[line]
            dots = np.stack([at[clear, 0], heights[line, clear]], axis=1).astype(int)
            near = [np.abs(drawn[y - 2 : y + 3, x - 2 : x + 3] - ink) for x, y in dots]
            assert all((each < 12).all(axis=-1).any() for each in near), names[line]
            # Half the way to the next point there is no dot, but the line.
            between = [(dots[i] + dots[i + 1]) // 2 for i in range(len(dots) - 1) if clear[np.flatnonzero(clear)[i] + 1]]
            assert between
            beside = [np.abs(drawn[y - 3 : y + 4, x - 3 : x + 4] - ink).max(axis=-1).min() for x, y in between]
            assert np.median(beside) < 60, names[line]
        inks = await caption.locator("span span").evaluate_all("all => all.map((one) => getComputedStyle(one, '::before').color)")
        assert inks == [f"rgb({red}, {green}, {blue})" for red, green, blue in (RED, GREEN, BLUE, TEXT)]
        box = await viewer.page.locator('#plots canvas[data-channel="red"]').bounding_box()
        assert box is not None

        async def drag(one: np.ndarray, other: np.ndarray) -> None:
            await viewer.page.mouse.move(box["x"] + one[0], box["y"] + 60)
            await viewer.page.mouse.down()
            await viewer.page.mouse.move(box["x"] + other[0], box["y"] + 60, steps=3)
            await viewer.page.mouse.up()

        await drag(*await places(10, 20))
        assert np.diff((await places(10, 20))[:, 0])[0] == pytest.approx((last - first)[0] * 40 / 39, rel=0.01)
        assert await dotted(*range(11, 20))
        await viewer.point_at("red", 15)
        assert (await viewer.readout())["stage-x"] == "25"
        assert await viewer.page.locator("dialog[open]").count() == 0, "who drags asks for no frame"
        await drag(*await places(18, 12))
        np.testing.assert_allclose(await places(*range(40)), even, atol=0.01)
        await viewer.page.locator("#display-open").click()
        await viewer.page.select_option("#scale", "log")
        log = await places(int(red.argmin()), *range(40), int(red.argmax()))
        shares = (log[1:-1, 1] - log[0, 1]) / (log[-1, 1] - log[0, 1])
        np.testing.assert_allclose(shares, np.log(red / red.min()) / np.log(red.max() / red.min()), atol=1e-6)
        assert await dotted(*range(40))
        # Plots of one run are given up as those of the next come.
        await viewer.page.add_init_script(LISTENERS)
        await viewer.page.reload()
        await viewer.wait_until(run=run.uid, rows=40, status="success")
        listeners = [await viewer.page.evaluate("window.listeners")]
        for seed in (2, 3):
            other = scan(tmp_path / "frames", (40,), extents=[[10.0, 49.0]], seed=seed).write()
            await send(settings, other.documents)
            await viewer.wait_until(run=other.uid, rows=40, status="success")
            listeners.append(await viewer.page.evaluate("window.listeners"))
        assert listeners[0] > 0
        assert listeners == listeners[:1] * 3
        assert viewer.complaints == []
