"""ZeroMQ: what Bluesky's own publisher sends through its own proxy, in each of its serialisations."""

from __future__ import annotations

import asyncio
import json
import pickle  # noqa: TID251  Bluesky's default
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from bluesky.callbacks.zmq import Publisher

from wpb_stream.core.documents import Document, Message, parse
from wpb_stream.core.exceptions import DocumentError, ServiceError
from wpb_stream.host import free_port
from wpb_stream.sources.zmq import ZmqAddress, ZmqSource

WAIT_S = 30.0
START = {"uid": "a", "time": 1.0, "plan_name": "zmq", "text": 'spaces  and "quotes"', "nan": float("nan")}
PROXY = (
    "import sys; from bluesky.callbacks.zmq import Proxy; Proxy(('127.0.0.1', int(sys.argv[1])), ('127.0.0.1', int(sys.argv[2]))).start()"
)


@pytest.fixture
def proxy() -> Iterator[tuple[int, int]]:
    """Bluesky's proxy in a process of its own: the port to publish to, and the port to listen to."""
    ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    process = subprocess.Popen([sys.executable, "-c", PROXY, *map(str, ports)])
    yield ports
    process.kill()
    process.wait()


async def heard(source: ZmqSource, publisher: Publisher, positions: Mapping[str, int] | None = None) -> list[Message]:
    """Publish a start document again and again until it is heard: what is sent before the subscription has arrived is lost."""

    async def publish() -> None:
        while True:
            publisher("start", START)
            await asyncio.sleep(0.05)

    async with source, asyncio.timeout(WAIT_S):
        publishing = asyncio.ensure_future(publish())
        try:
            return await anext(source.batches(positions or {}))
        finally:
            publishing.cancel()


@pytest.fixture
async def publisher(proxy: tuple[int, int], request: pytest.FixtureRequest) -> AsyncIterator[Publisher]:
    publisher = Publisher(f"127.0.0.1:{proxy[0]}", **getattr(request, "param", {}))
    yield publisher
    publisher.close()


def as_json(doc: Any) -> bytes:
    return json.dumps(doc).encode()


@pytest.mark.parametrize("url", ["zmq://host", "zmq://:5578", "zmq://host:port", "zmq://host:5578/a/b", "zmq:///x"])
def test_a_url_of_another_form_is_told(url: str) -> None:
    with pytest.raises(ServiceError, match="zmq://host:5578"):
        ZmqAddress.parse(url)


@pytest.mark.parametrize("publisher", [{"serializer": as_json}, {"serializer": msgpack.packb}], indirect=True)
async def test_documents_in_json_and_msgpack_are_heard_and_numbered_on(proxy: tuple[int, int], publisher: Publisher) -> None:
    url = f"zmq://127.0.0.1:{proxy[1]}"
    batch = await heard(ZmqSource(url), publisher, {f"tcp://127.0.0.1:{proxy[1]}": 41})
    document = parse(batch[0].value)
    assert isinstance(document, Document)
    assert (document.name, document.doc["plan_name"], document.doc["text"]) == ("start", "zmq", START["text"])
    assert [message.position for message in batch] == list(range(41, 41 + len(batch)))


@pytest.mark.parametrize("publisher", [{"serializer": as_json, "prefix": b"b01"}], indirect=True)
async def test_only_the_prefix_that_is_asked_for_is_heard(proxy: tuple[int, int], publisher: Publisher) -> None:
    other = Publisher(f"127.0.0.1:{proxy[0]}", serializer=as_json, prefix=b"b0")
    try:
        other("start", {**START, "uid": "other"})
        batch = await heard(ZmqSource(f"zmq://127.0.0.1:{proxy[1]}/b01"), publisher)
        other("start", {**START, "uid": "other"})
    finally:
        other.close()
    documents = [parse(message.value) for message in batch]
    assert {document.doc["uid"] for document in documents if isinstance(document, Document)} == {"a"}


class Trap:
    """What runs code when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


async def test_a_pickle_is_refused_with_the_remedy_and_runs_nothing(proxy: tuple[int, int], publisher: Publisher, tmp_path: Path) -> None:
    source = ZmqSource(f"zmq://127.0.0.1:{proxy[1]}")
    batch = await heard(source, publisher)
    with pytest.raises(DocumentError, match=r"serializer=msgpack\.packb.*docs/how-to/zmq\.md"):
        parse(batch[0].value)
    trap = source._envelope(b" start " + pickle.dumps({"uid": Trap(tmp_path / "sentinel")}))
    with pytest.raises(DocumentError, match="pickled"):
        parse(trap)
    assert not (tmp_path / "sentinel").exists()


async def test_a_pickle_is_read_where_the_settings_ask_for_it(proxy: tuple[int, int], publisher: Publisher) -> None:
    def loads(value: bytes) -> object:
        return {**pickle.loads(value), "array": np.arange(3, dtype="u2"), "number": np.float32(0.5)}

    batch = await heard(ZmqSource(f"zmq://127.0.0.1:{proxy[1]}", unpickle=loads), publisher)
    document = parse(batch[0].value)
    assert isinstance(document, Document)
    assert (document.doc["uid"], document.doc["array"], document.doc["number"]) == ("a", [0, 1, 2], 0.5)


async def test_a_pickle_that_cannot_be_read_ends_nothing() -> None:
    source = ZmqSource("zmq://127.0.0.1:1", unpickle=pickle.loads)
    with pytest.raises(DocumentError):
        parse(source._envelope(b" start \x80\x04nonsense"))


@pytest.mark.parametrize("frame", [b"", b"start", b"  ", b"a b", b"\xff\xfe \xff {}", b" start {broken", b" start \xc1", b" st art {}"])
def test_frames_of_another_form_become_dead_letters(frame: bytes) -> None:
    with pytest.raises(DocumentError):
        parse(ZmqSource("zmq://127.0.0.1:1")._envelope(frame))


async def test_publishers_may_connect_to_us_without_a_proxy() -> None:
    port = free_port("127.0.0.1", 0)
    publisher = Publisher(f"127.0.0.1:{port}", serializer=as_json)
    try:
        batch = await heard(ZmqSource(f"zmq+bind://127.0.0.1:{port}"), publisher)
    finally:
        publisher.close()
    assert isinstance(parse(batch[0].value), Document)


async def test_a_proxy_that_is_not_there_is_told_with_what_to_do() -> None:
    async with ZmqSource(f"zmq://127.0.0.1:{free_port('127.0.0.1', 0)}") as source:
        with pytest.raises(ServiceError, match="bluesky-0MQ-proxy"):
            await source.probe()


async def test_a_port_that_is_taken_is_told() -> None:
    port = free_port("127.0.0.1", 0)
    async with ZmqSource(f"zmq+bind://127.0.0.1:{port}"):
        with pytest.raises(ServiceError, match="cannot be listened to"):
            await ZmqSource(f"zmq+bind://127.0.0.1:{port}").__aenter__()
