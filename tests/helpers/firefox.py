"""A real Firefox, driven over WebDriver BiDi, which it speaks by itself: Playwright's Firefox is a build of its own.

https://w3c.github.io/webdriver-bidi/
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image
from websockets.asyncio.client import ClientConnection, connect

WAIT_S = 60.0
"""Bound of every wait."""
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "",
}
"""No connection of the browser's own."""


class Firefox:
    """One page."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers, self._context = socket, count(1), ""
        self.complaints: list[str] = []
        """Console errors and warnings, and exceptions nobody caught."""

    async def begin(self) -> None:
        """Take the page that is there."""
        await self._ask("session.new", capabilities={})
        await self._ask("session.subscribe", events=["log.entryAdded"])
        self._context = (await self._ask("browsingContext.getTree"))["contexts"][0]["context"]

    async def open(self, url: str, width: int = 1440, height: int = 900) -> None:
        """Go to a page, and wait until it is loaded."""
        await self._ask("browsingContext.setViewport", context=self._context, viewport={"width": width, "height": height})
        await self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """What an expression comes to in the page, by way of JSON; a promise is waited for."""
        code = f"(async () => JSON.stringify(await ({expression})))()"
        answer = await self._ask("script.evaluate", expression=code, target={"context": self._context}, awaitPromise=True)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    async def wait_until(self, condition: str) -> None:
        """Wait until an expression is true, looking at each frame."""
        look = f"const look = () => ({condition} ? done() : requestAnimationFrame(look)); look();"
        await self.evaluate(f"new Promise((done) => {{ {look} }})")

    async def picture(self) -> Image.Image:
        """What is on the screen."""
        answer = await self._ask("browsingContext.captureScreenshot", context=self._context)
        return Image.open(BytesIO(base64.b64decode(answer["data"]))).convert("RGB")

    async def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(WAIT_S):
            while True:
                message = json.loads(await self._socket.recv())
                if message.get("method") == "log.entryAdded" and message["params"]["level"] in ("error", "warn"):
                    self.complaints.append(message["params"]["text"])
                if message.get("id") == number:
                    assert message["type"] == "success", message
                    return message["result"]


@asynccontextmanager
async def firefox_page(folder: Path) -> AsyncIterator[Firefox]:
    """A Firefox with a new profile in a folder, for as long as the context lasts.

    :raises FileNotFoundError: Firefox is not installed
    """
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        raise FileNotFoundError("This test needs Firefox: apt-get install firefox-esr (make firefox does it, and make test).")
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("".join(lines))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(program, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=pipe,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    try:
        assert process.stderr is not None
        address = None
        async with asyncio.timeout(WAIT_S):
            while address is None:
                line = await process.stderr.readline()
                assert line, "Firefox ended"
                address = re.search(rb"ws://\S+", line)
        async with connect(f"{address.group().decode()}/session", max_size=None, compression=None) as socket:
            page = Firefox(socket)
            await page.begin()
            yield page
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
