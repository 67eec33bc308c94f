"""The streaming process's end of the topic: a subscription to all that the board shows, whose socket is Kafka.

As with every other client, what is remembered of it is where it stands: while Kafka is slow it gets fewer, larger slices, and after it was
away it begins at the first row.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from wpb_stream.changes import Changes
from wpb_stream.core.board import Board
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.owed import Owed
from wpb_stream.core.topic import Record
from wpb_stream.failpoints import reached
from wpb_stream.publishing.connection import Connection
from wpb_stream.sources.kafka_settings import KafkaAddress, KafkaOptions

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0
"""A broker that is away is asked again at growing, random intervals between these."""
WINDOW_BYTES = 2**20
"""What is under way at most, but for the last message of it."""
PARTITION = 0
"""Of the topic: what is told of several runs must come in order. One partition takes more than all clients together would."""


def connection_to(url: str, options: Mapping[str, Any]) -> Connection:
    """How to publish to the topic of that URL.

    :param options: of the setting ``kafka_options``; those are taken that are for any client
    :raises ServiceError: the URL is not that of one topic, or an option is wrong
    """
    address = KafkaAddress.parse_one(url)
    return Connection(address.servers, address.topics[0], KafkaOptions.parse(options).connection)


class BoardPublisher:
    """Publishes a board, for ever. Nobody waits for it.

    :param epoch: of this process, see :class:`wpb_stream.core.topic.OnBoard`
    :param again_s: all is told again that often, so that those who begin to read need not read from longer ago
    """

    def __init__(self, board: Board, connection: Connection, epoch: int, again_s: float) -> None:
        self._board, self._connection, self._epoch, self._again_s = board, connection, epoch, again_s
        self._numbers = count()
        self._owed = self._all_owed()
        self._changes = Changes()
        self._away: str | None = None
        """Why it cannot be published, if it cannot."""
        self._wait_s = FIRST_WAIT_S
        self._position = -1
        """On the topic, of the last message that the broker took over this connection."""
        board.watch(self._changes.tell)
        board.counts.unpublished = lambda: self._owed.rows

    def _all_owed(self) -> Owed:
        return Owed(self._board, self._epoch, self._numbers)

    async def run(self) -> None:
        """Publish what the board shows as it changes; ends only by cancellation."""
        while True:
            try:
                async with self._connection.producer() as producer:
                    while True:
                        await self._tell_all(producer)
            except Exception as error:  # whatever it is, the walk and its clients go on
                self._fail(str(error) or repr(error))
            await asyncio.sleep(self._wait_s * random.uniform(0.5, 1.5))
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def _fail(self, why: str) -> None:
        self._owed, self._position = self._all_owed(), -1
        if why != self._away:
            log.warning("gateways hear nothing: the board cannot be published to %s (%s); trying again", self._connection, why)
        self._away = why

    async def _tell_all(self, producer: AIOKafkaProducer) -> None:
        """Tell what the board shows from the first row on, and what changes, until all is to be told again."""
        owed = self._owed = self._all_owed()
        until = monotonic() + self._again_s
        while (left_s := until - monotonic()) > 0:
            changed = self._changes.next
            sent = await self._send(producer, (record for several in owed.due() for record in several))
            if sent and self._away is not None:
                log.info("gateways hear again: the board is published to %s", self._connection)
                self._away, self._wait_s = None, FIRST_WAIT_S
            if not sent:  # what grew while the broker took the last messages is sent together
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), left_s)

    async def _send(self, producer: AIOKafkaProducer, owed: Iterable[Record]) -> bool:
        """Send what is owed now; gives whether there was anything.

        :raises KafkaError: the broker did not take it
        :raises TimeoutError: it says nothing
        :raises ServiceError: it has lost what it took before
        """
        under_way: list[asyncio.Future[RecordMetadata]] = []
        sent, size = False, 0
        for record in owed:
            sent = True
            async with asyncio.timeout(self._connection.deliver_s):
                key = record.run.encode() or None
                under_way.append(await producer.send(self._connection.topic, record.value, key=key, partition=PARTITION))
            size += len(record.value)
            if size >= WINDOW_BYTES:
                await self._taken(under_way)
                under_way, size = [], 0
        await self._taken(under_way)
        reached("published")
        return sent

    async def _taken(self, under_way: Sequence[asyncio.Future[RecordMetadata]]) -> None:
        """Wait until the broker has taken all of it; raises as :meth:`_send` does."""
        async with asyncio.timeout(self._connection.deliver_s):
            results = await asyncio.gather(*under_way, return_exceptions=True)
        for result in results:
            if isinstance(result, asyncio.CancelledError):  # of the client's own, not ours: this task must not end by it
                raise ServiceError("the Kafka client gave it up")
            if isinstance(result, BaseException):
                raise result
            if 0 <= result.offset <= self._position:  # below 0 where the broker had it already
                raise ServiceError("the topic was made anew, so all is to be told again")
            self._position = max(self._position, result.offset)
