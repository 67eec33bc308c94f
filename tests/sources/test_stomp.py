"""STOMP, at a real RabbitMQ and a real ActiveMQ: what is told of mistakes, and what becomes of messages when a broker, or we, go away."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.activemq import LOGIN as ACTIVEMQ_LOGIN
from tests.helpers.activemq import ActiveMQ, activemq
from tests.helpers.certificates import KEY_PASSWORD, Certificates
from tests.helpers.rabbitmq import READER, RabbitMQ
from wpb_stream.core.documents import MAX_BYTES, Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.host import free_port
from wpb_stream.sources.stomp import PREFETCH, StompSource
from wpb_stream.sources.stomp_connection import StompConnection
from wpb_stream.sources.stomp_frames import Frame
from wpb_stream.sources.stomp_settings import StompAddress, StompOptions, subscription_name

__all__ = ["activemq"]

WAIT_S = 60.0
LOGIN = {"username": "wpb", "password": "a secret"}


@pytest.fixture(autouse=True)
def hear_info(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what a source says at level INFO."""
    caplog.set_level("INFO", logger="wpb_stream.sources.stomp")


@asynccontextmanager
async def listening(
    source: StompSource, heard: pytest.LogCaptureFixture, positions: dict[str, int] | None = None, *, store: bool = True
) -> AsyncIterator[list[Message]]:
    """Messages as they come in, while this lasts; it begins once the broker has said that it listens for us.

    :param store: whether each message is said to be stored
    """
    messages: list[Message] = []

    async def take() -> None:
        async with source, aclosing(source.batches(positions or {})) as batches:
            async for batch in batches:
                messages.extend(batch)
                if store:
                    await source.stored({message.partition: message.position + 1 for message in batch})

    heard.clear()
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take())
        while not all(f"listening to {destination} " in heard.text for destination in source.address.destinations):
            await asyncio.sleep(0.01)
        yield messages
        taking.cancel()


async def until(messages: list[Message], count: int) -> list[bytes]:
    """Wait until there are that many, and give their bodies."""
    while len(messages) < count:
        await asyncio.sleep(0.01)
    return [message.value for message in messages]


async def failure(source: StompSource) -> str:
    """What a source that is listened to says in the end."""
    async with asyncio.timeout(WAIT_S), source, aclosing(source.batches({})) as batches:
        with pytest.raises(ServiceError) as error:
            async for _ in batches:
                pass
    return str(error.value)


# --- settings -------------------------------------------------------------------------------------------------------


def test_ports_are_those_of_the_field_unless_the_address_names_one() -> None:
    assert StompAddress.parse("stomp://host/topic/public.worker.event") == StompAddress(
        "host", 61613, False, ("/topic/public.worker.event",)
    )
    assert StompAddress.parse("stomp+ssl://host/topic/a") == StompAddress("host", 61614, True, ("/topic/a",))
    several = StompAddress.parse("stomp://[::1]:7/topic/a.#,/queue/b")
    assert (several, str(several)) == (StompAddress("::1", 7, False, ("/topic/a.#", "/queue/b")), "[::1]:7")


@pytest.mark.parametrize(
    "url",
    [
        "stomp://host:61613",
        "stomp:///topic/a",
        "stomp://host/topic/a,b",
        "stomp://host:port/topic/a",
        "stomp://host/topic/a?b",
        "tcp://host/topic/a",
    ],
)
def test_an_address_that_cannot_be_understood_is_told_with_the_address(url: str) -> None:
    with pytest.raises(ServiceError, match=re.escape(url)):
        StompSource(url)


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(ServiceError, match="WPB_STOMP_OPTIONS") as error:
        StompSource("stomp://wpb:987654@host:61613/topic/a")
    assert "987654" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"passcode": "987654"}, "'passcode' is not an option here; these are: durable, "),
        ({**LOGIN, "password": 987654}, "password must be a text, and is of type int"),
        ({**LOGIN, "password": "987654\n"}, "password must be one line of text, and not empty"),
        ({**LOGIN, "password_file": "/run/secrets/stomp"}, "password and password_file exclude each other"),
        ({"password": "987654"}, "a username and a password belong together, and one is missing"),
        ({"username": "wpb"}, "a username and a password belong together, and one is missing"),
        ({"username": "wpb", "password_file": "/nowhere"}, "password_file /nowhere cannot be read (No such file or directory)"),
        ({"durable": "yes"}, "durable must be true or false, and is of type str"),
        ({"heartbeat_s": True}, "heartbeat_s must be a number, and is of type bool"),
        ({"heartbeat_s": 0}, "heartbeat_s must be between 0.1 and 3600, and is 0"),
        ({"keep_s": 1.5}, "keep_s must be a whole number, and is of type float"),
        ({"keep_s": -1}, "keep_s must be between 0 and 4294967, and is -1"),
        ({"queue_type": "stream"}, "queue_type must be one of classic, quorum, and is 'stream'"),
        ({"subscription": "x" * 101}, "subscription must have 100 characters at most"),
        ({"ssl_cafile": "authority.pem"}, "ssl_cafile with a source stomp:// would mean no TLS: write stomp+ssl://"),
    ],
)
def test_a_mistake_in_the_options_is_told_in_one_sentence_before_anything_is_connected(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ServiceError) as error:
        StompSource("stomp://host/topic/a", options=options)
    assert str(error.value).startswith(f"WPB_STOMP_OPTIONS: {told}")
    assert "\n" not in str(error.value)
    assert "987654" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ssl_cafile": "nowhere.pem"}, "no TLS context can be made with ssl_cafile nowhere.pem ("),
        ({"ssl_certfile": "nowhere.pem", "ssl_password": "987654"}, "no TLS context can be made with ssl_certfile nowhere.pem ("),
        ({"ssl_keyfile": "key.pem"}, "ssl_keyfile and ssl_password belong to an ssl_certfile, which is missing"),
    ],
)
def test_a_mistake_with_certificates_is_told_by_their_names_and_without_the_password(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ServiceError) as error:
        StompSource("stomp+ssl://host/topic/a", options=options)
    assert str(error.value).startswith(f"WPB_STOMP_OPTIONS: {told}")
    assert "987654" not in str(error.value)


def test_tls_checks_the_broker_against_the_authority(tmp_path: Path) -> None:
    context = StompOptions.parse({"ssl_cafile": str(Certificates(tmp_path).authority)}, tls=True).tls
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [one["subject"] for one in context.get_ca_certs()] == [((("commonName", "authority of the tests"),),)]


def test_files_of_credentials_are_read_anew_each_time_without_their_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("wpb\n")
    (tmp_path / "password").write_text("old\r\n")
    options = StompOptions.parse({"username_file": str(tmp_path / "username"), "password_file": str(tmp_path / "password")})
    assert options.login() == {"login": "wpb", "passcode": "old"}
    (tmp_path / "password").write_text("new")
    assert options.login() == {"login": "wpb", "passcode": "new"}


def test_neither_the_options_nor_the_identity_tell_the_password() -> None:
    source = StompSource("stomp://host/topic/a", options={**LOGIN, "vhost": "b01"})
    assert "a secret" not in repr(source._options)
    assert (source.url, source.identity) == ("stomp://host/topic/a", "stomp:host:61613/b01")


def test_each_data_folder_is_a_subscription_of_its_own(tmp_path: Path) -> None:
    one, other = subscription_name(tmp_path / "one"), subscription_name(tmp_path / "other")
    assert one != other
    assert one == subscription_name(tmp_path / "other" / ".." / "one")
    assert one.startswith("wpb-")


# --- a broker that is none --------------------------------------------------------------------------------------------


async def test_nobody_at_the_address_is_told_with_the_setting() -> None:
    nobody = f"127.0.0.1:{free_port('127.0.0.1', 0)}"
    with pytest.raises(ServiceError, match=f"STOMP at {nobody} cannot be reached .*; check WPB_SOURCES"):
        await StompSource(f"stomp://{nobody}/topic/a").__aenter__()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no STOMP that is understood"),
        (b"CONNECTED\nversion:1.1\n\n\0", "does not speak STOMP 1.2"),
        (b"CONNECTED\nversion:1.2\nheart-beat:now and then\n\n\0", "offers the heartbeat 'now and then'"),
        (b"ERROR\nmessage:your passcode\n\nit was a secret\nand more\0", re.escape("refuses us (your passcode: it was ***);")),
        (b"", "closed the connection"),
    ],
)
async def test_what_answers_otherwise_than_a_broker_is_told_in_one_sentence_without_the_password(answer: bytes, told: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServiceError, match=f"^STOMP at 127.0.0.1:{port} {told}"):
            await StompSource(f"stomp://127.0.0.1:{port}/topic/a", options=LOGIN).__aenter__()


async def test_a_broker_that_does_not_confirm_a_subscription_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wpb_stream.sources.stomp.CONFIRM_S", 0.5)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"CONNECTED\nversion:1.2\nheart-beat:100,100\n\n\0")
        while b"DISCONNECT" not in await reader.read(1000):
            writer.write(b"\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        url = f"stomp://127.0.0.1:{server.sockets[0].getsockname()[1]}/topic/a"
        told = await failure(StompSource(url, name="wpb-a", options={"heartbeat_s": 0.1}))
    assert re.search("has not confirmed /topic/a within 0.5 s; .* delete the queues wpb-a:", told)


# --- RabbitMQ ---------------------------------------------------------------------------------------------------------


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


# --- ActiveMQ ---------------------------------------------------------------------------------------------------------


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
        await asyncio.sleep(6 * beat_s)  # as above
        await send(activemq, stomp_topic, b"still there")
        await until(messages, 1)
