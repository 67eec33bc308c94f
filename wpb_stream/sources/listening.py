"""Listening for ever: a bus that is away is asked again, at growing intervals."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

from wpb_stream.core.documents import Arrival
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources import Source

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
"""How long to wait before a bus that is away is asked again; then twice as long each time, give or take a half."""
LONGEST_WAIT_S = 5.0


async def listen(source: Source, positions: Callable[[], Awaitable[Mapping[str, int]]]) -> AsyncGenerator[Sequence[Arrival], None]:
    """Messages of a source as they come; never ends by itself. Close it.

    :param positions: gives for each partition the next position to ask for; asked at each connection
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            async with source:
                async for messages in source.batches(await positions()):
                    wait_s = FIRST_WAIT_S
                    yield messages
        except ServiceError as error:
            log.warning("%s; trying again in about %.2g s", error, wait_s)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
