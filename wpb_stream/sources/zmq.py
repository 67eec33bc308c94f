"""ZeroMQ: what ``bluesky.callbacks.zmq.Publisher`` sends through Bluesky's proxy.

A message is one frame, ``prefix name payload``, cut at its first two spaces. The payload is the document as the publisher's serializer
wrote it: JSON, msgpack, or, which is its default, pickle. ZeroMQ keeps nothing: what is sent while nobody listens is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Self

import msgspec
import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from wpb_stream.core.documents import MAX_BYTES, Message
from wpb_stream.core.envelope import encode, is_pickle
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.zmq_settings import CurveKeys, ZmqAddress

log = logging.getLogger(__name__)

MAX_WAITING = 100_000
"""Messages ZeroMQ holds for us while the catalogue is slow; beyond, it drops new ones."""
MAX_MESSAGE_BYTES = 4 * MAX_BYTES
"""A larger message is not taken into memory at all: ZeroMQ ends the connection, which is then made anew."""
HEARTBEAT_MS = 5_000
"""How often a silent proxy is asked whether it lives."""
DEAD_AFTER_MS = 15_000
"""How long an answer to that may take before the connection is made anew."""
CONNECT_TIMEOUT_MS = 5_000
"""How long one attempt to connect may take; a computer that is switched off does not even refuse."""
LONGEST_WAIT_MS = 5_000
"""Between two attempts; the first ones follow each other faster."""
POLL_MS = 250
"""How long one poll waits for messages before connections are looked after again."""
GIVEN_UP_S = 1.0
"""How long after the end of a connection ZeroMQ has to have begun another: after a fault of the other side it never does."""
PROBE_S = 3.0
"""How long ``wpb doctor`` waits for a connection."""
MAX_RECORDS = 1000
"""Messages in one batch at most."""

_STRANGER = (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_AUTH)
_EVENTS = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | sum(_STRANGER)

Unpickle = Callable[[bytes], object]


class ZmqSource:
    """Listens to one proxy. May be entered again after it was left.

    :param unpickle: reads a pickled document; None to refuse them
    :param options: see :data:`wpb_stream.sources.zmq_settings.OPTIONS`
    :raises ServiceError: the URL or an option is wrong
    """

    def __init__(self, url: str, *, unpickle: Unpickle | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.address, self.url = ZmqAddress.parse(url), url
        self.identity = url.rstrip("/")
        self._unpickle = unpickle
        self._keys = None if self.address.bind else CurveKeys.load(options or {})
        self._next = 0
        self._state = ""
        self._ended_at: float | None = None

    async def __aenter__(self) -> Self:
        self._state, self._ended_at = "", None
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        try:
            self._prepare(self._socket)
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
        # Ours is ahead of what is stored where messages of an earlier connection are on their way still.
        self._next = max(self._next, positions.get(partition, 0))
        while True:
            while await self._monitor.poll(0):
                self._tell((await recv_monitor_message(self._monitor))["event"])
            if not await self._socket.poll(POLL_MS):
                self._connect_if_given_up()
                continue
            batch: list[Message] = []
            while len(batch) < MAX_RECORDS and await self._socket.poll(0):
                frames = await self._socket.recv_multipart()
                batch.append(Message(self.identity, partition, self._next, self._envelope(b" ".join(frames))))
                self._next += 1
            yield batch

    async def stored(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: ZeroMQ keeps nothing that could be let go."""

    async def probe(self) -> str:
        """See :meth:`wpb_stream.sources.Source.probe`."""
        if self.address.bind:
            return f"waits for publishers on {self.address.endpoint}; what they send while wpb is away is lost"
        with suppress(TimeoutError):
            async with asyncio.timeout(PROBE_S):
                while self._state not in ("connected", "stranger", "away"):
                    self._tell((await recv_monitor_message(self._monitor))["event"])
        if self._state == "connected":
            return f"a ZMQ publisher answers at {self.address.endpoint}; what is sent while wpb is away is lost"
        raise ServiceError(self._trouble())

    def _prepare(self, socket: zmq.asyncio.Socket) -> None:
        socket.setsockopt(zmq.RCVHWM, MAX_WAITING)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_AFTER_MS)
        socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, LONGEST_WAIT_MS)
        socket.setsockopt(zmq.IPV6, self.address.is_ipv6)
        socket.setsockopt(zmq.SUBSCRIBE, self.address.prefix + b" " if self.address.prefix else b"")
        if self._keys is not None:
            self._keys.apply(socket)

    def _connect_if_given_up(self) -> None:
        if not self.address.bind and self._ended_at is not None and monotonic() - self._ended_at > GIVEN_UP_S:
            self._ended_at = None
            with suppress(zmq.ZMQError):
                self._socket.disconnect(self.address.endpoint)
            self._socket.connect(self.address.endpoint)

    def _tell(self, event: int) -> None:
        """Say what became of the connection, once for each change of it."""
        before = self._state
        self._ended_at = monotonic() if event in (zmq.EVENT_DISCONNECTED, *_STRANGER) else None
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._state = "connected"
        elif event == zmq.EVENT_CONNECTED and before != "connected":
            self._state = before or "greeted"
        elif event == zmq.EVENT_CONNECT_RETRIED and before in ("", "greeted"):
            self._state = "away"
        elif event == zmq.EVENT_DISCONNECTED and before == "connected":
            self._state = "lost"
        elif event in (zmq.EVENT_DISCONNECTED, *_STRANGER):
            self._state = "stranger"
        if self.address.bind and event in (zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED):
            log.info("%s: a publisher %s", self.url, "connected" if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else "went away")
        elif self._state != before and self._state == "connected":
            log.info("%s: connected", self.url)
        elif self._state != before and self._state != "greeted":
            log.warning("%s: %s", self.url, self._trouble())

    def _trouble(self) -> str:
        """What is wrong with the connection, and what to do."""
        endpoint = self.address.endpoint
        if self._state == "lost":
            return f"the connection to {endpoint} is lost; what is sent until it is back will be missing"
        if self._state in ("stranger", "greeted"):
            return (
                f"somebody answers at {endpoint}, but not as the second port of bluesky-0MQ-proxy does: check the port in WPB_SOURCES (the"
                " first one is for publishers), and, if the proxy has CURVE keys, WPB_ZMQ_OPTIONS"
            )
        return f"nobody answers at {endpoint}: start bluesky-0MQ-proxy there, and give its second port in WPB_SOURCES"

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
