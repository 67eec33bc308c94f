"""Maps on pages of another origin: in a frame, and as an element of the page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Locator, expect

from tests.browser.pages import viewer_page
from tests.helpers.archive import fill, made_run
from tests.helpers.nodejs import ROOT, site
from tests.helpers.serving import serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.core.access import Access
from wpb_stream.core.board import Reconstruction
from wpb_stream.tokens import new_token

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

(PAGE,) = re.findall(
    r"```html\n(<!doctype html>\n<title>The beamline.*?)```", (ROOT / "docs" / "how-to" / "browser.md").read_text(), re.DOTALL
)
STRICT = "script-src {server} 'self'; style-src 'none'; connect-src {server} {socket}; default-src 'none'; frame-src {server}"
FITTED = """async () => {
    await new Promise(requestAnimationFrame);
    const [root, heights] = [document.documentElement, [...document.querySelectorAll("canvas")].map((one) => one.clientHeight)];
    return [Math.max(...heights), root.scrollHeight > root.clientHeight || root.scrollWidth > root.clientWidth];
}"""
"""The height of the tallest map, and whether the page has to be scrolled."""
VALUES = np.arange(12.0).reshape(3, 4)


def so_far(rows: int, uid: str = "u") -> Reconstruction:
    values = np.where(VALUES < rows, VALUES, np.nan)
    return made_run(uid, values, number=41, plan_name="foil", status="running")


def finish(made: Reconstruction) -> None:
    """Have the rest of a run come."""
    whole = made_run(made.run.uid, VALUES, number=41, plan_name="foil")
    rest = whole.table.data[len(made.table.data) :]
    values = np.stack([rest[name] for name in made.table.channels], axis=1)
    made.table.append(rest["point"], rest["cell"], values)
    made.run, made.ended = whole.run, True


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogueReader]:
    """A catalogue that knows of both runs."""
    await fill(module_database, Results(tmp_path_factory.mktemp("results")), [so_far(0), so_far(0, "v")])
    with CatalogueReader(module_database) as reader:
        yield reader


async def pixels(picture: Locator, places: list[tuple[float, float]]) -> list[Any]:
    """Colours at places of a picture, as shares of its width and height."""
    image = Image.open(BytesIO(await picture.screenshot())).convert("RGB")
    return [image.getpixel((int(x * image.width), int(y * image.height))) for x, y in places]


async def test_a_page_of_an_origin_that_the_settings_name_frames_one_map_and_no_other_page_does(
    reader: CatalogueReader, tmp_path: Path, browser: Browser
) -> None:
    (tmp_path / "favicon.ico").touch()
    with site(tmp_path) as allowed, site(tmp_path) as other:
        async with serving_of(reader, tmp_path, embed_origins=[allowed]) as serving:
            serving.board.live["u"], serving.board.latest = so_far(5), "u"
            address = f"http://127.0.0.1:{serving.port}/?embed=1&channel=red"
            (tmp_path / "index.html").write_text(
                f'<!doctype html><title>A page</title><iframe width="420" height="320" src="{address}"></iframe>'
            )
            async with viewer_page(allowed, browser=browser) as viewer:
                framed = viewer.page.frame_locator("iframe")
                await expect(framed.locator("html")).to_have_attribute("data-rows", "5")
                await expect(framed.locator("figure:visible canvas")).to_have_count(1)
                await expect(framed.locator("figure:visible canvas")).to_have_attribute("data-channel", "red")
                for seen in ("#title", "#status"):
                    await expect(framed.locator(seen)).to_be_visible()
                await expect(framed.locator("#status")).to_have_text("Running")
                for gone in ("#follow", "#progress", "#history", "#messages", "#subtitle", "#display-open", "#connection-text"):
                    await expect(framed.locator(gone)).to_be_hidden()
                await expect(framed.locator(".dot")).to_be_visible()
                inner = await framed.locator("html").evaluate(
                    "one => [one.scrollHeight, one.clientHeight, one.scrollWidth, one.clientWidth]"
                )
                assert inner[:2] == [320, 320], "it fits without scrolling"
                assert inner[2] == inner[3] == 420
                low, high = await pixels(framed.locator("figure:visible canvas"), [(0.3, 0.7), (0.3, 0.6)])
                assert low != high, "the first row is dark, the second one hatched beyond its first point"
                # Frames of any size have maps in them, and no scroll bars.
                await viewer.page.goto(address.replace("&channel=red", ""))
                await viewer.wait_until(run="u", rows=5)
                for width, height, maps in ((400, 300, 1), (700, 500, 5), (900, 320, 1), (1200, 800, 5)):
                    await viewer.page.set_viewport_size({"width": width, "height": height})
                    await expect(viewer.page.locator("figure:visible canvas")).to_have_count(maps)
                    tallest, scrolls = await viewer.page.evaluate(FITTED)
                    assert tallest > 0.6 * height, (width, height)
                    assert not scrolls, (width, height)
                assert viewer.complaints == []
            async with viewer_page(other, browser=browser) as viewer:
                await expect(viewer.page.frame_locator("iframe").locator("#title")).to_have_count(0)
                assert any("frame-ancestors" in complaint for complaint in viewer.complaints)


async def test_an_element_of_a_page_elsewhere_draws_a_run_as_it_grows_under_a_strict_policy(
    reader: CatalogueReader, tmp_path: Path, browser: Browser
) -> None:
    (tmp_path / "favicon.ico").touch()
    token, entry = new_token("alice")
    with site(tmp_path) as allowed:
        async with serving_of(reader, tmp_path, origins=[allowed], access=Access([entry.grant])) as serving:
            serving.board.live["u"], serving.board.latest = so_far(5), "u"
            address = f"127.0.0.1:{serving.port}"
            policy = STRICT.format(server=f"http://{address}", socket=f"ws://{address}")
            page = (
                PAGE.replace("https://wpb.example.org", f"http://{address}").replace('<script type="module">', "").replace("</script>", "")
            )
            assert 'run="latest" channel="red"' in page
            (tmp_path / "set.js").write_text(
                'import "./import.js"; const map = document.querySelector("wpb-map"); const place = map.parentElement; map.remove();'
                f'map.token = "{token}"; place.append(map);'
            )
            (tmp_path / "import.js").write_text(re.search(r"^\s*import .*?;$", page, re.MULTILINE).group())  # type: ignore[union-attr]
            body = re.sub(r"^\s*import .*?;$", "", page, flags=re.MULTILINE)
            head = f'<meta http-equiv="Content-Security-Policy" content="{policy}"><script type="module" src="set.js"></script>'
            (tmp_path / "index.html").write_text(body.replace("<title>", f"{head}<title>", 1))
            async with viewer_page(allowed, browser=browser) as viewer:
                element = viewer.page.locator("wpb-map")
                status, shown = element.get_by_role("status"), element.locator("figure:visible canvas")
                await expect(status).to_have_text("foil #41 · Running · 5 of 12")
                await expect(shown).to_have_count(1)
                await expect(shown).to_have_attribute("data-channel", "red")
                box = await element.bounding_box()
                assert box is not None
                assert (box["height"] >= 250, await element.evaluate("one => getComputedStyle(one).display")) == (True, "flex")
                finish(serving.board.live["u"])
                serving.board.changed()
                await expect(status).to_have_text("foil #41 · Finished · 12 of 12")
                # The lowest values are below, and dark; the highest above, and light.
                low, high = await pixels(shown, [(0.5, 0.7), (0.5, 0.15)])
                assert sum(low) < sum(high)
                assert high[0] > high[2]
                # Another map, then another run, then none.
                await element.evaluate("one => one.setAttribute('channel', 'blue')")
                await expect(shown).to_have_attribute("data-channel", "blue")
                serving.board.live["v"] = so_far(3, "v")
                await element.evaluate("one => { one.setAttribute('run', 'v'); one.removeAttribute('channel'); }")
                await expect(status).to_have_text("foil #41 · Running · 3 of 12")
                await expect(shown).to_have_count(5)
                await element.evaluate("one => one.setAttribute('run', 'nobody')")
                await expect(status).to_contain_text("There is no run 'nobody'.")
                await element.evaluate("one => { one.token = 'wrong'; one.setAttribute('run', 'u'); }")
                await expect(status).to_contain_text("The server does not know this token.")
                # An address that is none is said to be, and may be mended.
                await element.evaluate("(one, token) => { one.token = token; one.setAttribute('feed', 'http://['); }", token)
                await expect(status).to_contain_text("is no address of a wpb server")
                await element.evaluate("(one, feed) => one.setAttribute('feed', feed)", f"http://{address}")
                await expect(status).to_have_text("foil #41 · Finished · 12 of 12")
                await element.evaluate("one => one.remove()")
                # It was taken off the page once while it was connecting, to be given its token.
                assert [each for each in viewer.complaints if "closed before the connection" not in each] == []
