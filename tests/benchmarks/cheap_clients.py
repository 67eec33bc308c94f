"""Clients as cheap as can be: with a thousand of them in one process it is the server that is measured."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

TEXT, BINARY, PING, PONG = 0x81, 0x82, 0x89, 0x8A
"""First byte of a message in one frame."""
_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


class CheapClient:
    """One connection; what is made of messages is for who inherits from it.

    :param port: of the server, on this machine
    """

    def __init__(self, port: int) -> None:
        self._port, self._held = port, b""
        self.socket: socket.socket | None = None

    def connect(self, path: str = "/ws", *headers: str) -> None:
        """Open a websocket.

        :param headers: beyond those of every websocket
        """
        self.socket, self._held = socket.create_connection(("127.0.0.1", self._port)), b""
        self.socket.sendall(_UPGRADE.format(path=path, port=self._port, more="".join(f"{header}\r\n" for header in headers)).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            assert byte, head
            head += byte
        assert head.startswith(b"HTTP/1.1 101"), head

    def subscribe(self, request: dict[str, Any]) -> None:
        """Open a websocket to the feed, and ask it for a run."""
        self.connect("/ws", "Sec-WebSocket-Protocol: wpb.v1")
        self.send(json.dumps({"type": "subscribe", "id": 1, **request}).encode(), TEXT)

    def send(self, payload: bytes, kind: int = BINARY) -> None:
        """Send a message."""
        assert self.socket is not None
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        self.socket.sendall(bytes([kind]) + length + bytes(4) + payload)

    def take(self, message: bytes) -> None:
        """A binary message came."""

    def told(self, message: dict[str, Any]) -> None:
        """A control message came."""

    def read(self) -> None:
        """Take what has come.

        :raises ConnectionError: the server has cut the connection
        """
        assert self.socket is not None
        more = self.socket.recv(2**18)
        if not more:
            raise ConnectionResetError
        data, at = self._held + more, 0
        while len(data) - at >= 10:
            size, begin = data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
            if len(data) < begin + size:
                break
            if data[at] == BINARY:
                self.take(data[begin : begin + size])
            elif data[at] == TEXT:
                self.told(json.loads(data[begin : begin + size]))
            elif data[at] == PING:
                self.send(data[begin : begin + size], PONG)
            at = begin + size
        self._held = data[at:]

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket = None


class Poll:
    """Reads from whichever client has something to read."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._of: dict[int, CheapClient] = {}

    def add(self, client: CheapClient) -> None:
        assert client.socket is not None
        self._of[client.socket.fileno()] = client
        self._epoll.register(client.socket.fileno(), select.EPOLLIN)

    def remove(self, client: CheapClient) -> None:
        """Read from it no more; it may be added again."""
        assert client.socket is not None
        self._epoll.unregister(client.socket.fileno())
        del self._of[client.socket.fileno()]

    def read(self, over: Callable[[], bool]) -> list[CheapClient]:
        """Take what comes, until it is over or a connection has been cut; gives those whose connection was."""
        cut: list[CheapClient] = []
        while not (cut or over()):
            cut = self.sweep(0.05)
        return cut

    def sweep(self, wait_s: float = 0.0) -> list[CheapClient]:
        """Take what is there; gives those whose connection was cut."""
        cut: list[CheapClient] = []
        for number, _ in self._epoll.poll(wait_s):
            try:
                self._of[number].read()
            except ConnectionError:
                cut.append(self._of[number])
        return cut

    def read_for(self, seconds: float) -> None:
        """Take what comes.

        :raises ConnectionResetError: a connection was cut
        """
        until = monotonic() + seconds
        if self.read(lambda: monotonic() >= until):
            raise ConnectionResetError

    def close(self, clients: Sequence[CheapClient]) -> None:
        self._epoll.close()
        for client in clients:
            client.close()
