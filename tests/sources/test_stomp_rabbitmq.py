"""STOMP at a real RabbitMQ: what becomes of messages when the broker, or we, go away, and what is told of mistakes."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.helpers.certificates import KEY_PASSWORD
from tests.helpers.rabbitmq import READER, RabbitMQ
from tests.helpers.stomp import WAIT_S, failure, listening, until
from wpb_stream.core.documents import MAX_BYTES, Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.stomp import PREFETCH, StompSource


def rabbit_source(rabbitmq: RabbitMQ, topic: str, **options: object) -> StompSource:
    return StompSource(rabbitmq.url(topic), name=f"wpb-{topic}", options={**READER, **options})


@pytest.mark.integration
async def test_messages_are_numbered_in_their_order_on_from_the_stored_position(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, destination = rabbit_source(rabbitmq, stomp_topic), f"/topic/{stomp_topic}"
    async with listening(source, caplog, {destination: 40}) as messages:
        await rabbitmq.publish(stomp_topic, b"a", b"b", b"\0c\0")
        await until(messages, 3)
    assert messages == [Message(source.identity, destination, 40 + number, value) for number, value in enumerate((b"a", b"b", b"\0c\0"))]


@pytest.mark.integration
async def test_each_destination_is_a_partition_of_its_own(rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture) -> None:
    one, other = f"/topic/{stomp_topic}", f"/topic/{stomp_topic}.#"
    source = StompSource(f"{rabbitmq.url(stomp_topic)},{other}", name="wpb-both", options=READER)
    async with listening(source, caplog, {other: 7}) as messages:
        await rabbitmq.publish(f"{stomp_topic}.detail", b"detail")
        await until(messages, 1)
        await rabbitmq.publish(stomp_topic, b"both")
        await until(messages, 3)
    found = {(message.partition, message.position, message.value) for message in messages}
    assert found == {(other, 7, b"detail"), (other, 8, b"both"), (one, 0, b"both")}


@pytest.mark.integration
async def test_what_was_not_stored_comes_again_and_what_was_does_not(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, destination = rabbit_source(rabbitmq, stomp_topic), f"/topic/{stomp_topic}"
    async with listening(source, caplog, store=False) as messages:
        await rabbitmq.publish(stomp_topic, b"a", b"b", b"c")
        await until(messages, 3)
        await source.stored({destination: 2})
    async with listening(rabbit_source(rabbitmq, stomp_topic), caplog, {destination: 2}) as messages:
        await rabbitmq.publish(stomp_topic, b"d")
        assert await until(messages, 2) == [b"c", b"d"]


@pytest.mark.integration
async def test_messages_of_the_last_connection_that_are_stored_late_do_not_stand_for_those_of_this_one(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, destination = rabbit_source(rabbitmq, stomp_topic), f"/topic/{stomp_topic}"
    async with listening(source, caplog, store=False) as messages:
        await rabbitmq.publish(stomp_topic, b"a")
        await until(messages, 1)
    async with listening(source, caplog, store=False) as again:
        await until(again, 1)
        await source.stored({destination: messages[0].position + 1})
    async with listening(source, caplog) as messages:
        assert await until(messages, 1) == [b"a"]


@pytest.mark.integration
@pytest.mark.faults
async def test_what_is_published_while_we_are_away_is_kept_unless_the_subscription_is_not_durable(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    durable, fleeting = rabbit_source(rabbitmq, stomp_topic), rabbit_source(rabbitmq, stomp_topic, durable=False)
    for source in (durable, fleeting):
        async with listening(source, caplog):
            pass
    await rabbitmq.publish(stomp_topic, b"away")
    for source, expected in ((durable, [b"away", b"back"]), (fleeting, [b"back"])):
        async with listening(source, caplog) as messages:
            await rabbitmq.publish(stomp_topic, b"back")
            assert await until(messages, len(expected)) == expected


@pytest.mark.integration
async def test_the_broker_hands_out_a_bounded_number_of_messages_ahead_of_the_catalogue(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, destination = rabbit_source(rabbitmq, stomp_topic), f"/topic/{stomp_topic}"
    async with listening(source, caplog, store=False) as messages:
        await rabbitmq.publish(stomp_topic, *(b"%d" % number for number in range(PREFETCH + 10)))
        await until(messages, PREFETCH)
        await source.stored({destination: 3})
        await until(messages, PREFETCH + 3)
        assert len(messages) == PREFETCH + 3
        await source.stored({destination: PREFETCH})
        assert await until(messages, PREFETCH + 10) == [b"%d" % number for number in range(PREFETCH + 10)]


@pytest.mark.integration
async def test_a_message_larger_than_the_core_takes_is_handed_on_whole_for_the_core_to_refuse(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(rabbit_source(rabbitmq, stomp_topic), caplog) as messages:
        await rabbitmq.publish(stomp_topic, b"x" * (MAX_BYTES + 1), b"next")
        assert list(map(len, await until(messages, 2))) == [MAX_BYTES + 1, 4]


@pytest.mark.integration
async def test_a_wrong_password_is_told_in_one_sentence_that_does_not_hold_it(rabbitmq: RabbitMQ, stomp_topic: str) -> None:
    with pytest.raises(ServiceError) as error:
        await rabbit_source(rabbitmq, stomp_topic, password="wrong one").__aenter__()
    assert str(error.value) == (
        f"STOMP at 127.0.0.1:{rabbitmq.port} refuses us (Bad CONNECT: Access refused for user 'wpb'); "
        "check username, password, vhost and subscription in WPB_STOMP_OPTIONS"
    )


@pytest.mark.integration
async def test_a_destination_that_may_not_be_read_is_told_in_one_sentence(rabbitmq: RabbitMQ) -> None:
    source = StompSource(f"stomp://127.0.0.1:{rabbitmq.port}/exchange/amq.direct/key", name="wpb-refused", options=READER)
    told = await failure(source)
    assert re.fullmatch(r"STOMP at \S+ refuses us \(access_refused: .*'amq.direct'.*\); check WPB_SOURCES .* may do there", told)


@pytest.mark.integration
async def test_heartbeats_keep_an_idle_connection(rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture) -> None:
    beat_s = 1.0
    async with listening(rabbit_source(rabbitmq, stomp_topic, heartbeat_s=beat_s), caplog) as messages:
        await asyncio.sleep(4 * beat_s)  # nothing is waited for: that nothing happens in this time is the matter
        await rabbitmq.publish(stomp_topic, b"still there")
        await until(messages, 1)


@pytest.mark.integration
async def test_a_broker_that_stops_answering_is_noticed_by_its_missing_heartbeats(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = rabbit_source(rabbitmq, stomp_topic, heartbeat_s=1)
    async with asyncio.TaskGroup() as tasks:
        told = tasks.create_task(failure(source))
        while f"listening to /topic/{stomp_topic} " not in caplog.text:
            await asyncio.sleep(0.01)
        with rabbitmq.stopped():
            await asyncio.wait([told])
    assert told.result() == f"STOMP at 127.0.0.1:{rabbitmq.port} does not answer: not a sign of life for 2 s"


@pytest.mark.integration
@pytest.mark.parametrize(("queue_type", "persistent"), [("classic", True), ("quorum", False)])
async def test_a_broker_restarted_in_mid_stream_is_told_and_loses_nothing_that_its_kind_of_queue_keeps(
    queue_type: str, persistent: bool, rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, destination = rabbit_source(rabbitmq, stomp_topic, queue_type=queue_type), f"/topic/{stomp_topic}"
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        told = tasks.create_task(failure(source))
        while f"listening to {destination} " not in caplog.text:
            await asyncio.sleep(0.01)
        await rabbitmq.publish(stomp_topic, b"a", b"b", b"c", persistent=persistent)
        await source.stored({destination: 1})
        rabbitmq.end()
    assert re.match(r"STOMP at \S+ (closed the connection|went away)", told.result())
    await rabbitmq.until_back()
    async with listening(source, caplog) as messages:
        await rabbitmq.publish(stomp_topic, b"back", persistent=persistent)
        while not messages or messages[-1].value != b"back":
            await asyncio.sleep(0.01)
    assert [message.value for message in messages][-3:] == [b"b", b"c", b"back"]


@pytest.mark.integration
@pytest.mark.parametrize("files", [{}, {"ssl_certfile": "client.pem", "ssl_keyfile": "client.key", "ssl_password": KEY_PASSWORD}])
async def test_tls_lets_in_a_broker_of_the_authority_that_is_named(
    files: dict[str, str], rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = {name: value if name == "ssl_password" else str(rabbitmq.folder / value) for name, value in files.items()}
    options = {**READER, **own, "ssl_cafile": str(rabbitmq.folder / "authority.pem")}
    source = StompSource(rabbitmq.url(stomp_topic, tls=True), name=f"wpb-{stomp_topic}", options=options)
    async with listening(source, caplog) as messages:
        await rabbitmq.publish(stomp_topic, b"secret")
        assert await until(messages, 1) == [b"secret"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("scheme", "secure", "told"),
    [
        ("stomp+ssl", True, r"cannot be reached \(.*CERTIFICATE_VERIFY_FAILED.*\); check"),
        ("stomp+ssl", False, r"cannot be reached \(.*\); check"),
        ("stomp", True, "speaks no STOMP|closed the connection"),
    ],
)
async def test_a_broker_of_another_authority_and_tls_on_one_side_only_are_told(
    scheme: str, secure: bool, told: str, rabbitmq: RabbitMQ, stomp_topic: str
) -> None:
    port = rabbitmq.tls_port if secure else rabbitmq.port
    with pytest.raises(ServiceError, match=f"^STOMP at 127.0.0.1:{port} ({told})"):
        await StompSource(f"{scheme}://127.0.0.1:{port}/topic/{stomp_topic}", options=READER).__aenter__()


@pytest.mark.integration
async def test_a_probe_takes_no_message_from_the_source_that_listens(
    rabbitmq: RabbitMQ, stomp_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(rabbit_source(rabbitmq, stomp_topic), caplog) as messages, rabbit_source(rabbitmq, stomp_topic) as doctor:
        told = await doctor.probe()
        await rabbitmq.publish(stomp_topic, *(b"%d" % number for number in range(9)))
        assert await until(messages, 9) == [b"%d" % number for number in range(9)]
    kept = f"what is published while wpb is away is kept there for the subscription wpb-{stomp_topic}"
    assert re.fullmatch(rf"RabbitMQ/[0-9.]+, /topic/{stomp_topic}; {kept}", told)


@pytest.mark.integration
async def test_a_probe_says_what_is_wrong(rabbitmq: RabbitMQ) -> None:
    source = StompSource(
        f"stomp://127.0.0.1:{rabbitmq.port}/exchange/amq.direct/key", name="wpb-refused", options={**READER, "durable": False}
    )
    async with asyncio.timeout(WAIT_S), source:
        with pytest.raises(ServiceError, match="access_refused"):
            await source.probe()
