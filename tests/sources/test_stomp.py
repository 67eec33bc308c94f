"""STOMP: what is told of mistakes in its settings, and of brokers that are none."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.certificates import Certificates
from tests.helpers.stomp import failure
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.host import free_port
from wpb_stream.sources.stomp import StompSource
from wpb_stream.sources.stomp_settings import StompAddress, StompOptions, subscription_name

LOGIN = {"username": "wpb", "password": "a secret"}


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
