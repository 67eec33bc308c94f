"""ZeroMQ: what ``bluesky.callbacks.zmq.Publisher`` sends through Bluesky's proxy.

A message is one frame, ``prefix name payload``, cut at its first two spaces. The payload is the document as the publisher's serializer
wrote it: JSON, msgpack, or, which is its default, pickle. ZeroMQ keeps nothing: what is sent while nobody listens is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Self
from urllib.parse import urlsplit

import msgspec
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from wpb_stream.core.documents import Message
from wpb_stream.core.envelope import encode, is_pickle
from wpb_stream.core.exceptions import ServiceError

log = logging.getLogger(__name__)

MAX_WAITING = 100_000
"""Messages ZeroMQ holds for us while the catalogue is slow; beyond, it drops new ones."""
HEARTBEAT_MS = 5_000
"""How often a silent proxy is asked whether it lives."""
DEAD_AFTER_MS = 15_000
"""How long an answer to that may take before the connection is made anew."""
POLL_MS = 250
"""How long one poll waits for messages before connections are looked after again."""
PROBE_S = 3.0
"""How long ``wpb doctor`` waits for a connection."""
MAX_RECORDS = 1000
"""Messages in one batch at most."""

Unpickle = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class ZmqAddress:
    """Where to listen: ``zmq://host:port[/prefix]``, or ``zmq+bind://address:port`` for publishers that connect to us, without a proxy."""

    host: str
    port: int
    prefix: bytes
    bind: bool

    @classmethod
    def parse(cls, url: str) -> ZmqAddress:
        """The address in a URL.

        :raises ServiceError: the URL has another form
        """
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if parts.scheme not in ("zmq", "zmq+bind") or not host or not port or "/" in parts.path.strip("/") or " " in parts.path:
            raise ServiceError(f"source {url!r} is not of the form zmq://host:5578[/prefix]; check WPB_SOURCES")
        return cls(host, port, parts.path.strip("/").encode(), parts.scheme == "zmq+bind")

    @property
    def endpoint(self) -> str:
        """As ZeroMQ names it."""
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


class ZmqSource:
    """Listens to one proxy. May be entered again after it was left.

    :param unpickle: reads a pickled document; None to refuse them
    :raises ServiceError: the URL is wrong
    """

    def __init__(self, url: str, *, unpickle: Unpickle | None = None) -> None:
        self.address, self.url = ZmqAddress.parse(url), url
        self.identity = url.rstrip("/")
        self._unpickle = unpickle

    async def __aenter__(self) -> Self:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.SUB)
        try:
            self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
            self._socket.setsockopt(zmq.RCVHWM, MAX_WAITING)
            self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
            self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_AFTER_MS)
            self._socket.setsockopt(zmq.SUBSCRIBE, self.address.prefix + b" " if self.address.prefix else b"")
            (self._socket.bind if self.address.bind else self._socket.connect)(self.address.endpoint)
        except zmq.ZMQError as error:
            await self.__aexit__()
            raise ServiceError(f"ZMQ at {self.address.endpoint} cannot be listened to ({error}); check WPB_SOURCES") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.disable_monitor()
        self._context.destroy(linger=0)

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        """Messages as they come, numbered on from the stored position; see :class:`wpb_stream.sources.Source`."""
        partition = self.address.endpoint
        numbers = count(positions.get(partition, 0))
        while True:
            while await self._monitor.poll(0):
                self._tell(await recv_monitor_message(self._monitor))
            if not await self._socket.poll(POLL_MS):
                continue
            batch: list[Message] = []
            while len(batch) < MAX_RECORDS and await self._socket.poll(0):
                frames = await self._socket.recv_multipart()
                batch.append(Message(self.identity, partition, next(numbers), self._envelope(b"".join(frames))))
            yield batch

    async def stored(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: ZeroMQ keeps nothing that could be let go."""

    async def probe(self) -> str:
        """See :meth:`wpb_stream.sources.Source.probe`."""
        if self.address.bind:
            return f"waits for publishers on {self.address.endpoint}; what they send while wpb is away is lost"
        try:
            async with asyncio.timeout(PROBE_S):
                _, writer = await asyncio.open_connection(self.address.host, self.address.port)
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            told = f"nothing listens at {self.address.endpoint} ({error}): start bluesky-0MQ-proxy, and give its second port in WPB_SOURCES"
            raise ServiceError(told) from error
        return f"somebody listens at {self.address.endpoint}; what is published while wpb is away is lost"

    def _tell(self, event: Mapping[str, object]) -> None:
        connected = event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
        log.log(logging.INFO if connected else logging.WARNING, "%s: %s", self.url, "connected" if connected else "connection lost")

    def _envelope(self, frame: bytes) -> bytes:
        """The frame as ``[name, doc]``, or as it is where that cannot be made of it: the core then says what is wrong with it."""
        parts = frame.split(b" ", 2)
        if len(parts) != 3 or not parts[1].replace(b"_", b"").isalpha():
            return frame
        name, payload = parts[1].decode(), parts[2]
        if payload.lstrip()[:1] == b"{":
            return b'["%s",%s]' % (name.encode(), payload)
        if not is_pickle(payload):
            return b"\x92" + msgspec.msgpack.encode(name) + payload
        if self._unpickle is None:
            return msgspec.msgpack.encode([name, payload])
        try:
            return encode(name, self._unpickle(payload))
        except Exception as error:  # it may raise what it likes
            log.warning("a pickled %s document cannot be read (%r)", name, error)
            return frame
