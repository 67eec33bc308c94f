"""Kafka: what is told of mistakes in the settings, what becomes of the options, and where reading begins."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.certificates import KEY_PASSWORD
from tests.helpers.slow_broker import SlowBroker
from tests.helpers.topics import delete_records, make_topic, put
from wpb_stream.core.documents import Arrival, Loss, Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.embedded.broker import create_topic
from wpb_stream.host import free_port
from wpb_stream.sources.kafka import KafkaSource
from wpb_stream.sources.kafka_settings import KafkaAddress, KafkaOptions

pytestmark = pytest.mark.usefixtures("hear_info")

WAIT_S = 60.0
LOGIN = {"sasl_plain_username": "wpb", "sasl_plain_password": "a secret"}
AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBmTCCAT+gAwIBAgIUBqOa0YXOFBo9jIAIdGZMRx+RjGEwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWYXV0aG9yaXR5IG9mIG5vIGJyb2tlcjAgFw0yNjExMjMxOTQ1
NDFaGA8yMTI2MTAzMDE5NDU0MVowITEfMB0GA1UEAwwWYXV0aG9yaXR5IG9mIG5v
IGJyb2tlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFCG3UePKtG02/k806bH
TZixct7Nj2HEWaOa9rS5LA7lzVL9lgzaIwq5WeatwcZveaxEU4M9CQElMpHnfu0N
MmajUzBRMB0GA1UdDgQWBBTZp8W+OCx9bHbTqA5EValt+exFgDAfBgNVHSMEGDAW
gBTZp8W+OCx9bHbTqA5EValt+exFgDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0gAMEUCIQChePdpn+yGGWrJCJ5MBiPENBOGD+Dwo7XKAkc7Ao5qlAIgFPWH
JQ9zAVIKJvkkSWX80tSo9o6UXAajfGQfcLl7d5Q=
-----END CERTIFICATE-----
"""
"""A certificate of nobody, whose key was thrown away."""


@pytest.fixture
def hear_info(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what a source says at level INFO."""
    caplog.set_level("INFO", logger="wpb_stream.sources.kafka")


@pytest.fixture
def authority(tmp_path: Path) -> str:
    """A file with the certificate of an authority."""
    file = tmp_path / "authority.pem"
    file.write_text(AUTHORITY)
    return str(file)


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["kafka://host:9092", "kafka:///topic", "stomp://host/topic", "kafka://host:port/topic"])
def test_an_address_that_cannot_be_understood_is_told_with_the_address(url: str) -> None:
    with pytest.raises(ServiceError, match=url):
        KafkaAddress.parse(url)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"retries": 5}, "'retries' is not an option here; these are: check_crcs, "),
        ({"bootstrap_servers": "b:9092"}, "'bootstrap_servers' is not an option here"),
        ({"group_id": "g"}, "'group_id' is not an option here"),
        ({"request_timeout_ms": "5000"}, "request_timeout_ms must be a whole number, and is of type str"),
        ({"request_timeout_ms": True}, "request_timeout_ms must be a whole number, and is of type bool"),
        ({"fetch_max_bytes": -1}, "fetch_max_bytes must not be negative"),
        ({"sasl_plain_password": 987654}, "sasl_plain_password must be a text, and is of type int"),
        ({"security_protocol": "TLS"}, "security_protocol must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, and is 'TLS'"),
        ({"sasl_mechanism": "OAUTHBEARER"}, "sasl_mechanism must be one of "),
        ({"security_protocol": "SASL_SSL"}, "sasl_plain_username is missing: security_protocol SASL_SSL with PLAIN needs it"),
        ({"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": "wpb"}, "sasl_plain_password is missing"),
        ({"ssl_cafile": "authority.pem"}, "ssl_cafile without security_protocol SSL or SASL_SSL would mean no TLS"),
        (
            {"security_protocol": "SSL", "ssl_keyfile": "key.pem"},
            "ssl_keyfile and ssl_password belong to an ssl_certfile, which is missing",
        ),
        (
            {"security_protocol": "SSL", "ssl_cafile": "nowhere.pem"},
            "no TLS context can be made with ssl_cafile nowhere.pem (",
        ),
    ],
)
def test_a_mistake_in_the_options_is_told_in_one_sentence_before_anything_is_connected(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ServiceError) as error:
        KafkaSource("kafka://host:9092/topic", options=options)
    assert str(error.value).startswith(f"WPB_KAFKA_OPTIONS: {told}")
    assert "\n" not in str(error.value)
    assert "987654" not in str(error.value)


def test_a_file_that_holds_no_certificate_is_told_by_its_name_and_without_the_password(tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.touch()
    with pytest.raises(ServiceError, match=f"ssl_certfile {file}") as error:
        KafkaOptions.parse({"security_protocol": "SSL", "ssl_certfile": str(file), "ssl_password": "a secret"})
    assert "a secret" not in str(error.value)


@pytest.mark.parametrize("options", [{"security_protocol": "SSL"}, {"security_protocol": "SASL_SSL", **LOGIN}])
def test_tls_is_asked_for_with_a_context_that_checks_the_broker_against_the_authority(options: dict[str, Any], authority: str) -> None:
    connection = KafkaOptions.parse({**options, "ssl_cafile": authority}).connection
    context = connection.pop("ssl_context")
    assert connection == options
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [one["subject"] for one in context.get_ca_certs()] == [((("commonName", "authority of no broker"),),)]


def test_what_only_a_consumer_understands_is_kept_from_other_clients() -> None:
    options = KafkaOptions.parse({"client_id": "wpb", "max_partition_fetch_bytes": 1 << 24})
    assert (options.connection, options.client) == ({"client_id": "wpb"}, {"max_partition_fetch_bytes": 1 << 24})


async def test_tls_and_options_of_the_consumer_reach_clients_that_take_them(authority: str) -> None:
    options = {"security_protocol": "SASL_SSL", **LOGIN, "ssl_cafile": authority, "max_partition_fetch_bytes": 1 << 24}
    nobody = f"127.0.0.1:{free_port('127.0.0.1', 0)}"
    with pytest.raises(ServiceError, match=f"Kafka at {nobody} cannot be reached: nobody listens at {nobody}; check WPB_SOURCES"):
        await KafkaSource(f"kafka://{nobody}/topic", options=options).__aenter__()


# --- reading --------------------------------------------------------------------------------------------------------


async def arrivals(source: KafkaSource, count: int, positions: dict[str, int] | None = None) -> list[Arrival]:
    """Connect, and read that many messages at least, with what was lost between them."""
    found: list[Arrival] = []
    async with asyncio.timeout(WAIT_S), source:
        async for batch in source.batches(positions or {}):
            found.extend(batch)
            if len(found) >= count:
                break
    return found


async def listen(source: KafkaSource, count: int, positions: dict[str, int] | None = None) -> list[bytes]:
    """Connect, and read that many messages at least; none may be lost."""
    found = await arrivals(source, count, positions)
    assert [each for each in found if isinstance(each, Loss)] == []
    return [each.value for each in found if isinstance(each, Message)]


async def until_listening(topic: str, caplog: pytest.LogCaptureFixture) -> None:
    """Wait until a source has found where it begins on a topic."""
    async with asyncio.timeout(WAIT_S):
        while f"listening to {topic}/0" not in caplog.text:
            await asyncio.sleep(0.02)


@pytest.mark.integration
async def test_a_source_that_is_entered_again_reads_again_from_the_positions_it_is_given(kafka_address: str, kafka_topic: str) -> None:
    source = KafkaSource(f"kafka://{kafka_address}/{kafka_topic}", options={"max_partition_fetch_bytes": 1 << 24})
    await put(kafka_address, kafka_topic, b"0", b"1", b"2")
    assert await listen(source, 3) == [b"0", b"1", b"2"]
    assert await listen(source, 3) == [b"0", b"1", b"2"]
    assert await listen(source, 1, {f"{kafka_topic}/0": 2}) == [b"2"]


@pytest.mark.integration
async def test_who_is_cancelled_while_the_broker_is_asked_for_its_metadata_leaves_no_connection_open(kafka_address: str) -> None:
    async with SlowBroker(kafka_address) as slow:
        async with asyncio.TaskGroup() as tasks:
            entering = tasks.create_task(KafkaSource(f"kafka://{slow.address}/topic").__aenter__())
            await asyncio.wait_for(slow.asked.wait(), WAIT_S)
            entering.cancel()
            await asyncio.sleep(0)  # it is cancelled before it is answered
            slow.answers.set()
        assert entering.cancelled()
        await asyncio.wait_for(slow.left.wait(), WAIT_S)


@pytest.mark.parametrize("earliest", [True, False])
@pytest.mark.integration
async def test_a_topic_made_after_start_up_is_heard_from_its_beginning(
    earliest: bool, kafka_address: str, kafka_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    await put(kafka_address, kafka_topic, b"old")
    source, new = KafkaSource(f"kafka://{kafka_address}/{kafka_topic}*", earliest=earliest), f"{kafka_topic}-new"
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen(source, 3 if earliest else 2))
        await until_listening(kafka_topic, caplog)
        await create_topic(kafka_address, new)
        await put(kafka_address, new, b"start", b"stop")
    assert listening.result() == [*([b"old"] if earliest else []), b"start", b"stop"]


@pytest.mark.integration
async def test_what_was_skipped_at_the_first_look_stays_skipped_when_the_source_is_entered_again(
    kafka_address: str, kafka_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    await put(kafka_address, kafka_topic, b"old")
    source = KafkaSource(f"kafka://{kafka_address}/{kafka_topic}", earliest=False)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen(source, 1))
        await until_listening(kafka_topic, caplog)
        listening.cancel()
    await put(kafka_address, kafka_topic, b"missed")
    assert await listen(source, 1) == [b"missed"]


@pytest.mark.integration
async def test_a_topic_made_while_the_source_is_away_is_read_from_its_beginning(
    kafka_address: str, kafka_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, new = KafkaSource(f"kafka://{kafka_address}/{kafka_topic}*", earliest=False), f"{kafka_topic}-new"
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen(source, 1))
        await until_listening(kafka_topic, caplog)
        listening.cancel()
    await create_topic(kafka_address, new)
    await put(kafka_address, new, b"start")
    assert await listen(source, 1) == [b"start"]


# --- what brokers hold ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["embedded", "apache"])
async def any_broker(request: pytest.FixtureRequest) -> str:
    """The address of either broker."""
    if request.param == "embedded":
        return request.getfixturevalue("kafka_address")
    return request.getfixturevalue("apache_kafka").address()


def a_topic(request: pytest.FixtureRequest) -> str:
    """The name of a topic of this test alone."""
    return re.sub(r"[^a-zA-Z0-9._-]", "-", request.node.name)[:200]


@pytest.mark.integration
@pytest.mark.parametrize("options", [{}, {"fetch_max_bytes": 1 << 20, "max_partition_fetch_bytes": 1 << 16}], ids=["", "small-fetches"])
async def test_messages_of_ten_megabytes_arrive_however_much_is_fetched_at_once(
    options: dict[str, int], any_broker: str, request: pytest.FixtureRequest
) -> None:
    topic, large = a_topic(request), [bytes([number]) * 10 * 2**20 for number in range(3)]
    await make_topic(any_broker, topic, max_message_bytes=str(16 * 2**20))
    producer = AIOKafkaProducer(bootstrap_servers=any_broker, max_request_size=16 * 2**20)
    await producer.start()
    try:
        for value in (b"before", *large, b"after"):
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()
    assert await listen(KafkaSource(f"kafka://{any_broker}/{topic}", options=options), 5) == [b"before", *large, b"after"]


@pytest.mark.integration
async def test_keys_headers_and_compression_change_nothing_and_a_value_that_is_missing_is_an_empty_one(
    any_broker: str, request: pytest.FixtureRequest
) -> None:
    topic = a_topic(request)
    await make_topic(any_broker, topic)
    for codec in ("gzip", "snappy", "lz4", "zstd", None):
        producer = AIOKafkaProducer(bootstrap_servers=any_broker, compression_type=codec, linger_ms=10)
        await producer.start()
        try:
            name = str(codec).encode() * 100
            await asyncio.gather(
                await producer.send(topic, name, key=b"\xff\x00"),
                await producer.send(topic, name, headers=[("traceparent", b"00-1"), ("empty", b"")]),
                await producer.send(topic, None, key=b"gone"),
            )
        finally:
            await producer.stop()
    values = await listen(KafkaSource(f"kafka://{any_broker}/{topic}"), 15)
    assert values == [value for codec in ("gzip", "snappy", "lz4", "zstd", "None") for value in (codec.encode() * 100,) * 2 + (b"",)]


@pytest.mark.integration
@pytest.mark.parametrize("isolation", ["read_uncommitted", "read_committed"])
async def test_what_a_transaction_took_back_is_left_out_where_the_options_say_so(
    isolation: str, apache_kafka: ApacheKafka, request: pytest.FixtureRequest
) -> None:
    address, topic = apache_kafka.address(), a_topic(request)
    await make_topic(address, topic)
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=topic)
    await producer.start()
    try:
        for value, keep in ((b"kept", True), (b"taken back", False), (b"kept too", True)):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, value)
            await (producer.commit_transaction() if keep else producer.abort_transaction())
    finally:
        await producer.stop()
    expected = [b"kept", *([b"taken back"] if isolation == "read_uncommitted" else []), b"kept too"]
    source = KafkaSource(f"kafka://{address}/{topic}", options={"isolation_level": isolation})
    assert await listen(source, len(expected)) == expected
    # Between them lie the broker's own marks: positions have gaps, and one of them is no message's.
    assert await listen(source, 1, {f"{topic}/0": 4}) == [b"kept too"]


@pytest.mark.integration
async def test_messages_that_retention_deleted_unread_are_told_and_reading_goes_on_with_the_first_there_is(
    apache_kafka: ApacheKafka, request: pytest.FixtureRequest
) -> None:
    address, topic = apache_kafka.address(), a_topic(request)
    await make_topic(address, topic)
    await put(address, topic, b"0", b"1", b"2", b"3", b"4")
    await delete_records(address, topic, before=3)
    loss, *messages = await arrivals(KafkaSource(f"kafka://{address}/{topic}"), 3, {f"{topic}/0": 1})
    assert [each.value for each in messages if isinstance(each, Message)] == [b"3", b"4"]
    assert isinstance(loss, Loss)
    assert (loss.partition, loss.resumes_at, loss.messages) == (f"{topic}/0", 3, 2)
    assert loss.reason == f"2 messages of {topic}/0 from position 1 on were deleted by the broker before they were read"


@pytest.mark.integration
async def test_a_group_that_reads_the_same_topic_keeps_its_positions_and_we_keep_ours(
    apache_kafka: ApacheKafka, request: pytest.FixtureRequest
) -> None:
    address, topic = apache_kafka.address(), a_topic(request)
    await make_topic(address, topic)
    await put(address, topic, b"0", b"1")
    theirs = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id="theirs", auto_offset_reset="earliest")
    await theirs.start()
    try:
        assert [(await theirs.getone()).value for _ in range(2)] == [b"0", b"1"]
        await theirs.commit()
        assert await listen(KafkaSource(f"kafka://{address}/{topic}"), 2) == [b"0", b"1"]
        assert await theirs.committed(TopicPartition(topic, 0)) == 2
    finally:
        await theirs.stop()


# --- connections ----------------------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize(
    ("listener", "further"),
    [
        ("TLS", {}),
        ("MUTUAL", {"ssl_password": KEY_PASSWORD}),
        *((listener, {"sasl_mechanism": name}) for listener in ("LOGIN", "SECURE") for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("sasl_mechanism", ""),
)
async def test_it_listens_over_tls_and_with_logins(
    listener: str, further: dict[str, Any], apache_kafka: ApacheKafka, request: pytest.FixtureRequest
) -> None:
    topic = a_topic(request)
    await make_topic(apache_kafka.address(), topic)
    await put(apache_kafka.address(), topic, b"0", b"1")
    source = KafkaSource(f"kafka://{apache_kafka.address(listener)}/{topic}", options=apache_kafka.options(listener, **further))
    assert await listen(source, 2) == [b"0", b"1"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("listener", "wrong"),
    [
        ("LOGIN", {"sasl_plain_password": "wrong"}),
        ("SECURE", {"sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_password": "wrong"}),
        ("TLS", {"ssl_cafile": "stranger"}),
        ("MUTUAL", {"ssl_password": "wrong"}),
    ],
)
async def test_a_login_or_certificate_that_is_wrong_is_told_as_what_cannot_be_reached(
    listener: str, wrong: dict[str, str], apache_kafka: ApacheKafka
) -> None:
    if "ssl_cafile" in wrong:
        wrong = {"ssl_cafile": str(apache_kafka.certificates.stranger)}
    options = apache_kafka.options(listener, **wrong) | wrong
    with pytest.raises(ServiceError, match=r"cannot be reached|no TLS context can be made") as error:
        await listen(KafkaSource(f"kafka://{apache_kafka.address(listener)}/topic", options=options), 1)
    assert "\n" not in str(error.value)
    assert "wrong" not in str(error.value)
    assert "Unable to bootstrap" not in str(error.value)


@pytest.mark.parametrize("parse", [KafkaAddress.parse, KafkaAddress.parse_one])
def test_credentials_in_a_url_are_refused_and_not_told(parse: Callable[[str], KafkaAddress]) -> None:
    with pytest.raises(ServiceError, match="sasl_plain_password") as caught:
        parse("kafka://user:very secret@host:9092/topic")
    assert "secret" not in str(caught.value)


async def test_a_broker_that_takes_longer_to_look_through_a_topic_than_it_may_wait_is_given_longer(
    kafka_address: str, kafka_topic: str
) -> None:
    """The embedded one, with a batch for each message and one ms: without more it says for ever that there is nothing."""
    messages = 6000
    async with AIOKafkaProducer(bootstrap_servers=kafka_address, max_batch_size=1) as producer:
        sent = [await producer.send(kafka_topic, b"x") for _ in range(messages)]
        await asyncio.gather(*sent)
    async with asyncio.timeout(WAIT_S), KafkaSource(f"kafka://{kafka_address}/{kafka_topic}", fetch_wait_ms=1) as source:
        taken = 0
        async for batch in source.batches({}):
            taken += len(batch)
            if taken == messages:
                break
