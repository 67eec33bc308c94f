"""Listening to a STOMP source, for as long as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from wpb_stream.core.documents import Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.stomp import StompSource

WAIT_S = 60.0


@asynccontextmanager
async def listening(
    source: StompSource, heard: pytest.LogCaptureFixture, positions: dict[str, int] | None = None, *, store: bool = True
) -> AsyncIterator[list[Message]]:
    """Messages as they come in, while this lasts; it begins once the broker has said that it listens for us.

    :param store: whether each message is said to be stored
    """
    messages: list[Message] = []

    async def take() -> None:
        async with source, aclosing(source.batches(positions or {})) as batches:
            async for batch in batches:
                messages.extend(batch)
                if store:
                    await source.stored({message.partition: message.position + 1 for message in batch})

    heard.clear()
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take())
        while not all(f"listening to {destination} " in heard.text for destination in source.address.destinations):
            await asyncio.sleep(0.01)
        yield messages
        taking.cancel()


async def until(messages: list[Message], count: int) -> list[bytes]:
    """Wait until there are that many, and give their bodies."""
    while len(messages) < count:
        await asyncio.sleep(0.01)
    return [message.value for message in messages]


async def failure(source: StompSource) -> str:
    """What a source that is listened to says in the end."""
    async with asyncio.timeout(WAIT_S), source, aclosing(source.batches({})) as batches:
        with pytest.raises(ServiceError) as error:
            async for _ in batches:
                pass
    return str(error.value)
