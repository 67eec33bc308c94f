"""Many clients that watch one scan: the feed beside the bare ``websockets`` library that sends the same bytes.

``python -m tests.benchmarks clients [SECONDS]`` from the root of the repository. The server has a process of its own; the clients share
this one, and do no more than find where a message ends and when its newest row was made. Both servers use at most one core.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import numpy as np
import psutil

CLIENTS = (1, 100, 1000)
UPDATES_A_S = 20.0
WARM_S = 3.0
"""From the last client's first row to when counting begins."""
PROMISED = 0.9
WAYS = ("bare", "wpb")
TEXT, BINARY, PING, PONG = 0x81, 0x82, 0x89, 0x8A
"""First byte of a message in one frame."""
_UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wpb.v1\r\n\r\n"
)


class Client:
    """A client as cheap as can be: with a thousand of them in one process it is the server that is measured.

    :param port: of the server, on this machine
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self._held = b""
        self.messages = 0
        """With rows in them."""
        self.latency_s = 0.0
        """From when the newest row of the last message was made to when it was read here."""
        self.socket.sendall(_UPGRADE.format(port=port).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        self.socket.sendall(_masked(json.dumps({"type": "subscribe", "id": 1, "run": "latest", "max_rate": UPDATES_A_S}).encode()))

    def read(self) -> None:
        """Take what has come."""
        data = self._held + self.socket.recv(2**18)
        at = 0
        while len(data) - at >= 10:
            size, begin = data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
            if len(data) < begin + size:
                break
            if data[at] == BINARY:
                self.messages += 1
                # The last number of a slice is the last value of its newest row.
                self.latency_s = monotonic() - struct.unpack_from("<d", data, begin + size - 8)[0]
            elif data[at] == PING:
                self.socket.sendall(_masked(data[begin : begin + size], PONG))
            at = begin + size
        self._held = data[at:]


class Clients:
    """All of them.

    :param count: how many
    """

    def __init__(self, port: int, count: int) -> None:
        self.all = [Client(port) for _ in range(count)]
        self._of = {client.socket.fileno(): client for client in self.all}
        self._poll = select.epoll()
        for number in self._of:
            self._poll.register(number, select.EPOLLIN)

    def read_until(self, over: Callable[[], bool]) -> list[float]:
        """Take what comes; the latencies of what came."""
        latencies: list[float] = []
        while not over():
            for number, _ in self._poll.poll(0.05):
                client = self._of[number]
                before = client.messages
                client.read()
                if client.messages > before:
                    latencies.append(client.latency_s)
        return latencies

    @property
    def messages(self) -> int:
        """That all of them have had."""
        return sum(client.messages for client in self.all)

    def close(self) -> None:
        self._poll.close()
        for client in self.all:
            client.socket.close()


def _masked(payload: bytes, kind: int = TEXT) -> bytes:
    """A frame of a client."""
    assert len(payload) < 126
    return bytes([kind, 0x80 | len(payload), 0, 0, 0, 0]) + payload


@contextmanager
def server(way: str) -> Iterator[tuple[psutil.Process, int]]:
    """A server process of its own, and its port."""
    command = [sys.executable, "-m", "tests.benchmarks.clients_server", way, str(UPDATES_A_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield psutil.Process(process.pid), int(process.stdout.readline())
        finally:
            process.kill()


@dataclass(frozen=True)
class Figures:
    """Of one way with so many clients."""

    messages_a_s: float
    median_ms: float
    late_ms: float
    cpu: float
    """Of one core."""
    kib_a_client: float


def measure(way: str, count: int, seconds: float) -> Figures:
    """Let that many clients watch."""
    with server(way) as (process, port):
        before = process.memory_info().rss
        clients = Clients(port, count)
        clients.read_until(lambda: all(client.messages for client in clients.all))
        _pass(clients, WARM_S)
        used, had, began = sum(process.cpu_times()[:2]), clients.messages, monotonic()
        latencies = _pass(clients, seconds)
        took = monotonic() - began
        messages_a_s = (clients.messages - had) / took
        cpu = (sum(process.cpu_times()[:2]) - used) / took
        memory = (process.memory_info().rss - before) / count / 1024
        clients.close()
    median, late = 1000 * np.percentile(latencies, [50, 99])
    return Figures(messages_a_s, float(median), float(late), cpu, memory)


def _pass(clients: Clients, seconds: float) -> list[float]:
    until = monotonic() + seconds
    return clients.read_until(lambda: monotonic() >= until)


def compare(seconds: float = 10.0) -> None:
    """Print the figures of both ways, for each number of clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 65_536)), hard))
    print(f"Clients that watch one scan at {UPDATES_A_S:g} updates a second, for {seconds:g} s; one server process, {os.cpu_count()} cores")
    for clients in CLIENTS:
        found = {way: measure(way, clients, seconds) for way in WAYS}
        for way, each in found.items():
            rates = f"{each.messages_a_s:8.0f} messages/s   median {each.median_ms:6.1f} ms   99th {each.late_ms:7.1f} ms"
            costs = f"CPU {100 * each.cpu:4.0f} %, {1e6 * each.cpu / each.messages_a_s:5.0f} µs a message"
            print(f"  {clients:5d} clients  {way:5s} {rates}   {costs}   {each.kib_a_client:6.0f} KiB a client")
        bare, ours = found.values()
        print(f"        throughput x{ours.messages_a_s / bare.messages_a_s:.2f} of the bare library's, to be at least {PROMISED:g}")


if __name__ == "__main__":
    compare(*map(float, sys.argv[1:]))
