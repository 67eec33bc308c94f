"""Kafka: every partition of the named topics, read from the positions kept in the catalogue.

Partitions are assigned by hand and no group is joined: the position belongs into the same transaction as the documents.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from wpb_stream.core.documents import Message
from wpb_stream.core.exceptions import ServiceError

log = logging.getLogger(__name__)

DISCOVERY_S = 2.0
"""How often new topics and partitions are looked for."""
POLL_MS = 250
"""How long one poll waits for messages before partitions are looked after again."""
PROBE_MS = 1000
"""How long one message that should be there is waited for."""
MAX_RECORDS = 1000
"""Messages in one batch at most."""


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where to listen: ``kafka://host:9092[,host:9092]/topic[,topic]``; a topic may be a pattern with ``*``."""

    servers: str
    topics: tuple[str, ...]

    @classmethod
    def parse(cls, url: str) -> KafkaAddress:
        """The address in a URL.

        :raises ServiceError: the URL has another form
        """
        parts = urlsplit(url)
        topics = tuple(topic for topic in parts.path.strip("/").split(",") if topic)
        if parts.scheme != "kafka" or not parts.netloc or not topics:
            raise ServiceError(f"source {url!r} is not of the form kafka://host:9092/topic[,topic]")
        return cls(parts.netloc, topics)


class KafkaSource:
    """Listens to the topics of one Kafka cluster."""

    def __init__(self, url: str, *, fetch_wait_ms: int = 10, earliest: bool = True, options: Mapping[str, Any] | None = None) -> None:
        self.address = KafkaAddress.parse(url)
        self.identity = f"kafka:{self.address.servers}"
        self._earliest = earliest
        self._options = dict(options or {}, bootstrap_servers=self.address.servers)
        self._fetch_wait_ms = fetch_wait_ms
        self._next: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=self._fetch_wait_ms,
            **self._options,
        )
        try:
            # The cluster's own id, not its address: a cluster that was set up anew has other positions.
            admin = AIOKafkaAdminClient(**self._options)
            try:
                await admin.start()
                cluster = (await admin.describe_cluster()).get("cluster_id")
            finally:
                await admin.close()
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise ServiceError(f"Kafka at {self.address.servers} cannot be reached ({error}); check WPB_SOURCES") from error
        except BaseException:  # cancelled: nobody will leave what was never entered
            await self._consumer.stop()
            raise
        self.identity = f"kafka:{cluster or self.address.servers}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        """Messages as they come, each partition in order; see :class:`wpb_stream.sources.Source`."""
        discovered_at = float("-inf")
        while True:
            if monotonic() - discovered_at >= DISCOVERY_S:
                await self._discover(positions)
                discovered_at = monotonic()
            if not self._next:
                await asyncio.sleep(POLL_MS / 1000)
                continue
            try:
                polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            except OffsetOutOfRangeError as error:
                await self._overtaken(error.args[0])
                continue
            batch: list[Message] = []
            for where, records in polled.items():
                self._next[where] = records[-1].offset + 1
                batch.extend(Message(self.identity, _name(where), record.offset, record.value or b"") for record in records)
            if batch:
                yield batch

    async def _discover(self, positions: Mapping[str, int]) -> None:
        """Take up topics and partitions that are new."""
        found: set[TopicPartition] = set()
        for topic in await self._consumer.topics():
            if any(fnmatch(topic, wanted) for wanted in self.address.topics):
                found.update(TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ())
        new = found - self._next.keys()
        if not new:
            return
        first, end = await self._consumer.beginning_offsets(new), await self._consumer.end_offsets(new)
        for where in new:
            self._next[where] = positions.get(_name(where), first[where] if self._earliest else end[where])
        self._consumer.assign(list(self._next))
        for where in new:
            self._next[where] = await self._still_there(where, self._next[where], first[where], end[where])
            log.info("listening to %s from position %d", _name(where), self._next[where])
        for where, position in self._next.items():
            self._consumer.seek(where, position)

    async def _overtaken(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker no longer has, or does not have yet, what was asked for."""
        first, end = await self._consumer.beginning_offsets(list(offsets)), await self._consumer.end_offsets(list(offsets))
        for where in offsets:
            self._next[where] = await self._still_there(where, self._next[where], first[where], end[where])
            self._consumer.seek(where, self._next[where])

    async def _still_there(self, where: TopicPartition, wanted: int, first: int, end: int) -> int:
        """The position to go on from; loud where messages were lost to retention or the topic began anew."""
        if wanted < first:
            lost = first - wanted
            log.error("%s: %d messages from position %d on were deleted by the broker before they were read", _name(where), lost, wanted)
            return first
        if wanted > end and not await self._has(where, wanted - 1):
            log.error(
                "%s: position %d is beyond its end %d, so the topic was made anew; reading it from its beginning", _name(where), wanted, end
            )
            return first
        return wanted

    async def _has(self, where: TopicPartition, position: int) -> bool:
        """Whether there is a message at that position: not every broker names the end of its topics rightly (tansu counts batches)."""
        self._consumer.seek(where, position)
        try:
            polled = await self._consumer.getmany(where, timeout_ms=PROBE_MS, max_records=1)
        except OffsetOutOfRangeError:
            return False
        return any(record.offset == position for record in polled.get(where, ()))


def _name(where: TopicPartition) -> str:
    return f"{where.topic}/{where.partition}"
