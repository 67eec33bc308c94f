"""Kafka: every partition of the named topics, read from the positions kept in the catalogue.

Partitions are assigned by hand and no group is joined: the position belongs into the same transaction as the documents.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from fnmatch import fnmatch
from time import monotonic
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, OffsetOutOfRangeError

from wpb_stream.core.documents import Arrival, Loss, Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.fetchwait import FetchWait
from wpb_stream.sources.kafka_settings import KafkaAddress, KafkaOptions
from wpb_stream.sources.reaching import why_not

log = logging.getLogger(__name__)

DISCOVERY_S = 2.0
"""How often new topics and partitions are looked for."""
POLL_MS = 250
"""How long one poll waits for messages before partitions are looked after again."""
PROBE_MS = 1000
"""How long one message that should be there is waited for."""
MAX_RECORDS = 1000
"""Messages in one batch at most."""
CONNECT_S = 5.0
"""How long a client that is interrupted while it connects is given to finish."""


class KafkaSource:
    """Listens to the topics of one Kafka cluster. May be entered again after it was left: that connects anew.

    :param fetch_wait_ms: how long the broker may hold a fetch for more data, at first: see `FetchWait`
    :param earliest: whether a partition without a position is read from its beginning; otherwise those that are there when this source
        first looks are read from their end, and only those: one that appears later holds runs from their start on
    :param options: see `KafkaOptions`
    :param setting: where the URL comes from, for messages
    :raises ServiceError: the URL or the options are wrong
    """

    def __init__(
        self,
        url: str,
        *,
        fetch_wait_ms: int = 10,
        earliest: bool = True,
        options: Mapping[str, Any] | None = None,
        setting: str = "WPB_SOURCES",
    ) -> None:
        self.address, self.url, self._setting = KafkaAddress.parse(url), url, setting
        self.identity = f"kafka:{self.address.servers}"
        self._options = KafkaOptions.parse(options or {})
        self._fetch_wait_ms = fetch_wait_ms
        self._next: dict[TopicPartition, int] = {}
        self._losses: list[Loss] = []
        # Kept from connection to connection: what was skipped once stays skipped. None until it is known where the ends are.
        self._skipped: dict[tuple[str, TopicPartition], int] | None = {} if earliest else None

    async def __aenter__(self) -> Self:
        self._next, self._losses = {}, []
        connection = {**self._options.connection, "bootstrap_servers": self.address.servers}
        self._admin = AIOKafkaAdminClient(**connection)
        self._consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=self._fetch_wait_ms,
            metadata_max_age_ms=int(DISCOVERY_S * 1000),  # for the leaders of new partitions; its default is five minutes
            **connection,
            # What a transaction took back was never published.
            **{"isolation_level": "read_committed", **self._options.client},
        )
        self._wait, self._heard_at = FetchWait(self._fetch_wait_ms), monotonic()
        try:
            await _whole(self._admin.start())
            self.identity = await self._cluster()
            await _whole(self._consumer.start())
        except (KafkaError, OSError) as error:
            await self._close()
            settings = f"{self._setting} and WPB_KAFKA_OPTIONS" if self._options.connection else self._setting
            # Of what became of connections this error tells nothing, and those before it are in the client's own log alone.
            why = await why_not(self.address.servers, "Kafka", 9092) if isinstance(error, KafkaConnectionError) else str(error)
            raise ServiceError(f"Kafka at {self.address.servers} cannot be reached: {why}; check {settings}") from error
        except BaseException:  # cancelled: nobody will leave what was never entered
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    @property
    def unread(self) -> int | None:
        """Messages that are there and were not given out; None if that is not known (yet)."""
        unread = 0
        for where, position in self._next.items():
            if (end := self._consumer.highwater(where)) is None:
                return None
            unread += max(0, end - position)
        return unread if self._next else None

    async def _close(self) -> None:
        self._next = {}
        # Where its fetches in flight are cancelled, stop() ends with their CancelledError and leaves its connections open.
        try:
            await _unless_interrupted(self._consumer.stop, self._consumer._client.close)  # noqa: SLF001
        finally:
            await _unless_interrupted(self._admin.close)

    async def _cluster(self) -> str:
        # The cluster's own id, not its address: a cluster that was set up anew has other positions.
        return f"kafka:{(await self._admin.describe_cluster()).get('cluster_id') or self.address.servers}"

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Arrival]]:
        """Messages as they come, each partition in order; see :class:`wpb_stream.sources.Source`.

        :raises ServiceError: the broker went away, or is that of another cluster by now; enter the source anew
        """
        discovered_at = float("-inf")
        while True:
            try:
                if monotonic() - discovered_at >= DISCOVERY_S:
                    await self._discover(positions)
                    discovered_at = monotonic()
                batch = await self._poll()
            except (KafkaError, OSError) as error:
                raise ServiceError(f"Kafka at {self.address.servers} went away ({error})") from error
            losses, self._losses = self._losses, []
            if losses or batch:
                yield [*losses, *batch]

    async def stored(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: the positions are kept in the catalogue, not in the broker."""

    async def probe(self) -> str:
        """See :meth:`wpb_stream.sources.Source.probe`."""
        try:
            found = await self._found()
        except (KafkaError, OSError) as error:
            raise ServiceError(f"Kafka at {self.address.servers} does not answer ({error})") from error
        if not found:
            missing = ", ".join(self.address.topics)
            raise ServiceError(f"Kafka at {self.address.servers} has no topic {missing} yet; check {self._setting}")
        topics = sorted({where.topic for where in found})
        return f"{len(topics)} topics ({', '.join(topics[:5])}{', ...' if len(topics) > 5 else ''}), {len(found)} partitions"

    async def _poll(self) -> list[Message]:
        if not self._next:
            await asyncio.sleep(POLL_MS / 1000)
            return []
        try:
            polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
        except OffsetOutOfRangeError as error:
            await self._overtaken(error.args[0])
            return []
        self._pace(min((records[0].timestamp for records in polled.values()), default=None))
        batch: list[Message] = []
        for where, records in polled.items():
            self._next[where] = records[-1].offset + 1
            batch.extend(Message(self.identity, _name(where), record.offset, record.value or b"") for record in records)
        return batch

    def _pace(self, oldest_ms: int | None) -> None:
        """Have the broker wait for as long as what came says that it needs.

        :param oldest_ms: when the oldest message was published, in ms since 1970; None if none came
        """
        now = monotonic()
        if oldest_ms is None:
            self._wait.nothing(now - self._heard_at)
        else:
            self._wait.some(now - self._heard_at, time.time() - oldest_ms / 1000)
            self._heard_at = now
        if (fetcher := self._consumer._fetcher) is not None:  # noqa: SLF001
            fetcher._fetch_max_wait_ms = self._wait.ms  # noqa: SLF001  asked for at the client's start only

    async def _discover(self, positions: Mapping[str, int]) -> None:
        """Take up topics and partitions that are new."""
        new = await self._found() - self._next.keys()
        if not new:
            self._skipped = self._skipped or {}  # none was there at the first look, so none is read from its end
            return
        first: dict[TopicPartition, int] = await self._consumer.beginning_offsets(new)
        end: dict[TopicPartition, int] = await self._consumer.end_offsets(new)
        if self._skipped is None:
            self._skipped = {(self.identity, where): end[where] for where in new}
        for where in new:
            begin = self._skipped.get((self.identity, where), first[where])
            self._next[where] = positions.get(_name(where), begin)
        self._consumer.assign(list(self._next))
        for where in new:
            self._next[where] = await self._still_there(where, self._next[where], first[where], end[where])
            log.info("listening to %s from position %d", _name(where), self._next[where])
        for where, position in self._next.items():
            self._consumer.seek(where, position)

    async def _found(self) -> set[TopicPartition]:
        """The partitions there are now. Not asked of the consumer: it hears of the topics that it was assigned only."""
        try:
            topics, cluster = await self._admin.describe_topics(), await self._cluster()
        except (KafkaError, OSError):
            await self._consumer.topics()  # asks every broker, and raises if none answers
            if self._skipped is None:  # a first look that saw nothing must not pass for one
                raise
            return set()  # one of several is away: another one is asked next time
        if cluster != self.identity:
            # A broker without a disk, restarted so fast that no request failed: it would never say that our positions are not its own.
            raise ServiceError(f"Kafka at {self.address.servers} is another cluster than before: it was set up anew")
        return {
            TopicPartition(topic["topic"], partition["partition"])
            for topic in topics
            if not topic["is_internal"] and any(fnmatch(topic["topic"], wanted) for wanted in self.address.topics)
            for partition in topic["partitions"]
        }

    async def _overtaken(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker no longer has, or does not have yet, what was asked for."""
        first, end = await self._consumer.beginning_offsets(list(offsets)), await self._consumer.end_offsets(list(offsets))
        for where in offsets:
            self._next[where] = await self._still_there(where, self._next[where], first[where], end[where])
            self._consumer.seek(where, self._next[where])

    async def _still_there(self, where: TopicPartition, wanted: int, first: int, end: int) -> int:
        """The position to go on from; a loss where messages were deleted unread or the topic began anew."""
        if wanted < first:
            lost, told = first - wanted, "were deleted by the broker before they were read"
            self._lost(where, first, lost, f"{lost} messages of {_name(where)} from position {wanted} on {told}")
            return first
        if wanted > end and not await self._has(where, wanted - 1):
            told = "so the topic was made anew; what was not read of the old one is gone"
            self._lost(where, first, None, f"{_name(where)} ends at {end}, before position {wanted} that is to be read, {told}")
            return first
        return wanted

    def _lost(self, where: TopicPartition, resumes_at: int, messages: int | None, reason: str) -> None:
        self._losses.append(Loss(self.identity, _name(where), resumes_at, messages, reason))

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


async def _whole(start: Coroutine[Any, Any, None]) -> None:
    """Start a client of aiokafka, to its end even if cancelled: it would forget the connection over which it asks for the brokers."""
    starting = asyncio.create_task(start)  # noqa: TID251 - a group would cancel it with us
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=CONNECT_S)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)  # why it could not start is of no interest any more
        raise


async def _unless_interrupted(close: Callable[[], Awaitable[None]], then: Callable[[], Awaitable[None]] | None = None) -> None:
    """Close a client of aiokafka whose broker may be gone.

    :param then: what is left to do if it was interrupted, by somebody who cancels us or by a cancellation that is not ours
    """
    try:
        await close()
    except (asyncio.CancelledError, KafkaError, OSError) as error:
        if then is not None:
            await _unless_interrupted(then)
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        log.info("a Kafka client was not closed in an orderly way (%r)", error)
