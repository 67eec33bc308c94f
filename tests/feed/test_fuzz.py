"""Bytes that no client should send: they trouble nobody but their sender, and are no error of ours.

A client that behaves is there all the time: after each case it must still be answered, and get the rows that grew meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.helpers.rawfeed import RawClient
from tests.helpers.serving import Serving, live, serving_of
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader

pytestmark = [
    pytest.mark.integration,
    # The database's pool draws from it in a thread of its own, which is taken for a strategy's doing.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]

EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "60"))
SETTINGS = settings(max_examples=EXAMPLES, suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture))
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wpb.v1\r\n\r\n"
)
PLAIN = b"GET /api/runs?limit=3 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
REQUESTS: list[dict[str, Any]] = [
    {"type": "authenticate", "token": "t"},
    {"type": "subscribe", "id": 1, "run": "u", "channels": ["total"], "revision": "live", "from_row": 3, "max_rate": 60, "follow": True},
    {"type": "subscribe", "id": 2, "run": "latest"},
    {"type": "unsubscribe", "id": 1},
    {
        "type": "list_runs",
        "id": 3,
        "limit": 5,
        "before": "7",
        "plan_name": "p",
        "status": "running",
        "since": "2026-01-01",
        "until": "2027-01-01",
        "scan_id": 7,
        "session": "cm1-1",
        "text": "foil",
    },
    {"type": "get_frame", "id": 4, "run": "u", "point": 2, "data_key": "camera", "max_size": [10, 10]},
    {"type": "ping", "id": 5},
]
LAST = b'{"type":"ping","id":999}'


def frame(payload: bytes, first: int = 0x81, mask: bytes = b"\1\2\3\4") -> bytes:
    """A client's frame."""
    size = len(payload)
    length = (
        bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big") if size < 2**16 else b"\xff" + size.to_bytes(8, "big")
    )
    return bytes([first]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of these, with parts of it changed, left out, doubled, or put elsewhere."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 40)))
        piece = draw(st.one_of(st.binary(max_size=20), st.just(data[at:until] * 2), st.just(b""), st.just(b"\r\n"), st.just(bytes(200))))
        data = data[:at] + piece + data[until:]
    return data


NUMBERS = st.one_of(st.integers(), st.integers(2**31, 2**80), st.floats(), st.just(-1), st.just(2**63), st.just(1e308))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=10,
)


@st.composite
def misfit(draw: st.DrawFn) -> bytes:
    """A request of which some fields are of another kind than they should be, or missing."""
    request = dict(draw(st.sampled_from(REQUESTS)))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*request, "id", "type", "surplus"]))
        if draw(st.booleans()):
            request[name] = draw(VALUES)
        else:
            request.pop(name, None)
    return json.dumps(request).encode()


FRAMES = [frame(json.dumps(request).encode()) for request in REQUESTS] + [
    frame(b"\x03\xe8bye", 0x88),
    frame(b"are you there", 0x89),
    frame(b"", 0x8A),
    frame(b'{"type":', 0x01) + frame(b'"ping","id":1}', 0x80),
    frame(bytes(1000), 0x82),
    frame(b"[" * 5000),
    frame(b'{"type":"ping","id":1' + b"0" * 400 + b"}"),
]


class Ground:
    """A server, a client that behaves, and one that does not."""

    def __init__(self, serving: Serving, witness: RawClient) -> None:
        self.serving, self._witness = serving, witness
        self._made = serving.board.live["u"]

    async def send(self, data: bytes, *, upgraded: bool = False, until: bytes | None = None) -> bytes:
        """Send it on a connection of its own, which is closed then; gives all that came back.

        :param upgraded: after a handshake as it should be
        :param until: close only when this has come back, if the server does not close before
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.serving.port)
        received = b""
        async with asyncio.timeout(30):
            if upgraded:
                writer.write(HANDSHAKE)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            with suppress(ConnectionError):
                writer.write(data)
                while until is not None and until not in received and (more := await reader.read(2**16)):
                    received += more
                if not reader.at_eof():
                    writer.write_eof()
                received += await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return received

    async def check(self) -> None:
        """Nobody else notices anything."""
        rows = self._made.table.rows
        self._made.table.append(np.array([rows % 9]), np.array([rows % 9]), np.ones((1, 1)))
        self.serving.board.changed()
        assert (await self._witness.rows(rows + 1))[-1].columns["total"][-1] == 1.0
        await self._witness.answer("ping")


@pytest.fixture
def ground(postgres_url: str, tmp_path: Path) -> Iterator[tuple[asyncio.Runner, Ground]]:
    upgrade(postgres_url)
    with asyncio.Runner() as runner, CatalogueReader(postgres_url) as reader:
        stack = AsyncExitStack()

        async def begin() -> Ground:
            serving = await stack.enter_async_context(serving_of(reader, tmp_path))
            live(serving.board, 9)
            witness = await stack.enter_async_context(serving.client())
            await witness.send("subscribe", run="u", max_rate=60)
            return Ground(serving, witness)

        yield runner, runner.run(begin())
        runner.run(stack.aclose())


def tried(ground: tuple[asyncio.Runner, Ground], data: bytes, caplog: pytest.LogCaptureFixture, **how: Any) -> bytes:
    """What came back; nothing of it may have become an error in the log, or have touched anybody else."""
    runner, there = ground
    caplog.clear()

    async def tried() -> bytes:
        received = await there.send(data, **how)
        await there.check()
        return received

    received = runner.run(tried())
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert not errors, [(record.name, record.getMessage(), record.exc_text) for record in errors]
    return received


@SETTINGS
@given(data=st.one_of(mutated([HANDSHAKE, PLAIN]), st.binary(max_size=300)))
@example(data=b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)))  # TLS where there is none
@example(data=PLAIN.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc"))
@example(data=HANDSHAKE[:-2] + b"Cookie: " + b"x" * 10_000 + b"\r\n\r\n")
@example(data=HANDSHAKE[:-2] + b"x: y\r\n" * 500 + b"\r\n")
@example(data=b"")
def test_a_handshake_that_is_none(ground: tuple[asyncio.Runner, Ground], caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    tried(ground, data, caplog)


@SETTINGS
@given(data=st.lists(st.one_of(mutated(FRAMES), st.sampled_from(FRAMES), st.binary(max_size=50)), min_size=1, max_size=4))
@example(data=[b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0"])  # of more bytes than there are
@example(data=[b"\x81\x05hello"])  # not masked
@example(data=[b"\xc1\x85\0\0\0\0hello"])  # compressed, which was not agreed on
def test_frames_that_are_none(ground: tuple[asyncio.Runner, Ground], caplog: pytest.LogCaptureFixture, data: list[bytes]) -> None:
    tried(ground, b"".join(data), caplog, upgraded=True)


@SETTINGS
@given(texts=st.lists(st.one_of(misfit(), mutated([json.dumps(request).encode() for request in REQUESTS])), min_size=1, max_size=4))
@example(texts=[b'{"a":' * 20_000])
@example(texts=[b'{"type":"get_frame","id":1,"run":"u","point":1e400}'])
@example(texts=[b'{"type":"subscribe","id":1,"run":"u","max_rate":1e-320}'])
def test_requests_that_are_none(ground: tuple[asyncio.Runner, Ground], caplog: pytest.LogCaptureFixture, texts: list[bytes]) -> None:
    received = tried(ground, b"".join(map(frame, [*texts, LAST])), caplog, upgraded=True, until=b'"id":999,')
    closed = b"\x88" in received  # by what was too much
    assert closed or b'"id":999,' in received
