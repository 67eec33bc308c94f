"""Topics of a Kafka cluster: made, and read from their beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

WAIT_S = 60.0


async def make_topic(address: str, topic: str, partitions: int = 1, **settings: str) -> None:
    """Make a topic.

    :param settings: of the topic, with ``_`` for each ``.`` of their names
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        configs = {name.replace("_", "."): value for name, value in settings.items()}
        answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        assert [error for _, error, *_ in answer.topic_errors] == [0], answer
    finally:
        await admin.close()


async def add_partitions(address: str, topic: str, total: int) -> None:
    """Give a topic more partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(total)})
    finally:
        await admin.close()


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
