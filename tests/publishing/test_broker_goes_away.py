"""The Publisher at a broker that dies or falls silent in the middle of a run."""

from __future__ import annotations

import asyncio

import pytest

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.publishing import auntil, publish, run, spooled
from tests.helpers.topics import documents, make_topic, read_topic

pytestmark = pytest.mark.faults


@pytest.mark.integration
async def test_a_broker_that_is_killed_and_comes_back_gets_every_document_in_order(make, own_apache_kafka: ApacheKafka) -> None:
    kafka, several = own_apache_kafka, run(events=3000)
    await make_topic(kafka.address(), "documents")
    publisher = make(kafka.address())
    publish(publisher, several[:1000])
    await auntil(lambda: publisher.statistics()["published"] == 1000)
    publish(publisher, several[1000:1500])
    kafka.kill()
    publish(publisher, several[1500:])
    assert publisher.statistics()["published"] < len(several)
    kafka.start()
    await auntil(lambda: publisher.statistics()["published"] == len(several))
    published = documents(await read_topic(kafka.address(), "documents", len(several)))
    first = {doc["uid"]: position for position, (_, doc) in reversed(list(enumerate(published)))}
    assert [published[position] for position in sorted(first.values())] == several
    assert publisher.spool is None


@pytest.mark.integration
async def test_a_broker_that_stops_answering_for_a_while_gets_every_document(make, own_apache_kafka: ApacheKafka) -> None:
    kafka, several = own_apache_kafka, run(events=200)
    await make_topic(kafka.address(), "documents")
    publisher = make(kafka.address(), options={"request_timeout_ms": 500})
    publish(publisher, several[:50])
    await auntil(lambda: publisher.statistics()["published"] == 50)
    kafka.freeze()
    publish(publisher, several[50:])
    assert publisher.statistics()["waiting"] == len(several) - 50
    await asyncio.sleep(2)  # longer than a request may take: the connection is given up meanwhile
    assert publisher.statistics()["waiting"] == len(several) - 50
    kafka.thaw()
    await auntil(lambda: publisher.statistics()["published"] == len(several))
    published = {doc["uid"]: name for name, doc in documents(await read_topic(kafka.address(), "documents", len(several)))}
    assert list(published) == [doc["uid"] for _, doc in several]


@pytest.mark.integration
async def test_closing_ends_in_time_although_the_broker_says_nothing(make, own_apache_kafka: ApacheKafka) -> None:
    await make_topic(own_apache_kafka.address(), "documents")
    publisher = make(own_apache_kafka.address())
    publish(publisher, run())
    await auntil(lambda: publisher.statistics()["published"] == 8)
    own_apache_kafka.freeze()
    publish(publisher, run("b"))
    await asyncio.to_thread(publisher.close, 0.5)
    assert spooled(publisher) == run("b")
    assert publisher.statistics() == {"published": 8, "waiting": 0, "waiting_bytes": 0, "spooled": 8, "failed": 0}
