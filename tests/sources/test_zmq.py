"""ZeroMQ: what Bluesky's own publisher sends through its own proxy, in each of its serialisations."""

from __future__ import annotations

import asyncio
import json
import pickle  # noqa: TID251  Bluesky's default
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy  # noqa: TID251  for writing only
import numpy as np
import pytest
import zmq.auth
from bluesky.callbacks.zmq import Publisher

from tests.helpers.zmq_proxy import Proxy
from wpb_stream.core.documents import Document, Message, parse
from wpb_stream.core.exceptions import DocumentError, ServiceError
from wpb_stream.host import free_port
from wpb_stream.sources import zmq as zmq_module
from wpb_stream.sources.zmq import MAX_MESSAGE_BYTES, ZmqSource
from wpb_stream.sources.zmq_settings import CurveKeys, ZmqAddress

WAIT_S = 30.0
START = {
    "uid": "a",
    "time": 1.0,
    "plan_name": "zmq",
    "text": 'spaces  and "quotes"',
    "nan": float("nan"),
    "array": np.arange(3, dtype="u2"),
}


@pytest.fixture
def proxy() -> Iterator[tuple[int, int]]:
    """Bluesky's proxy in a process of its own: the port to publish to, and the port to listen to."""
    proxy = Proxy()
    yield proxy.ports
    proxy.stop()


async def until_it_answers(ports: tuple[int, int]) -> None:
    """Wait until both ports of a proxy are listened on."""
    async with asyncio.timeout(WAIT_S):
        for port in ports:
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                await asyncio.sleep(0.02)


async def heard(
    source: ZmqSource,
    publish: Callable[[str, Any], Any],
    positions: Mapping[str, int] | None = None,
    until: Callable[[], bool] = lambda: True,
) -> list[Message]:
    """Publish a start document again and again until it is heard: what is sent before the subscription has arrived is lost."""

    async def keep_publishing() -> None:
        while True:
            publish("start", START)
            await asyncio.sleep(0.05)

    async with source, asyncio.timeout(WAIT_S):
        publishing = asyncio.ensure_future(keep_publishing())
        messages: list[Message] = []
        try:
            async for batch in source.batches(positions or {}):
                messages += batch
                if until():
                    break
        finally:
            publishing.cancel()
        return messages


@pytest.fixture
async def publisher(proxy: tuple[int, int], request: pytest.FixtureRequest) -> AsyncIterator[Publisher]:
    publisher = Publisher(f"127.0.0.1:{proxy[0]}", **getattr(request, "param", {}))
    yield publisher
    publisher.close()


as_msgpack = partial(msgpack.packb, default=msgpack_numpy.encode)


def as_json(doc: Any) -> bytes:
    return json.dumps(doc, default=lambda value: value.tolist()).encode()


@pytest.mark.parametrize(
    "url",
    [
        "zmq://host",
        "zmq://:5578",
        "zmq://host:port",
        "zmq://host:5578/a/b",
        "zmq:///x",
        "zmq://a:b@host:1",
        "zmq://host:1?x=y",
        "zmq://host:1/a%20b",
    ],
)
def test_a_url_of_another_form_is_told(url: str) -> None:
    with pytest.raises(ServiceError, match="zmq://host:5578"):
        ZmqAddress.parse(url)


@pytest.mark.parametrize("publisher", [{"serializer": as_json}, {"serializer": as_msgpack}], indirect=True)
async def test_documents_in_json_and_msgpack_are_heard_and_numbered_on(proxy: tuple[int, int], publisher: Publisher) -> None:
    url = f"zmq://127.0.0.1:{proxy[1]}"
    batch = await heard(ZmqSource(url), publisher, {f"tcp://127.0.0.1:{proxy[1]}": 41})
    document = parse(batch[0].value)
    assert isinstance(document, Document)
    assert (document.name, document.doc["plan_name"], document.doc["text"]) == ("start", "zmq", START["text"])
    assert document.doc["array"] == [0, 1, 2]
    assert [message.position for message in batch] == list(range(41, 41 + len(batch)))


@pytest.mark.parametrize(
    "publisher", [{"serializer": as_json, "prefix": "b\N{LATIN SMALL LETTER U WITH DIAERESIS}1".encode()}], indirect=True
)
async def test_only_the_prefix_that_is_asked_for_is_heard(proxy: tuple[int, int], publisher: Publisher) -> None:
    other = Publisher(f"127.0.0.1:{proxy[0]}", serializer=as_json, prefix=b"b")
    try:
        other("start", {**START, "uid": "other"})
        batch = await heard(ZmqSource(f"zmq://127.0.0.1:{proxy[1]}/b%C3%BC1"), publisher)
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
    with pytest.raises(DocumentError, match=r"serializer=partial\(msgpack\.packb, .*WPB_ZMQ_PICKLE.*docs/how-to/zmq\.md"):
        parse(batch[0].value)
    trap = source._envelope(b" start " + pickle.dumps({"uid": Trap(tmp_path / "sentinel")}))
    with pytest.raises(DocumentError, match="pickled"):
        parse(trap)
    assert not (tmp_path / "sentinel").exists()


async def test_a_pickle_is_read_where_the_settings_ask_for_it(proxy: tuple[int, int], publisher: Publisher) -> None:
    def loads(value: bytes) -> object:
        return {**pickle.loads(value), "number": np.float32(0.5)}

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


async def test_messages_in_several_frames_are_read_like_those_in_one() -> None:
    port = free_port("127.0.0.1", 0)
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.connect(f"tcp://127.0.0.1:{port}")
        batch = await heard(
            ZmqSource(f"zmq+bind://127.0.0.1:{port}"), lambda name, doc: publisher.send_multipart([b"", name.encode(), as_json(doc)])
        )
    assert isinstance(parse(batch[0].value), Document)


@pytest.mark.parametrize("publisher", [{"serializer": as_json}], indirect=True)
async def test_a_message_that_is_too_large_for_memory_costs_the_connection_and_nothing_else(
    proxy: tuple[int, int], publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="wpb_stream")
    source = ZmqSource(f"zmq://127.0.0.1:{proxy[1]}")
    large, sent = {"text": "x" * MAX_MESSAGE_BYTES}, False

    def publish(name: str, doc: Any) -> None:
        nonlocal sent
        if "connected" in caplog.text and not sent:
            publisher("start", large)
            sent = True
        publisher(name, doc)

    messages = await heard(source, publish, until=lambda: caplog.text.count(": connected") == 2)
    assert max(len(message.value) for message in messages) < MAX_MESSAGE_BYTES
    assert "is lost" in caplog.text


async def test_what_is_numbered_after_a_new_connection_is_numbered_on(proxy: tuple[int, int], publisher: Publisher) -> None:
    source = ZmqSource(f"zmq://127.0.0.1:{proxy[1]}")
    first = await heard(source, publisher)
    second = await heard(source, publisher)  # the first ones are not stored yet
    assert second[0].position == first[-1].position + 1


# --- the connection -------------------------------------------------------------------------------------------------


async def probe(source: ZmqSource) -> str:
    async with source:
        return await source.probe()


async def test_a_proxy_that_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(ServiceError, match=r"nobody answers.*start bluesky-0MQ-proxy"):
        await probe(ZmqSource(f"zmq://127.0.0.1:{free_port('127.0.0.1', 0)}"))
    with pytest.raises(ServiceError, match="nobody answers"):
        await probe(ZmqSource("zmq://[::1]:1"))


async def test_a_proxy_is_there_only_if_it_is_the_port_to_listen_to(proxy: tuple[int, int]) -> None:
    await until_it_answers(proxy)
    assert "what is sent while wpb is away is lost" in await probe(ZmqSource(f"zmq://127.0.0.1:{proxy[1]}"))
    with pytest.raises(ServiceError, match="the first one is for publishers"):
        await probe(ZmqSource(f"zmq://127.0.0.1:{proxy[0]}"))


async def test_a_server_that_is_no_proxy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq_module, "PROBE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, and says nothing
        with pytest.raises(ServiceError, match="somebody answers"):
            await probe(ZmqSource(f"zmq://127.0.0.1:{server.getsockname()[1]}"))


async def test_each_change_of_the_connection_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="wpb_stream")
    proxy = Proxy()
    proxy.stop()
    source = ZmqSource(f"zmq://127.0.0.1:{proxy.ports[1]}")

    async def until(text: str, times: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while caplog.text.count(text) < times:
                await asyncio.sleep(0.02)

    async def listen() -> None:
        async with source:
            await anext(source.batches({}))

    listening = asyncio.ensure_future(listen())
    try:
        await until("nobody answers", 1)
        for times in (1, 2):
            proxy.start()
            await until(": connected", times)
            proxy.stop()
            await until("is lost", times)
    finally:
        listening.cancel()
        proxy.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING", "INFO", "WARNING"]


async def test_a_proxy_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="wpb_stream")
    monkeypatch.setattr(zmq_module, "HEARTBEAT_MS", 100)
    monkeypatch.setattr(zmq_module, "DEAD_AFTER_MS", 300)
    hung = Proxy()
    source = ZmqSource(f"zmq://127.0.0.1:{hung.ports[1]}")

    async def listen() -> None:
        async with source:
            await anext(source.batches({}))

    listening = asyncio.ensure_future(listen())
    try:
        async with asyncio.timeout(WAIT_S):
            while ": connected" not in caplog.text:
                await asyncio.sleep(0.02)
            hung.hang()
            while "is lost" not in caplog.text:
                await asyncio.sleep(0.02)
    finally:
        listening.cancel()
        hung.stop()


async def test_a_wrong_server_that_is_put_right_is_listened_to_after_all(caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy()
    await until_it_answers(proxy.ports)
    source = ZmqSource(f"zmq://127.0.0.1:{proxy.ports[0]}")
    publishers: list[Publisher] = []

    def publish(name: str, doc: Any) -> None:
        if "somebody answers" in caplog.text and not publishers:
            proxy.stop()
            proxy.ports = proxy.ports[::-1]
            proxy.start()
            publishers.append(Publisher(f"127.0.0.1:{proxy.ports[0]}", serializer=as_json))
        for publisher in publishers:
            publisher(name, doc)

    try:
        batch = await heard(source, publish)
    finally:
        for publisher in publishers:
            publisher.close()
        proxy.stop()
    assert isinstance(parse(batch[0].value), Document)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the keys of a proxy and of a listener."""
    for name in ("proxy", "listener"):
        zmq.auth.create_certificates(tmp_path, name)
    return tmp_path


async def test_a_proxy_with_curve_keys_is_listened_to_by_who_has_the_right_ones(keys: Path) -> None:
    proxy = Proxy(f"ServerCurve(Path({str(keys / 'proxy.key_secret')!r}), None, None)")
    options = {"secret_path": str(keys / "listener.key_secret"), "server_public_key": str(keys / "proxy.key")}
    publisher = Publisher(f"127.0.0.1:{proxy.ports[0]}", serializer=as_json)
    url = f"zmq://127.0.0.1:{proxy.ports[1]}"
    try:
        batch = await heard(ZmqSource(url, options=options), publisher)
        for wrong in (None, {**options, "server_public_key": str(keys / "listener.key")}):
            with pytest.raises(ServiceError, match="CURVE keys, WPB_ZMQ_OPTIONS"):
                await probe(ZmqSource(url, options=wrong))
    finally:
        publisher.close()
        proxy.stop()
    assert isinstance(parse(batch[0].value), Document)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"secret_path": "listener.key_secret"}, "must be secret_path and server_public_key"),
        ({"secret_path": "listener.key_secret", "server_public_key": "proxy.key", "x": "y"}, "must be"),
        ({"secret_path": "listener.key", "server_public_key": "proxy.key"}, "holds no secret key"),
        ({"secret_path": "listener.key_secret", "server_public_key": "none.key"}, "cannot be read: No such file"),
        ({"secret_path": "listener.key_secret", "server_public_key": "junk.key"}, "create_certificates"),
    ],
)
def test_keys_that_cannot_be_used_are_told_with_the_file(keys: Path, options: dict[str, str], told: str) -> None:
    (keys / "junk.key").write_text("junk")
    with pytest.raises(ServiceError, match=f"{told}.*WPB_ZMQ_OPTIONS|{told}.*key_secret"):
        ZmqSource("zmq://host:1", options={name: str(keys / file) for name, file in options.items()})


def test_a_secret_key_is_in_no_message(keys: Path) -> None:
    loaded = CurveKeys.load({"secret_path": str(keys / "listener.key_secret"), "server_public_key": str(keys / "proxy.key")})
    assert loaded is not None
    assert loaded.secret.decode() not in repr(loaded)


async def test_a_port_that_is_taken_is_told() -> None:
    port = free_port("127.0.0.1", 0)
    async with ZmqSource(f"zmq+bind://127.0.0.1:{port}"):
        with pytest.raises(ServiceError, match="cannot be listened to"):
            await ZmqSource(f"zmq+bind://127.0.0.1:{port}").__aenter__()
