"""The streaming process, run for real: in this event loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import pytest

from wpb_stream.app import stream
from wpb_stream.host import free_port
from wpb_stream.settings import Settings, environment, load

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


@pytest.fixture
def streaming() -> Streaming:
    """Runs a streaming process in this event loop while a context lasts."""

    @asynccontextmanager
    async def run(settings: Settings) -> AsyncIterator[None]:
        process = asyncio.ensure_future(stream(settings))
        try:
            yield
        finally:
            process.cancel()
            await asyncio.wait([process])
            with suppress(asyncio.CancelledError):
                process.result()

    return run


class StreamingProcess:
    """A streaming process that can be killed and started again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; it serves a little later."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wpb_stream.cli", "stream", env={**os.environ, **environment(self._settings)}
        )

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
