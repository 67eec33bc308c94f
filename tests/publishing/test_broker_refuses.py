"""The Publisher at a broker that does not take everything, or not from everybody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.publishing import WAIT_S, auntil, publish, run, spooled
from tests.helpers.topics import documents, make_topic, read_topic
from wpb_stream.core.documents import MAX_BYTES
from wpb_stream.publishing.plain import publishable

pytestmark = pytest.mark.faults


@pytest.mark.integration
async def test_a_document_of_ten_megabytes_is_published(make, kafka_address: str, kafka_topic: str) -> None:
    publisher = make(kafka_address, kafka_topic)
    publish(publisher, run(events=2, image=np.ones(10 * 2**20, np.uint8)))
    await asyncio.to_thread(publisher.close)
    records = await read_topic(kafka_address, kafka_topic, 5, max_partition_fetch_bytes=1 << 24)
    assert [len(record.value or b"") > 10 * 2**20 for record in records] == [False, False, True, True, False]


def test_a_document_that_no_reader_would_take_is_kept_beside_the_spool_as_it_is(make, nobody: str, tmp_path: Path) -> None:
    publisher = make(nobody)
    several = run(events=1)
    several[0][1]["image"] = np.zeros(MAX_BYTES, np.uint8)
    publish(publisher, several)
    publisher.close()
    assert spooled(publisher) == several[1:]
    (beside,) = (tmp_path / "spool").glob("*.msgpack")
    assert beside.read_bytes() == publishable(*several[0])[0]
    assert publisher.statistics()["spooled"] == 4


@pytest.mark.integration
async def test_a_document_beyond_the_limit_of_the_broker_goes_to_the_spool_and_the_others_arrive(
    make, apache_kafka: ApacheKafka, caplog: pytest.LogCaptureFixture
) -> None:
    await make_topic(apache_kafka.address(), "limited")
    several = run(events=100)
    several[0][1]["image"] = "x" * 2**21
    several[50][1]["image"] = "x" * 2**21
    publisher = make(apache_kafka.address(), "limited")
    publish(publisher, several)
    await asyncio.to_thread(publisher.close)
    records = await read_topic(apache_kafka.address(), "limited", len(several) - 2)
    assert documents(records) == several[1:50] + several[51:]
    assert spooled(publisher) == [several[0], several[50]]
    assert publisher.statistics()["published"] == len(several) - 2
    assert "a document of run a (start) goes to the spool, the broker refuses it" in caplog.text


@pytest.mark.integration
async def test_a_broker_that_takes_small_batches_only_gets_small_ones(make, apache_kafka: ApacheKafka) -> None:
    await make_topic(apache_kafka.address(), "small", max_message_bytes="3000")
    several = run(events=100, text="x" * 1000)
    publisher = make(apache_kafka.address(), "small")
    publish(publisher, several)
    await asyncio.to_thread(publisher.close, WAIT_S)
    assert documents(await read_topic(apache_kafka.address(), "small", len(several))) == several
    assert publisher.spool is None


@pytest.mark.integration
async def test_documents_wait_for_a_topic_that_is_not_there_yet(make, apache_kafka: ApacheKafka, caplog: pytest.LogCaptureFixture) -> None:
    publisher = make(apache_kafka.address(), "made-later")
    publish(publisher, run())
    await auntil(lambda: "there is no such topic; make it" in caplog.text)
    await make_topic(apache_kafka.address(), "made-later")
    await auntil(lambda: publisher.statistics()["published"] == 8)
    assert documents(await read_topic(apache_kafka.address(), "made-later", 8)) == run()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("listener", "options"),
    [
        ("TLS", {}),
        ("MUTUAL", {"ssl_password": "of the client's key"}),
        ("LOGIN", {"sasl_mechanism": "SCRAM-SHA-256"}),
        ("SECURE", {"sasl_mechanism": "PLAIN"}),
        ("SECURE", {"sasl_mechanism": "SCRAM-SHA-512", "compression_type": "zstd"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
async def test_it_publishes_over_tls_and_with_logins(make, apache_kafka: ApacheKafka, listener: str, options: dict[str, str]) -> None:
    topic = f"to-{listener}-{'-'.join(options.values()).replace(' ', '').replace(chr(39), '')}"
    await make_topic(apache_kafka.address(), topic)
    publisher = make(apache_kafka.address(listener), topic, options=apache_kafka.options(listener, **options))
    publish(publisher, run())
    await asyncio.to_thread(publisher.close, WAIT_S)
    assert documents(await read_topic(apache_kafka.address(), topic, 8)) == run()
