"""Apache Kafka failing in mid-scan, or holding what nobody can use: what can be kept is kept, what is lost is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from urllib.request import urlopen

import pytest
from aiokafka import AIOKafkaProducer

from tests.faults.judge import judged
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.scans import scan
from tests.helpers.topics import delete_records, delete_topic, make_topic, put
from tests.integration.conftest import Streaming, feed_url
from tests.integration.feed.stranger import Stranger
from tests.integration.watching import until_stopped
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import watch
from wpb_stream.core.documents import MAX_BYTES
from wpb_stream.core.envelope import encode
from wpb_stream.replay import Recorded, publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

WAIT_S = 60.0
POISON = (
    b"",
    b"\x00\xff no document",
    b'["start", {"uid": "half a docu',
    b'["start", {"uid": "../../etc/passwd\\u0000", "time": 1}]',
    b'{"name": "event", "doc": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b"\x80\x05\x95 a pickle",
    b"x" * (MAX_BYTES + 1),
)
"""Each is refused for a reason of its own."""


@pytest.fixture
def settings(settings: Settings, apache_kafka: ApacheKafka, topic: str) -> Settings:
    """Of a streaming process that listens to Apache Kafka."""
    return settings.model_copy(update={"sources": (f"kafka://{apache_kafka.address()}/{topic}",)})


async def until_rows(client: Stranger, uid: str, rows: int) -> None:
    """Wait until a client has that many rows of a run."""
    async with asyncio.timeout(WAIT_S):
        while uid not in client.held or client.held[uid].rows < rows:
            await asyncio.sleep(0.01)


async def until_shown(settings: Settings, uid: str, rows: int) -> None:
    """Wait until the latest run is that one, and has that many rows."""
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            if update.run.uid == uid and update.rows >= rows:
                return


def metric(settings: Settings, name: str) -> float:
    with urlopen(f"http://{settings.listen}/metrics") as answer:
        (line,) = re.findall(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(line)


def codes(settings: Settings, uid: str) -> set[str]:
    """Of the notices that a run ended with."""
    with CatalogueReader(settings.database_url or "") as catalogue:
        row = catalogue.run(uid)
    assert row is not None
    return {notice.code for notice in row.notices}


async def test_a_scan_goes_on_when_the_broker_stands_still_and_when_it_is_killed_and_started_again(
    settings: Settings, streaming: Streaming, apache_kafka: ApacheKafka, topic: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await make_topic(apache_kafka.address(), topic)
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), judged(settings, run) as clients:
        await publish([*run.head, *run.at(0, 3)], settings.sources[0], speed=0)
        await until_rows(clients[0], run.uid, 3)
        apache_kafka.freeze()
        publishing = asyncio.ensure_future(publish(run.at(3, 6), settings.sources[0], speed=0))
        await asyncio.wait([publishing], timeout=2.0)
        apache_kafka.thaw()
        await publishing
        apache_kafka.kill()
        async with asyncio.timeout(WAIT_S):
            while "went away" not in caplog.text:
                await asyncio.sleep(0.02)
        apache_kafka.start()  # not in another thread, with whose end it would end
        await publish([*run.at(6, run.points), run.stop], settings.sources[0], speed=0)
    assert "messages_lost" not in codes(settings, run.uid)


async def test_a_topic_that_is_deleted_and_made_anew_in_mid_scan_costs_what_was_not_read_of_it_and_that_is_said(
    settings: Settings, streaming: Streaming, apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    await make_topic(apache_kafka.address(), topic)
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), judged(settings, run) as clients:
        await publish([*run.head, *run.at(0, 8)], settings.sources[0], speed=0)
        await until_rows(clients[0], run.uid, 8)
        await delete_topic(apache_kafka.address(), topic)
        await make_topic(apache_kafka.address(), topic)
        async with asyncio.timeout(WAIT_S):
            while await asyncio.to_thread(metric, settings, "wpb_losses_total") == 0:
                await asyncio.sleep(0.05)
        await publish([*run.at(8, run.points), run.stop], settings.sources[0], speed=0)
    assert "messages_lost" in codes(settings, run.uid)


async def test_what_retention_deleted_unread_is_counted_and_told_also_after_a_restart_and_can_be_published_again(
    settings: Settings, streaming: Streaming, apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    await make_topic(apache_kafka.address(), topic)
    run = scan(tmp_path / "frames").write()
    async with streaming(settings):
        await publish([*run.head, *run.at(0, 3)], settings.sources[0], speed=0)
        await until_shown(settings, run.uid, 3)
    await publish(run.at(3, 10), settings.sources[0], speed=0)
    await delete_records(apache_kafka.address(), topic, before=3 + 2 * 8)
    async with streaming(settings):
        await until_shown(settings, run.uid, 5)
        assert await asyncio.to_thread(metric, settings, "wpb_lost_messages_total") == 2 * 5
    async with streaming(settings):
        await publish([*run.at(10, run.points), run.stop], settings.sources[0], speed=0)
        ended = await until_stopped(settings, run.uid)
        assert ended.rows == run.points - 5
        told = {notice.code: notice.message for notice in ended.notices}
        lost = f"10 messages of {topic}/0 from position 9 on were deleted by the broker before they were read"
        assert told["messages_lost"] == f"Documents of this run may be lost: {lost}."
        assert "documents_missing" in told
        await publish(run.documents, settings.sources[0], speed=0)
        async with asyncio.timeout(WAIT_S):  # who comes before that is told how it ended at first
            while (await until_stopped(settings, run.uid)).rows < run.points:
                await asyncio.sleep(0.05)
        async with judged(settings, run):
            pass


async def test_what_a_transaction_took_back_is_not_seen(
    settings: Settings, streaming: Streaming, apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    await make_topic(apache_kafka.address(), topic)
    run, taken_back = scan(tmp_path / "frames").write(), scan(tmp_path / "frames", seed=1).write()

    def encoded(documents: Sequence[Recorded]) -> list[bytes]:
        return [encode(document.name or "", document.doc) for document in documents]

    async with streaming(settings), judged(settings, run):
        producer = AIOKafkaProducer(bootstrap_servers=apache_kafka.address(), transactional_id=topic)
        await producer.start()
        for several, keep in ((run.head, True), (taken_back.documents, False), (run.documents[3:], True)):
            await producer.begin_transaction()
            for value in encoded(several):
                await producer.send_and_wait(topic, value)
            await (producer.commit_transaction() if keep else producer.abort_transaction())
        await producer.stop()
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert [row.uid for row in catalogue.runs()] == [run.uid]
        assert catalogue.documents(taken_back.uid) == []


async def test_what_nobody_can_use_goes_to_the_dead_letters_and_the_next_document_is_taken_in(
    settings: Settings, streaming: Streaming, apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    await make_topic(apache_kafka.address(), topic, max_message_bytes=str(2 * MAX_BYTES))
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), judged(settings, run):
        for bad, document in zip(POISON, run.documents, strict=False):
            await put(apache_kafka.address(), topic, bad, encode(document.name or "", document.doc))
        await publish(run.documents[len(POISON) :], settings.sources[0], speed=0)
    with CatalogueReader(settings.database_url or "") as catalogue:
        letters = catalogue.dead_letters()
    assert sorted(position for _, _, _, position, _ in letters) == [2 * number for number in range(len(POISON))]
    assert len({reason for *_, reason in letters}) == len(POISON)
