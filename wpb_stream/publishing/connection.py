"""Connections to Kafka for publishing: settings that suit documents, and an end to every wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.conn import collect_hosts
from aiokafka.errors import BrokerResponseError, IncompatibleBrokerVersion, KafkaError, UnknownTopicOrPartitionError

from wpb_stream.core.documents import MAX_BYTES
from wpb_stream.core.exceptions import ServiceError

log = logging.getLogger(__name__)

CONNECT_S = 5.0
"""How long it may take until a broker answers, and until it names the topic."""
START_S = 15.0
"""How long a producer may take to be ready, login included."""
REQUEST_TIMEOUT_MS = 10_000
"""How long the broker may take to answer, unless the options say it."""
RETRY_MS = 500
"""How long aiokafka waits before it asks again; each attempt is a line in its log."""
BATCH_BYTES = 2**20
"""What is sent together at most to one partition."""
STOP_S = 1.0
"""How long closing the connections may take."""


class Connection:
    """How to connect to the topic documents go to.

    :param servers: ``host:port``, several separated by commas
    :param options: of aiokafka's producer, checked
    """

    def __init__(self, servers: str, topic: str, options: Mapping[str, Any]) -> None:
        self.servers, self.topic = servers, topic
        self._options = {"request_timeout_ms": REQUEST_TIMEOUT_MS, **options}
        self.deliver_s = 2 * self._options["request_timeout_ms"] / 1000
        """How long a delivery may take before the connection is given up."""
        self._idempotent = True

    def __str__(self) -> str:
        return f"topic {self.topic} at {self.servers}"

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[AIOKafkaProducer]:
        """A producer that is connected and knows the topic.

        :raises ServiceError: nobody answers, or there is no such topic
        :raises KafkaError: what the broker says against it
        :raises TimeoutError: it says nothing
        """
        await self._reach()
        try:
            async with self._started() as producer:
                yield producer
            return
        except _NoIdempotence:
            log.info("Kafka at %s numbers no producers: after a failure a document may be there twice", self.servers)
        async with self._started() as producer:
            yield producer

    @asynccontextmanager
    async def _started(self) -> AsyncGenerator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.servers,
            acks="all",
            enable_idempotence=self._idempotent,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_BYTES + 2**16,
            retry_backoff_ms=RETRY_MS,
            **self._options,
        )
        try:
            await self._start(producer)
            yield producer
        finally:
            await _stop(producer)

    async def _start(self, producer: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(START_S):
                await producer.start()
        except (BrokerResponseError, IncompatibleBrokerVersion) as error:
            if not self._idempotent:
                raise
            self._idempotent = False
            raise _NoIdempotence from error
        try:
            async with asyncio.timeout(CONNECT_S):
                await producer.partitions_for(self.topic)
        except (TimeoutError, UnknownTopicOrPartitionError) as error:
            raise ServiceError("there is no such topic; make it, or let the broker make topics by itself") from error

    async def _reach(self) -> None:
        # First without aiokafka, which reports each attempt as an error in our log.
        why: OSError | None = None
        for host, port, _ in collect_hosts(self.servers):
            try:
                async with asyncio.timeout(CONNECT_S):
                    _, writer = await asyncio.open_connection(host, port)
            except OSError as error:  # TimeoutError is one
                why = error
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return
        raise ServiceError(f"nobody answers: {why or why!r}")


class _NoIdempotence(Exception):
    """The broker numbers no producers."""


async def _stop(producer: AIOKafkaProducer) -> None:
    """Close a producer whose broker may be gone; what is left of it ends with its event loop."""
    for stop in (producer.stop, producer.client.close):
        with suppress(KafkaError, OSError):  # TimeoutError is one
            async with asyncio.timeout(STOP_S):
                return await stop()
