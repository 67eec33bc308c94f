"""STOMP at a real ActiveMQ."""

from __future__ import annotations

import asyncio

import pytest

from tests.helpers.activemq import LOGIN as ACTIVEMQ_LOGIN
from tests.helpers.activemq import ActiveMQ, activemq
from tests.helpers.stomp import failure, listening, until
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.stomp import StompSource
from wpb_stream.sources.stomp_connection import StompConnection
from wpb_stream.sources.stomp_frames import Frame
from wpb_stream.sources.stomp_settings import StompAddress, StompOptions

__all__ = ["activemq"]


async def send(activemq: ActiveMQ, topic: str, *bodies: bytes) -> None:
    """Put messages on a topic. The broker has them all when this returns."""
    connection = await StompConnection.open(StompAddress.parse(activemq.url(topic)), StompOptions.parse(ACTIVEMQ_LOGIN))
    for body in bodies:
        connection.send(Frame("SEND", {"destination": f"/topic/{topic}", "receipt": "it"}, body))
        while Frame("RECEIPT", {"receipt-id": "it"}) not in await connection.receive():
            continue
    await connection.close()


def activemq_source(activemq: ActiveMQ, topic: str, **options: object) -> StompSource:
    return StompSource(activemq.url(topic), name=f"wpb-{topic}", options={**ACTIVEMQ_LOGIN, **options})


@pytest.mark.integration
@pytest.mark.faults
async def test_activemq_keeps_what_is_published_while_we_are_away_and_what_was_not_stored(
    activemq: ActiveMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, destination = activemq_source(activemq, stomp_topic), f"/topic/{stomp_topic}"
    async with listening(source, caplog, store=False) as messages:
        await send(activemq, stomp_topic, b"a", b"b")
        await until(messages, 2)
        await source.stored({destination: 1})
    await send(activemq, stomp_topic, b"away")
    async with listening(source, caplog) as messages:
        assert await until(messages, 2) == [b"b", b"away"]


@pytest.mark.integration
async def test_activemq_can_be_probed_while_a_source_listens_and_tells_of_a_second_one(
    activemq: ActiveMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(activemq_source(activemq, stomp_topic), caplog), activemq_source(activemq, stomp_topic) as doctor:
        assert f"kept there for the subscription wpb-{stomp_topic}" in await doctor.probe()
        assert "already connected" in await failure(activemq_source(activemq, stomp_topic))


@pytest.mark.integration
async def test_activemq_tells_of_a_wrong_password(activemq: ActiveMQ, stomp_topic: str) -> None:
    with pytest.raises(ServiceError, match=r"User name .* or password is invalid") as error:
        await activemq_source(activemq, stomp_topic, password="wrong one").__aenter__()
    assert "wrong one" not in str(error.value)


@pytest.mark.integration
async def test_heartbeats_keep_an_idle_connection_to_activemq(
    activemq: ActiveMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    beat_s = 0.5
    async with listening(activemq_source(activemq, stomp_topic, heartbeat_s=beat_s), caplog) as messages:
        await asyncio.sleep(6 * beat_s)  # that nothing happens in this time is the matter
        await send(activemq, stomp_topic, b"still there")
        await until(messages, 1)
