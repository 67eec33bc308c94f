"""Listening for ever: a bus that is away is asked again, at growing intervals."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from math import inf
from time import monotonic

from wpb_stream.core.counts import Counts, is_power_of_two
from wpb_stream.core.documents import Arrival
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources import Source

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
"""How long to wait before a bus that is away is asked again; then twice as long each time, give or take a half."""
LONGEST_WAIT_S = 5.0
LASTING_S = 60.0
"""A bus that stayed connected for longer was there, also if it said nothing: its next absence is a new one."""


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
        entered_at = inf
        try:
            async with source:
                entered_at = monotonic()
                async for messages in source.batches(await positions()):
                    wait_s, failures = FIRST_WAIT_S, 0
                    yield messages
        except ServiceError as error:
            if monotonic() - entered_at > LASTING_S:
                wait_s, failures = FIRST_WAIT_S, 0
            failures += 1
            counts.bus_retries[source.url.partition(":")[0].partition("+")[0]] += 1
            if is_power_of_two(failures):
                log.warning("%s; trying again, the next time in about %.2g s", error, wait_s)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
