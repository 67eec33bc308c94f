"""The global listener: one module a bus, each an async iterator of messages with their positions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol, Self

from wpb_stream.core.documents import Message


class Source(Protocol):
    """A bus that is listened to; an asynchronous context manager that holds the connection."""

    identity: str
    """What positions are kept under; known once connected."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        """Messages as they come, each partition in order.

        :param positions: for each partition the next position to ask for, from what is stored
        """
        ...
