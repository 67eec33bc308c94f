"""A Kafka broker behind somebody who takes his time."""

from __future__ import annotations

import asyncio
from typing import Self

MANY = 2**16
"""Bytes that are more than one small request or answer has."""


class SlowBroker:
    """Passes a client's requests on to a broker, and from the second on, which asks for the metadata, only when it is told to."""

    def __init__(self, broker: str) -> None:
        self._broker = broker.split(":")
        self.asked, self.answers, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, requests: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        from_broker, to_broker = await asyncio.open_connection(*self._broker)
        to_broker.write(await requests.read(MANY))
        answers.write(await from_broker.read(MANY))
        request = await requests.read(MANY)
        self.asked.set()
        await self.answers.wait()
        to_broker.write(request)
        answers.write(await from_broker.read(MANY))
        while await requests.read(MANY):
            pass
        for writer in (answers, to_broker):
            writer.close()
        self.left.set()
