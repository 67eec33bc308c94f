"""The viewer of a server that wants a token."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.pages import viewer_page
from tests.helpers.serving import catalogue_away, live, serving_of
from wpb_stream.core.access import Access
from wpb_stream.tokens import new_token

pytestmark = pytest.mark.browser


async def test_it_asks_for_the_token_and_shows_it_wherever_it_asks_for_something(tmp_path: Path) -> None:
    text, entry = new_token("alice")
    reader = catalogue_away()
    async with serving_of(reader, tmp_path, access=Access([entry.grant])) as serving:
        live(serving.board, 6)
        async with viewer_page(f"http://127.0.0.1:{serving.port}/") as viewer:
            page = viewer.page
            await viewer.wait_until(connection="unauthenticated")
            await page.get_by_text("The server wants a token.").first.wait_for()
            await page.get_by_label("Token").fill("wrong")
            await page.get_by_role("button", name="Watch").click()
            await page.get_by_text("The server does not know this token.").first.wait_for()
            await page.get_by_label("Token").fill(text)
            await page.keyboard.press("Enter")
            await viewer.wait_until(connection="connected", rows=6)
            assert await page.locator("#ask").is_hidden()
            await expect(page.locator("#remake")).to_have_attribute("title", "It takes a token with scope admin to have maps made again")
            async with page.expect_download() as taken:
                await page.get_by_role("link", name="CSV").click()
            download = await taken.value
            assert download.suggested_filename == "scan-1-map.csv"
            assert (await download.path()).read_text().count("\n") == 7
            await page.reload()
            await viewer.wait_until(connection="connected", rows=6)
            assert text not in page.url
            assert viewer.complaints == []
        async with viewer_page(f"http://127.0.0.1:{serving.port}/") as another:
            await another.wait_until(connection="unauthenticated")
