"""Kafka against the streaming process: whoever publishes, however, and over whatever connection, the map is right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from bluesky_kafka import Publisher as BlueskyPublisher

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.scans import Scan, scan
from tests.helpers.topics import add_partitions, make_topic
from tests.integration.conftest import feed_url
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import watch
from wpb_stream.core.envelope import encode
from wpb_stream.replay import Recorded
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration

WAIT_S = 60.0
CHANNELS = ("red", "green", "blue", "total")


async def assert_arrives(settings: Settings, run: Scan) -> None:
    """Wait for the end of a run; its maps must be right."""
    async with asyncio.timeout(WAIT_S):
        updates = watch(feed_url(settings))
        async for update in updates:
            if update.stopped and update.run.uid == run.uid:
                assert (update.rows, update.run.status) == (run.points, "success")
                for channel in CHANNELS:
                    np.testing.assert_array_equal(update.map(channel), run.map(channel))
                break
        await updates.aclose()


async def until_listening(topic: str, caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(WAIT_S):
        while f"listening to {topic}/" not in caplog.text:
            await asyncio.sleep(0.02)


def on(settings: Settings, address: str, topic: str, **options: Any) -> Settings:
    """The settings of a process that listens to another topic."""
    return settings.model_copy(update={"sources": (f"kafka://{address}/{topic}",), "kafka_options": options})


@pytest.fixture(autouse=True)
def hear_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="wpb_stream.sources.kafka")


async def send(address: str, topic: str, documents: Sequence[Recorded], value: Callable[[Recorded], bytes], partitions: int = 0) -> None:
    """Publish without keys.

    :param partitions: if not 0, the documents go to so many in turn
    """
    producer = AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    try:
        for number, document in enumerate(documents):
            await producer.send_and_wait(topic, value(document), partition=number % partitions if partitions else None)
    finally:
        await producer.stop()


def as_msgpack(document: Recorded) -> bytes:
    return encode(document.name or "", document.doc)


def as_pair(document: Recorded) -> bytes:
    return json.dumps([document.name, document.doc]).encode()


def as_mapping(document: Recorded) -> bytes:
    return json.dumps({"name": document.name, "doc": document.doc}).encode()


# --- publishers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["of the run", None])
@pytest.mark.parametrize("partitions", [1, 5])
async def test_what_bluesky_kafka_publishes_becomes_the_map_with_a_key_and_without_on_one_partition_and_on_several(
    key: str | None, partitions: int, settings: Settings, streaming, apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    topic = f"theirs-{partitions}-{key is None}"
    await make_topic(apache_kafka.address(), topic, partitions)
    run = scan(tmp_path / "frames", noise=np.ones(3), gain=np.float32(2.5)).write()
    publisher = BlueskyPublisher(topic, apache_kafka.address(), key and run.uid, flush_on_stop_doc=True)
    async with streaming(on(settings, apache_kafka.address(), topic)):
        for document in run.documents:
            publisher(document.name, document.doc)
        await assert_arrives(settings, run)


@pytest.mark.parametrize("value", [as_pair, as_mapping, as_msgpack])
async def test_documents_of_one_run_dealt_over_partitions_in_reverse_become_the_map(
    value: Callable[[Recorded], bytes], settings: Settings, streaming, kafka_address: str, kafka_topic: str, tmp_path: Path
) -> None:
    topic = f"{kafka_topic}-dealt"
    await make_topic(kafka_address, topic, 4)
    run = scan(tmp_path / "frames").write()
    async with streaming(on(settings, kafka_address, topic)):
        await send(kafka_address, topic, [*reversed(run.documents[1:]), run.documents[0]], value, partitions=4)
        await assert_arrives(settings, run)


async def test_a_document_beyond_the_limit_of_the_broker_leaves_a_run_whose_other_documents_are_kept(
    settings: Settings, streaming, apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    await make_topic(apache_kafka.address(), "swallowed")
    headless, whole = scan(tmp_path / "frames", seed=1, image="x" * 2**21), scan(tmp_path / "frames", seed=2).write()
    async with streaming(on(settings, apache_kafka.address(), "swallowed")):
        for run in (headless, whole):
            theirs = BlueskyPublisher("swallowed", apache_kafka.address(), run.uid, {"message.max.bytes": 2**23}, flush_on_stop_doc=True)
            for document in run.documents:
                theirs(document.name, document.doc)  # says nothing of the start document that was not taken
        await assert_arrives(settings, whole)
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert [row.uid for row in catalogue.runs()] == [whole.uid]
        kept = {document.uid for document in catalogue.documents(headless.uid)}
    assert kept == {document.doc["uid"] for document in headless.documents[1:]}


# --- topics ---------------------------------------------------------------------------------------------------------


async def test_a_run_on_a_topic_that_appears_and_fits_the_pattern_becomes_the_map(
    settings: Settings, streaming, apache_kafka: ApacheKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, run = apache_kafka.address(), scan(tmp_path / "frames").write()
    await make_topic(address, "b01.bluesky.runengine.documents")
    await make_topic(address, "b01.bluesky.runengine.documents.other")
    async with streaming(on(settings, address, "*.bluesky.runengine.documents")):
        await until_listening("b01.bluesky.runengine.documents", caplog)
        await make_topic(address, "b02.bluesky.runengine.documents")
        await send(address, "b02.bluesky.runengine.documents", run.documents, as_msgpack)
        await assert_arrives(settings, run)
    assert "documents.other" not in caplog.text


async def test_a_run_on_partitions_that_are_added_while_it_is_published_becomes_the_map(
    settings: Settings, streaming, apache_kafka: ApacheKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, run = apache_kafka.address(), scan(tmp_path / "frames").write()
    await make_topic(address, "wider")
    async with streaming(on(settings, address, "wider")):
        await until_listening("wider", caplog)
        await send(address, "wider", run.documents[:10], as_msgpack)
        await add_partitions(address, "wider", 3)
        await send(address, "wider", run.documents[10:], as_msgpack, partitions=3)
        await assert_arrives(settings, run)
    assert "listening to wider/2" in caplog.text


async def test_consumers_of_groups_that_come_and_go_on_the_same_topic_disturb_nothing(
    settings: Settings, streaming, apache_kafka: ApacheKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, run = apache_kafka.address(), scan(tmp_path / "frames").write()
    await make_topic(address, "shared", 3)
    async with streaming(on(settings, address, "shared")):
        await until_listening("shared", caplog)
        others: list[AIOKafkaConsumer] = []
        for number, document in enumerate(run.documents):
            await send(address, "shared", [document], as_msgpack)
            if number % 7 == 0:  # each makes those before it give up partitions
                others.append(AIOKafkaConsumer("shared", bootstrap_servers=address, group_id="others", auto_offset_reset="earliest"))
                await others[-1].start()
            if number % 7 == 5:
                await others.pop(0).stop()
        await assert_arrives(settings, run)
        for other in others:
            await other.stop()
    assert "went away" not in caplog.text


# --- connections ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_run_comes_over_tls_with_a_login(
    mechanism: str, settings: Settings, streaming, apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    await make_topic(apache_kafka.address(), f"secure-{mechanism}")
    run = scan(tmp_path / "frames").write()
    options = apache_kafka.options("SECURE", sasl_mechanism=mechanism)
    async with streaming(on(settings, apache_kafka.address("SECURE"), f"secure-{mechanism}", **options)):
        await send(apache_kafka.address(), f"secure-{mechanism}", run.documents, as_msgpack)
        await assert_arrives(settings, run)
