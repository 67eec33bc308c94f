"""The streaming process, run for real: in this event loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from wpb_stream.app import stream
from wpb_stream.host import free_port
from wpb_stream.settings import Settings, environment, load, split_address

RECORDINGS = Path(__file__).parents[1] / "helpers" / "recordings"

Streaming = Callable[[Settings], AbstractAsyncContextManager[None]]


@pytest.fixture
def settings(tmp_path: Path, postgres_url: str, kafka_address: str, kafka_topic: str) -> Settings:
    """Settings of a streaming process on an empty database and an empty topic; frames lie in ``frames``."""
    (tmp_path / "frames").mkdir()
    return load(
        sources=f"kafka://{kafka_address}/{kafka_topic}",
        database_url=postgres_url,
        data=tmp_path / "data",
        data_roots=str(tmp_path / "frames"),
        path_map=f"/dls/b01-1={tmp_path / 'frames'}",
        listen=f"127.0.0.1:{free_port('127.0.0.1', 0)}",
        frame_deadline_s=2.0,
    )


def feed_url(settings: Settings) -> str:
    """The websocket of a streaming process."""
    return f"ws://{settings.listen}/ws"


async def until_serving(settings: Settings, process: asyncio.Future[None] | None = None) -> None:
    """Wait until somebody listens at the feed's address.

    :param process: what is to listen there; if it ends before, what it raised is raised
    """
    host, port = split_address(settings.listen)
    async with asyncio.timeout(60):
        while process is None or not process.done():
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.02)
    assert process is not None
    process.result()


@asynccontextmanager
async def streaming_here(settings: Settings) -> AsyncIterator[None]:
    """A streaming process in this event loop, while the context lasts; it serves already."""
    process = asyncio.ensure_future(stream(settings))
    try:
        await until_serving(settings, process)
        yield
    finally:
        process.cancel()
        await asyncio.wait([process])
        with suppress(asyncio.CancelledError):
            process.result()


@pytest.fixture
def streaming() -> Streaming:
    """Runs a streaming process in this event loop while a context lasts."""
    return streaming_here


class StreamingProcess:
    """A streaming process that can be killed and started again; or another command that serves the feed."""

    def __init__(self, settings: Settings, command: str = "stream") -> None:
        self._settings, self._command = settings, command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, log: Path | None = None) -> None:
        """Start it; it serves a little later.

        :param log: where its standard error goes, if not to ours
        """
        with ExitStack() as stack:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wpb_stream.cli", self._command),
                env={**os.environ, **environment(self._settings)},
                stderr=stack.enter_context(log.open("w")) if log else None,
            )

    async def serve(self, log: Path | None = None) -> None:
        """Start it, and wait until it serves."""
        await self.start(log)
        await until_serving(self._settings)

    async def ended(self) -> int:
        """Wait until it ends by itself; gives its exit status."""
        assert self._process is not None
        async with asyncio.timeout(60):
            return await self._process.wait()

    async def stop(self) -> int:
        """Ask it to end, as a service manager does; gives its exit status."""
        assert self._process is not None
        self._process.terminate()
        return await self.ended()

    async def kill(self) -> None:
        """End it as a power failure would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def streaming_process(settings: Settings) -> AsyncIterator[StreamingProcess]:
    """A streaming process of its own, not started yet; killed after the test."""
    process = StreamingProcess(settings)
    yield process
    await process.kill()
