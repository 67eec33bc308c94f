"""TLS without a proxy, and that no token is ever logged."""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
import urllib.request
from contextlib import suppress
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.helpers.certificates import Certificates
from tests.helpers.rawfeed import raw_client
from tests.helpers.serving import connected, live, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import watch
from wpb_stream.core.access import Access
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.feed import socket
from wpb_stream.feed.limits import FeedLimits
from wpb_stream.feed.tls import context_of
from wpb_stream.tokens import new_token

SILENT = logging.getLogger("of a client that is not ours")
SILENT.setLevel(logging.CRITICAL)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


async def test_viewer_and_feed_are_served_with_tls_alone(certificates: Certificates, reader: CatalogueReader, tmp_path: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificates.authority)
    async with serving_of(reader, tmp_path, context_of(certificates.broker, None)) as serving:
        live(serving.board, 60_000)
        secure = f"wss://localhost:{serving.port}/ws"
        async with raw_client(secure, ssl=trusting) as client:
            await client.send("subscribe", run="u")
            assert sum(piece.rows for piece in await client.rows(60_000)) == 60_000

        def status() -> int:
            with urllib.request.urlopen(f"https://localhost:{serving.port}/", context=trusting, timeout=30) as page:
                return page.status

        assert await asyncio.to_thread(status) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connect(secure):
                pass
        old = ssl.create_default_context(cafile=certificates.authority)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        async with raw_client(secure, ssl=old) as client:
            assert client.welcome["type"] == "welcome"


async def test_a_tls_handshake_that_is_not_ended_takes_a_seat_until_it_is_given_up(
    certificates: Certificates, reader: CatalogueReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=certificates.authority)
    async with serving_of(reader, tmp_path, context_of(certificates.broker, None), limits=FeedLimits(max_connections=2)) as serving:

        async def refused_until(**counts: int) -> None:
            async with asyncio.timeout(30):
                while serving.refused != counts:
                    await asyncio.sleep(0.001)

        async with connected(serving.port) as (_, silent), connected(serving.port) as (_, babbling):
            async with connected(serving.port) as (cut, _):
                with suppress(ConnectionError):
                    assert await cut.read() == b""
            await refused_until(cut=1)
            babbling.write(b"GET / HTTP/1.1\r\n\r\n")
            await refused_until(cut=1, tls=1)
            async with raw_client(f"wss://localhost:{serving.port}/ws", ssl=trusting) as client:
                assert client.welcome["type"] == "welcome"
            silent.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # it goes by a reset
            silent.close()
            await refused_until(cut=1, tls=2)
        async with connected(serving.port), raw_client(f"wss://localhost:{serving.port}/ws", ssl=trusting) as client:
            assert client.welcome["type"] == "welcome", "both have left their seats"
        await refused_until(cut=1, tls=3)
        monkeypatch.setattr(socket, "TLS_TIMEOUT_S", 0.01)
        async with connected(serving.port) as (given_up, _):
            with suppress(ConnectionError):
                assert await given_up.read() == b""
        await refused_until(cut=1, tls=4)


def test_a_certificate_that_cannot_be_served_is_named(certificates: Certificates, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"no\.pem .*No such file.*WPB_TLS_CERTIFICATE"):
        context_of(tmp_path / "no.pem", None)
    with pytest.raises(ServiceError, match=r"authority\.pem"):
        context_of(certificates.authority, None)
    with pytest.raises(ServiceError, match=r"client\.pem and .*client\.key"):
        context_of(certificates.client, certificates.client_key)
    with pytest.raises(ServiceError, match=r"client\.pem and .*broker\.key"):
        context_of(certificates.client, certificates.folder / "broker.key")


async def test_no_token_is_ever_logged(reader: CatalogueReader, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token, entry = new_token("alice")
    wrong, _ = new_token("mallory")
    async with serving_of(reader, tmp_path, access=Access([entry.grant])) as serving:
        live(serving.board, 5)
        watching = watch(serving.url, "u", token=token)
        await anext(watching)
        await watching.aclose()
        for text in (token, wrong):
            await serving.get("/api/runs/u", Authorization=f"Bearer {text}")
            async with connect(serving.url, logger=SILENT) as socket:
                await socket.send(f'{{"type": "authenticate", "token": "{text}"}}')
                await socket.send(f'{{"type": "authenticate", "token": "{text}", "id": "{text}"}}')
                await socket.send(f'{{"type": "authenticate", "token": {{"{text}": 1}}}}')
                await socket.wait_closed() if text is wrong else await socket.recv()
        with pytest.raises(ServiceError):
            await anext(watch(serving.url, "u", token=wrong))
        with pytest.raises(InvalidStatus):
            async with connect(serving.url, additional_headers={"Authorization": f"Bearer {wrong}"}, logger=SILENT):
                pass
    told = "\n".join(f"{record.getMessage()} {record.exc_text} {record.exc_info}" for record in caplog.records)
    assert "shows a token that is not known" in told
    assert token not in told
    assert wrong not in told
    assert entry.sha256 not in told
