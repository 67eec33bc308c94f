"""Topics of a Kafka cluster: made, and read from their beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

WAIT_S = 60.0


@asynccontextmanager
async def _administration(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def make_topic(address: str, topic: str, partitions: int = 1, **settings: str) -> None:
    """Make a topic.

    :param settings: of the topic, with ``_`` for each ``.`` of their names
    """
    async with _administration(address) as admin:
        configs = {name.replace("_", "."): value for name, value in settings.items()}
        answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        assert [error for _, error, *_ in answer.topic_errors] == [0], answer


async def put(address: str, topic: str, *values: bytes) -> None:
    """Publish values as they are, one after the other, of up to 64 MiB each."""
    async with AIOKafkaProducer(bootstrap_servers=address, linger_ms=0, max_request_size=2**26) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def add_partitions(address: str, topic: str, total: int) -> None:
    """Give a topic more partitions."""
    async with _administration(address) as admin:
        await admin.create_partitions({topic: NewPartitions(total)})


async def delete_records(address: str, topic: str, before: int) -> None:
    """Have what lies before a position of its first partition deleted, as retention does."""
    async with _administration(address) as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=before)})


async def delete_topic(address: str, topic: str) -> None:
    """Delete a topic, and wait until it is gone."""
    async with _administration(address) as admin, asyncio.timeout(WAIT_S):
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():
            await asyncio.sleep(0.05)


async def read_topic(address: str, topic: str, count: int, **options: Any) -> list[ConsumerRecord[bytes, bytes]]:
    """The first records of all its partitions together; each partition's are in order.

    :param count: how many at least; all that are there by then are given
    """
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest", fetch_max_wait_ms=20, **options)
    try:
        await consumer.start()
        records: list[ConsumerRecord[bytes, bytes]] = []
        async with asyncio.timeout(WAIT_S):
            while len(records) < count:
                for several in (await consumer.getmany(timeout_ms=100)).values():
                    records.extend(several)
        return records
    finally:
        await consumer.stop()


def documents(records: list[ConsumerRecord[bytes, bytes]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Names and documents in msgpack, in the order of their records."""
    return [(name, doc) for name, doc in (msgspec.msgpack.decode(record.value or b"") for record in records)]
