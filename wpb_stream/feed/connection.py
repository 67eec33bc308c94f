"""One client's connection: what is sent on it goes out in turns, and a client that takes nothing is cut off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.protocol import State

from wpb_stream.core.messages import ErrorMessage, Reply, encode_reply
from wpb_stream.feed.sent import Sent

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 5.0
"""A client that takes nothing for this long is cut off; it comes back and resumes. A close frame could not reach it."""
SMALL_BYTES = 32 * 1024
"""A message up to this is handed to the socket of an idle client without waiting until it has been taken."""


class Connection:
    """Sends to one client.

    Several tasks may send at once: each waits for its turn, and a turn ends when the socket has taken all of it. So what waits in the
    server for a client that does not read is one turn, however many subscriptions it holds.
    """

    def __init__(self, socket: ServerConnection, sent: Sent | None = None) -> None:
        self._socket, self._sent = socket, sent or Sent()
        self._turn = asyncio.Lock()
        self._logged = set[str]()
        """Codes of errors: a client that is told the same again and again must not fill the log."""

    async def tell(self, *replies: Reply) -> None:
        """Send control messages. Raises as :meth:`send` does."""
        for reply in replies:
            if isinstance(reply, ErrorMessage):
                self._count(reply)
        await self.send(map(encode_reply, replies))

    def _count(self, error: ErrorMessage) -> None:
        self._sent.errors[error.code] += 1
        if error.code not in self._logged:
            self._logged.add(error.code)
            log.info("client %s is told %s", self._socket.remote_address, error.code)  # not the words, some of which may be its own

    async def send(self, messages: Iterable[str | bytes]) -> None:
        """Send all of the messages; each is asked for only when the socket has taken the one before.

        :param messages: best a generator: whoever waits for its turn then holds no encoded rows meanwhile
        :raises TimeoutError: the client reads nothing; its connection is gone after this
        :raises ConnectionClosed: the client is gone
        """
        async with self._turn:
            for message in messages:
                text = isinstance(message, str)
                data = message.encode() if text else message
                self._sent.bytes += len(data)
                if len(data) <= SMALL_BYTES and self._idle:
                    broadcast((self._socket,), data, text=text)  # nothing to wait for, and a third of the work
                    continue
                # The bound is within the turn: who waits for its turn is not timed out, as its message would be lost.
                try:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self._socket.send(data, text=text)
                except TimeoutError:
                    await self._drained()

    @property
    def _idle(self) -> bool:
        """Whether the client has taken all that was sent to it, and is still there."""
        return self._socket.state is State.OPEN and not self._socket.transport.get_write_buffer_size()

    async def _drained(self) -> None:
        """Wait while the client takes what is buffered for it, however slowly; cut it off when it takes nothing."""
        left = self._socket.transport.get_write_buffer_size()
        while left:
            await asyncio.sleep(SEND_TIMEOUT_S)
            before, left = left, self._socket.transport.get_write_buffer_size()
            if left >= before:
                self._socket.transport.abort()
                raise TimeoutError
