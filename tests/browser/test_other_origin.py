"""A plain page of another origin, which imports the client from the feed's server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.nodejs import site
from tests.helpers.serving import live, serving_of
from wpb_stream.catalogue.reader import CatalogueReader

pytestmark = pytest.mark.browser

PAGE = """<!doctype html>
<title>A page of somebody else</title>
<link rel="icon" href="data:,">
<canvas id="map" width="1" height="4"></canvas>
<script type="module">
  const server = new URLSearchParams(location.search).get("server");
  const { Maps, watch } = await import(`${server}/client.js`);
  const shown = document.documentElement.dataset;
  const context = document.getElementById("map").getContext("2d");
  let maps;
  window.feed = watch(`${server}/ws`, "latest", {
    run(run) { maps = new Maps(run); },
    points(block) {
      maps.add(block);
      const values = maps.of("total");
      values.forEach((value, cell) => {
        context.fillStyle = `rgb(${value} 0 0)`;
        context.fillRect(0, cell, 1, 1);
      });
      Object.assign(shown, { rows: block.firstRow + block.rows, values: JSON.stringify([...values]) });
    },
  }, { connection: (state) => (shown.connection = state) });
</script>
"""


async def listeners(viewer: Viewer) -> list[str]:
    """What is listened to on the window."""
    browser = await viewer.page.context.new_cdp_session(viewer.page)
    window = await browser.send("Runtime.evaluate", {"expression": "window"})
    found = await browser.send("DOMDebugger.getEventListeners", {"objectId": window["result"]["objectId"]})
    return [each["type"] for each in found["listeners"]]


async def test_a_page_of_an_allowed_origin_draws_a_run_as_it_grows_and_others_get_no_rows(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(PAGE)
    reader = CatalogueReader("postgresql://127.0.0.1:1/none")
    reader.close()
    with site(tmp_path) as allowed, site(tmp_path) as other:
        async with serving_of(reader, tmp_path, origins=[allowed]) as serving:
            made = live(serving.board, 4)
            query = f"?server=http://127.0.0.1:{serving.port}"
            async with viewer_page(f"{allowed}/{query}") as viewer:
                await viewer.wait_until(connection="connected", rows=4)
                made.table.append(np.array([1]), np.array([2]), np.array([[200.0]]))
                serving.board.changed()
                await viewer.wait_until(rows=5)
                assert json.loads(await viewer.state("values")) == [1, 1, 200, 1]
                pixel = "[...document.getElementById('map').getContext('2d').getImageData(0, 2, 1, 1).data]"
                assert await viewer.page.evaluate(pixel) == [200, 0, 0, 255]
                assert viewer.complaints == []
            async with viewer_page(f"{other}/{query}") as refused:
                await refused.wait_until(connection="waiting")
                assert await refused.state("rows") == ""
                assert "online" in await listeners(refused)
                await refused.page.evaluate("feed.close()")
                await refused.wait_until(connection="closed")
                assert "online" not in await listeners(refused)
