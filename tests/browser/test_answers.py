"""What the page makes of answers of Dagster and blueapi that come late, or tell of a failure: they are put into the feed's in their place.

Both themselves are asked in tests/dagster/test_asked_again.py and tests/integration/test_stomp.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Browser, Page, Route, WebSocketRoute, expect

from tests.browser.pages import viewer_page
from tests.helpers.archive import made_run
from tests.helpers.serving import catalogue_away, serving_of

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

VALUES = np.arange(12.0).reshape(3, 4)


async def answered(page: Page, answers: dict[str, Callable[[dict[str, Any], WebSocketRoute], None]]) -> None:
    """Have requests of these kinds answered so, and all others by the server; the person may do everything, and there is a blueapi."""

    def between(client: WebSocketRoute) -> None:
        server = client.connect_to_server()

        def asked(text: str | bytes) -> None:
            message = json.loads(text)
            answer = answers.get(message["type"])
            if answer is None:
                server.send(text)
            else:
                answer(message, client)

        def told(text: str | bytes) -> None:
            if isinstance(text, str) and json.loads(text)["type"] == "welcome":
                text = json.dumps({**json.loads(text), "scopes": ["watch", "admin"], "blueapi": True})
            client.send(text)

        client.on_message(asked)
        server.on_message(told)

    await page.route_web_socket("**/ws", between)


async def test_what_becomes_of_maps_that_are_made_again_is_told_in_words_and_may_be_asked_for_once_more(
    tmp_path: Path, browser: Browser
) -> None:
    words, begun = ["QUEUED", "SUCCESS", "FAILURE", "CANCELED"], list[str]()

    def begin(message: dict[str, Any], client: WebSocketRoute) -> None:
        begun.append(f"{len(begun)}-in-dagster")
        link = f"http://127.0.0.1:3000/runs/{begun[-1]}"
        client.send(
            json.dumps({"type": "reprocessing", "id": message["id"], "run": message["run"], "dagster_run": begun[-1], "link": link})
        )

    async def status(route: Route) -> None:
        await route.fulfill(json={"status": words.pop(0)})

    async with serving_of(catalogue_away(), tmp_path) as serving:
        serving.board.live["u"], serving.board.latest = made_run("u", VALUES), "u"
        async with viewer_page("about:blank", browser=browser) as viewer:
            page = viewer.page
            await answered(page, {"reprocess": begin})
            await page.route("**/api/dagster/*", status)
            await page.goto(f"http://127.0.0.1:{serving.port}/runs/u?revision=live")
            await viewer.wait_until(run="u", rows=12)
            await page.locator('canvas[data-channel="total"]').focus()
            for key in ("ArrowRight", "Enter"):
                await page.keyboard.press(key)
            await page.get_by_label("Region", exact=True).check()
            await page.get_by_label("Channel of the region").select_option("red")
            for name, value in {"Row, from": 0, "Row, to": 1, "Column, from": 0, "Column, to": 1}.items():
                await page.get_by_label(name).fill(str(value))
            ask, said = page.locator("#remake"), page.locator("#remake-said")
            for told in (("waits its turn", "is done"), ("failed: its page says why",), ("was cancelled",)):
                await ask.click()
                await expect(ask).to_be_disabled()
                for each in told:
                    await expect(said).to_contain_text(f"Dagster run {begun[-1][:8]} {each}")
                await expect(ask).to_be_enabled()
            assert words == [], "nothing is looked at once more when it is over"


async def test_an_answer_about_another_run_than_was_asked_about_last_changes_nothing(tmp_path: Path, browser: Browser) -> None:
    waiting: list[Callable[[], None]] = []

    def task(message: dict[str, Any], client: WebSocketRoute) -> None:
        run = message["run"]
        told = json.dumps({"type": "task", "id": message["id"], "run": run, "plan": f"plan_of_{run}", "params": {}, "task": None})
        if run == "a":
            waiting.append(lambda: client.send(told))
        else:
            client.send(told)

    async with serving_of(catalogue_away(), tmp_path) as serving:
        for uid in ("a", "b"):
            serving.board.live[uid] = made_run(uid, VALUES, status="running", blueapi_task_id=f"task-{uid}")
        serving.board.latest = "b"
        async with viewer_page("about:blank", browser=browser) as viewer:
            page = viewer.page
            await answered(page, {"run_again": task})
            await page.goto(f"http://127.0.0.1:{serving.port}/runs/a")
            await viewer.wait_until(run="a", rows=12)
            await page.get_by_role("button", name="Run again").click()
            await expect(page.locator("#again-said")).to_have_text("Asking blueapi…")
            await page.get_by_role("button", name="Close").click()
            await page.get_by_role("button", name="Follow latest").click()
            await viewer.wait_until(run="b", rows=12)
            await page.get_by_role("button", name="Run again").click()
            await expect(page.locator("#again-plan")).to_have_text("plan_of_b()")
            waiting.pop()()
            await page.evaluate("() => new Promise((done) => setTimeout(done))")  # what has come is heard by then
            await expect(page.locator("#again-plan")).to_have_text("plan_of_b()")
            assert await page.locator("#again-begin").get_attribute("data-run") == "b"
