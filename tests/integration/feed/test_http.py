"""HTTP beside the feed: the viewer's files and small answers."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from tests.helpers.described import assert_described
from tests.integration.feed.conftest import Beamline
from wpb_stream.feed.pages import without_comments
from wpb_stream.settings import split_address

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


async def _http(beamline: Beamline, request: str) -> tuple[int, dict[str, str], bytes]:
    """One request over a bare socket: status, headers in small letters, body."""
    host, port = split_address(beamline.settings.listen)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"{request}\r\nHost: {beamline.settings.listen}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(30):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


async def test_the_viewer_is_served_at_the_root_under_a_policy_that_lets_nothing_else_in(beamline: Beamline) -> None:
    status, headers, body = await _http(beamline, "GET / HTTP/1.1")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert int(headers["content-length"]) == len(body)
    assert b"<!doctype html>" in body
    policy = {name: value for name, _, value in (part.strip().partition(" ") for part in headers["content-security-policy"].split(";"))}
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_every_file_the_viewer_names_is_there_with_its_type(beamline: Beamline) -> None:
    for path, kind in {
        "/app.js": "text/javascript",
        "/style.css": "text/css",
        "/favicon.svg": "image/svg+xml",
        "/?run=abc": "text/html",
        "/runs/abc?channel=red": "text/html",
    }.items():
        status, headers, plain = await _http(beamline, f"GET {path} HTTP/1.1")
        assert (status, headers["content-type"].split(";")[0]) == (200, kind)
        assert "content-encoding" not in headers
        status, headers, packed = await _http(beamline, f"GET {path} HTTP/1.1\r\nAccept-Encoding: br, gzip")
        sent = gzip.decompress(packed) if headers.get("content-encoding") == "gzip" else packed
        assert sent == (without_comments(plain) if path == "/app.js" else plain)
        assert path == "/favicon.svg" or headers["content-encoding"] == "gzip"


async def test_health_is_answered(beamline: Beamline) -> None:
    status, _, body = await _http(beamline, "GET /healthz HTTP/1.1")
    assert (status, body) == (200, b"ok\n")


async def test_head_is_answered_without_a_body(beamline: Beamline) -> None:
    status, headers, body = await _http(beamline, "HEAD / HTTP/1.1")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../pipeline.py",
        "/%2e%2e/server.py",
        "/server.py",
        "/ws",
        "/api/runs/..%2F..%2Fx/preview.png",
        "/api/runs/none/preview.png",
    ],
)
async def test_what_is_not_there_is_answered_with_404(beamline: Beamline, path: str) -> None:
    status, headers, _ = await _http(beamline, f"GET {path} HTTP/1.1")
    assert status == 404
    assert "content-security-policy" in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/api/runs"])
async def test_other_methods_are_answered_with_405_as_published(beamline: Beamline, method: str, path: str) -> None:
    status, headers, body = await _http(beamline, f"{method} {path} HTTP/1.1")
    assert status == 405
    assert headers["allow"] == "GET, HEAD"
    assert_described(path, status, headers, body, method)


@pytest.mark.parametrize("header", ["Host", "Origin", "Upgrade"])
async def test_a_header_that_is_there_twice_is_answered_with_400_and_named(beamline: Beamline, header: str) -> None:
    twice = f"{header}: websocket\r\n{header}: websocket\r\nUpgrade: websocket"
    status, _, body = await _http(beamline, f"GET /ws HTTP/1.1\r\n{twice}\r\nOrigin: x")
    assert status == 400
    assert header in body.decode()
    status, headers, body = await _http(beamline, f"GET /api/runs HTTP/1.1\r\n{twice}")
    assert status == 400
    assert_described("/api/runs", status, headers, body)
