"""A client's connection, from the moment it is there: its seat is counted before it has said anything, TLS included."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_USER_TIMEOUT
from ssl import SSLContext
from typing import Any, cast

from websockets.asyncio.server import ServerConnection

from wpb_stream.core.access import Grant
from wpb_stream.feed.limits import Seats
from wpb_stream.feed.sent import Sent

TLS_TIMEOUT_S = 10.0
"""From a connection to the end of its TLS handshake."""
SILENCE_MS = 10_000
"""A client whose machine does not answer for this long is gone; half of it after it was last heard of, it is asked."""


class Socket(ServerConnection):
    """A client's connection, which knows what it was let in for.

    TLS is begun here and not by the listening socket, which would tell of a client only once it has ended the handshake: one that never
    does would cost a file handle and take no seat.

    :param seats: where it takes one
    :param sent: where it is counted if it is cut off
    :param tls: to serve TLS
    """

    grant: Grant | None = None
    """None while no token was shown that is needed."""

    def __init__(self, seats: Seats, sent: Sent, tls: SSLContext | None, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seats, self._sent, self._tls = seats, sent, tls
        self._waits, self._seated, self._made = False, False, False
        self._early = b""
        """What came with the end of the TLS handshake."""
        self._from = "gone"

    @property
    def address(self) -> str:
        """Where it comes from, without the port."""
        return self._from

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected, and has said nothing yet."""
        self._from = str((transport.get_extra_info("peername") or (self._from,))[0])  # it may be gone before it is asked for
        self._waits = self._seats.arrive(self._from)
        if not self._waits:
            self._sent.refused["cut"] += 1
            cast(asyncio.Transport, transport).abort()
            return
        # A pulled cable: the kernel gives up what is not acknowledged, instead of trying for a quarter of an hour; and asks now and then
        # where nothing is sent. Pings of websockets, which wait behind what is buffered, would take 40 s.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        for option in (TCP_KEEPIDLE, TCP_KEEPINTVL):
            connection.setsockopt(IPPROTO_TCP, option, SILENCE_MS // 2000)
        connection.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_MS)
        if self._tls is None:
            self._begin(transport)
        else:
            self._securing = self.loop.create_task(self._secure(cast(asyncio.Transport, transport), self._tls))  # its end is that of this

    async def _secure(self, transport: asyncio.Transport, tls: SSLContext) -> None:
        try:
            secure = await self.loop.start_tls(transport, self, tls, server_side=True, ssl_handshake_timeout=TLS_TIMEOUT_S)
            if secure is None or secure.is_closing():
                raise ConnectionAbortedError("it went away")
        except OSError as error:  # SSLError, and what a client that goes or stalls ends with, are among them
            self._sent.refused["tls"] += 1
            self.logger.info("client %s did not end its TLS handshake: %s", self._from, str(error) or "it went away")
            self._leave()
            return
        self._begin(secure)
        if self._early:
            super().data_received(self._early)

    def _begin(self, transport: asyncio.BaseTransport) -> None:
        self._made = True
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """The client said something."""
        if self._made:
            super().data_received(data)
        else:
            self._early += data

    def eof_received(self) -> None:
        """The client will say no more."""
        if self._made:
            super().eof_received()

    def take_seat(self) -> tuple[HTTPStatus, str] | None:
        """Sit down; else the status and the sentence that refuse it."""
        refusal = self._seats.refusal(self._from)
        if refusal is None:
            self._seats.take(self._from)
            self._seated = True
        return refusal

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whether it was ever opened or not."""
        if self._made:
            super().connection_lost(exc)
        self._leave()

    def _leave(self) -> None:
        if self._waits:
            self._waits = False
            self._seats.leave(self._from, seated=self._seated)
