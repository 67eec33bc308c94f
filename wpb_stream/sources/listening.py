"""Listening for ever: a bus that is away is asked again, at growing intervals."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

from wpb_stream.core.counts import Counts, is_power_of_two
from wpb_stream.core.documents import Arrival
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources import Source

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
"""How long to wait before a bus that is away is asked again; then twice as long each time, give or take a half."""
LONGEST_WAIT_S = 5.0


async def listen(
    source: Source, positions: Callable[[], Awaitable[Mapping[str, int]]], counts: Counts
) -> AsyncGenerator[Sequence[Arrival], None]:
    """Messages of a source as they come; never ends by itself. Close it.

    A bus that stays away is said at once, then more and more seldom.

    :param positions: gives for each partition the next position to ask for; asked at each connection
    :param counts: where each time is counted that it was away
    """
    wait_s, failures = FIRST_WAIT_S, 0
    while True:
        try:
            async with source:
                async for messages in source.batches(await positions()):
                    wait_s, failures = FIRST_WAIT_S, 0
                    yield messages
        except ServiceError as error:
            failures += 1
            counts.bus_retries[source.url.partition(":")[0]] += 1
            if is_power_of_two(failures):
                log.warning("%s; trying again, the next time in about %.2g s", error, wait_s)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
