"""Many clients that watch one scan: the feed beside the bare ``websockets`` library that sends the same bytes.

``python -m tests.benchmarks clients [SECONDS]`` from the root of the repository. The server has a process of its own; the clients share
this one, and do no more than find where a message ends and when its newest row was made. Both servers use at most one core.
"""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import numpy as np
import psutil

from tests.benchmarks.cheap_clients import CheapClient, Poll

CLIENTS = (1, 100, 1000)
UPDATES_A_S = 20.0
WARM_S = 3.0
"""From the last client's first row to when counting begins."""
PROMISED = 0.9
WAYS = ("bare", "wpb")


class Client(CheapClient):
    """Notes how late each message is.

    :param latencies: of the messages of all clients, seconds from when their newest row was made
    """

    def __init__(self, port: int, latencies: list[float]) -> None:
        super().__init__(port)
        self._latencies = latencies
        self.messages = 0
        self.subscribe({"run": "latest", "max_rate": UPDATES_A_S})

    def take(self, message: bytes) -> None:
        self.messages += 1
        # The last number of a slice is the last value of its newest row, and that is the time.
        self._latencies.append(monotonic() - struct.unpack_from("<d", message, len(message) - 8)[0])


@contextmanager
def server(way: str, *options: float | str) -> Iterator[tuple[psutil.Process, int]]:
    """A server process of its own, and its port."""
    with started(way, *options) as process:
        assert process.stdout is not None
        yield psutil.Process(process.pid), int(process.stdout.readline())


@contextmanager
def started(way: str, *options: float | str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own, killed in the end."""
    command = [sys.executable, "-m", "tests.benchmarks.clients_server", way, str(UPDATES_A_S), *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
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


def measure(way: str, count: int, seconds: float, *options: str) -> Figures:
    """Let that many clients watch.

    :param options: of the server process
    """
    latencies: list[float] = []
    with server(way, *options) as (process, port):
        before = process.memory_info().rss
        poll, clients = Poll(), list[Client]()
        for _ in range(count):
            clients.append(Client(port, latencies))
            poll.add(clients[-1])
            poll.sweep()
        poll.read(lambda: all(client.messages for client in clients))
        poll.read_for(WARM_S)
        latencies.clear()
        used, began = sum(process.cpu_times()[:2]), monotonic()
        poll.read_for(seconds)
        took = monotonic() - began
        cpu = (sum(process.cpu_times()[:2]) - used) / took
        memory = (process.memory_info().rss - before) / count / 1024
        poll.close(clients)
    median, late = 1000 * np.percentile(latencies, [50, 99])
    return Figures(len(latencies) / took, float(median), float(late), cpu, memory)


def many_files() -> None:
    """Have as many connections as there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 65_536)), hard))


def told(way: str, clients: int, each: Figures) -> str:
    """The figures in a line."""
    rates = f"{each.messages_a_s:8.0f} messages/s   median {each.median_ms:6.1f} ms   99th {each.late_ms:7.1f} ms"
    costs = f"CPU {100 * each.cpu:4.0f} %, {1e6 * each.cpu / each.messages_a_s:5.0f} µs a message"
    return f"  {clients:5d} clients  {way:7s} {rates}   {costs}   {each.kib_a_client:6.0f} KiB a client"


def compare(seconds: float = 10.0) -> None:
    """Print the figures of both ways, for each number of clients."""
    many_files()
    print(f"Clients that watch one scan at {UPDATES_A_S:g} updates a second, for {seconds:g} s; one server process, {os.cpu_count()} cores")
    for clients in CLIENTS:
        found = {way: measure(way, clients, seconds) for way in WAYS}
        for way, each in found.items():
            print(told(way, clients, each))
        bare, ours = found.values()
        print(f"        throughput x{ours.messages_a_s / bare.messages_a_s:.2f} of the bare library's, to be at least {PROMISED:g}")


if __name__ == "__main__":
    compare(*map(float, sys.argv[1:]))
