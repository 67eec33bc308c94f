"""An embedded broker for one test, which may do with it what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.host import free_port

WAIT_S = 60.0


class _Advertised(EmbeddedBroker):
    def __init__(self, folder: Path, port: int, advertised: str | None) -> None:
        super().__init__(folder, port)
        self._advertised = advertised or self.address

    def _argv(self) -> Sequence[str]:
        argv = list(super()._argv())
        argv[argv.index("--advertised-listener-url") + 1] = f"tcp://{self._advertised}"
        return argv


class Broker:
    """A broker that can be killed and started again on its port: a new cluster then, and empty but for a topic."""

    def __init__(self, folder: Path, topic: str = "documents", port: int | None = None, advertised: str | None = None) -> None:
        """It is not started yet.

        :param port: any free one by default
        :param advertised: ``host:port`` that clients are told to go to, if not its own
        """
        self._topic = topic
        self._embedded = _Advertised(folder, port or free_port("127.0.0.1", 0), advertised)
        self.address = self._embedded.address
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        service = self._embedded.service()
        assert callable(service.argv)
        assert service.ready is not None
        null = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(*service.argv(), cwd=service.cwd, stdout=null, stderr=null)
        async with asyncio.timeout(WAIT_S):
            while True:
                with suppress(OSError):
                    if await service.ready():
                        break
                await asyncio.sleep(0.02)
        await create_topic(self.address, self._topic)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
