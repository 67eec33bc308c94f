"""The recipe of docs/how-to/browser.md: React and H5Web, built as one would, with the package that is packed for npm."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.nodejs import ROOT, node, packages, packed, site
from tests.helpers.serving import catalogue_away, live, serving_of
from wpb_stream.core.messages import AxisInfo
from wpb_stream.core.table import PointTable

pytestmark = pytest.mark.browser

EXAMPLE = "docs/examples/h5web"
SHAPE = (3, 4)
LOWEST, HIGHEST, NONE = (68, 1, 84), (253, 231, 37), (255, 255, 255)
"""The ends of viridis, and where nothing was measured."""


async def build(folder: Path) -> Path:
    """The example, built: with the types and the code of the package."""
    modules = packages(EXAMPLE)
    with tarfile.open(packed(folder)) as package:
        package.extractall(folder, filter="data")
    installed = modules / "websockets-plotting-blue"
    installed.unlink(missing_ok=True)
    installed.symlink_to(folder / "package")
    await node(packages("npm") / "typescript/bin/tsc", "-p", EXAMPLE)
    await node(modules / "vite/bin/vite.js", "build", "--outDir", folder / "site", "--logLevel", "error", cwd=ROOT / EXAMPLE)
    return folder / "site"


async def colours(viewer: Viewer) -> npt.NDArray[np.int_]:
    """Colours in the middle of each cell, of shape (rows, columns, 3): the first row is the lowest on the page."""
    picture = np.asarray(Image.open(BytesIO(await viewer.page.locator("canvas").screenshot())).convert("RGB")).astype(int)
    height, width, _ = picture.shape
    rows, columns = SHAPE
    across = [int((column + 0.5) * width / columns) for column in range(columns)]
    up = [int(height - (row + 0.5) * height / rows) for row in range(rows)]
    return picture[np.ix_(up, across)]


async def test_a_live_map_in_react_and_h5web_has_the_values_of_the_scan_in_their_places(tmp_path: Path) -> None:
    built = await build(tmp_path)
    reader = catalogue_away()
    with site(built) as origin:
        async with serving_of(reader, tmp_path, origins=[origin]) as serving:
            made = live(serving.board, 0)
            axes = [AxisInfo("stage-y", "mm", 0.0, 2.0, False), AxisInfo("stage-x", "mm", 10.0, 13.0, False)]
            made.run = msgspec.structs.replace(made.run, shape=list(SHAPE), axes=axes)
            made.table = PointTable(["total"])
            values = np.array([1.0, 5.0, 2.0, 3.0, 9.0, 4.0])
            cells = np.array([0, 1, 2, 3, 7, 6])
            async with viewer_page(f"{origin}/?feed=ws://127.0.0.1:{serving.port}/ws") as viewer:
                for first, last in ((0, 4), (4, 6)):
                    new = slice(first, last)
                    made.table.append(np.arange(first, last), cells[new], values[new, np.newaxis])
                    serving.board.changed()
                    await viewer.page.locator(f'main[data-rows="{last}"] canvas').wait_for()
                # Its picture follows in one of the next frames.
                await viewer.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
                shown = await colours(viewer)
                flat = [tuple(colour) for colour in shown.reshape(-1, 3).tolist()]
                assert (flat[0], flat[7]) == (LOWEST, HIGHEST)
                assert {flat[cell] for cell in range(12) if cell not in cells} == {NONE}
                brightness = shown.reshape(-1, 3).sum(axis=1)[cells]
                assert np.argsort(brightness).tolist() == np.argsort(values).tolist()
                # Half a step before the first point, which is at 10.
                await viewer.page.get_by_text("9.5", exact=True).wait_for()
                area = await viewer.page.locator("canvas").bounding_box()
                assert area is not None
                await viewer.page.mouse.move(area["x"] + area["width"] * 5 / 8, area["y"] + area["height"] / 2)
                await viewer.page.get_by_text("stage-x (mm): 12, stage-y (mm): 1, 4").wait_for()
                assert [each for each in viewer.complaints if "GPU stall" not in each] == []
