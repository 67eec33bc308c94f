"""The global listener: one module a bus, each an async iterator of messages with their positions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, Self

from wpb_stream.core.documents import Arrival


class Source(Protocol):
    """A bus that is listened to; an asynchronous context manager that holds the connection.

    Entering it, and what it does after, raises ServiceError where the bus is away: it is then left, and entered anew after a while.
    """

    url: str
    """As the settings name it, without credentials."""
    identity: str
    """What positions are kept under; known once connected."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    def batches(self, positions: Mapping[str, int]) -> AsyncIterator[Sequence[Arrival]]:
        """Messages as they come, each partition in order, with what was lost between them.

        :param positions: for each partition the next position to ask for, from what is stored. A bus that numbers nothing is numbered
            here: its messages count on from there
        """
        ...

    async def stored(self, positions: Mapping[str, int]) -> None:
        """All messages before these positions are stored: a bus that keeps them for us may let them go. Raises nothing.

        :param positions: for each partition the next position to ask for
        """
        ...

    async def probe(self) -> str:
        """What there is to listen to, in a sentence for ``wpb doctor``; asked of an entered source.

        :raises ServiceError: nothing can be had, and what to do about it
        """
        ...
