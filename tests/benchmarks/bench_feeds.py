"""The feed beside Davidia and Tiled's streaming, on the same map: many clients, one that stalls, and one that comes late.

``python -m tests.benchmarks feeds`` from the root of the repository, after ``make peers``. Each server has a process of its own, and so has
what fills the map; the clients share this one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from time import monotonic, sleep

import msgspec
import numpy as np
import psutil

from tests.benchmarks.bench_clients import UPDATES_A_S, server
from tests.benchmarks.cheap_clients import CheapClient, Poll
from tests.benchmarks.clients_server import ROWS
from tests.benchmarks.peer_producers import API_KEY
from wpb_stream.core.binary import PointsHeader, decode_binary
from wpb_stream.host import free_port

CLIENTS = (1, 8, 100)
SECONDS = 8.0
WARM_S = 3.0
STALL_S = 12.0
FOR_EVER = 10**6
LATE = 1200
"""Updates before somebody comes late."""
_DAVIDIA = (
    "import sys, uvicorn; from davidia.main import _create_bare_app as app; uvicorn.run(app(), port=int(sys.argv[1]), log_level='error')"
)


class Client(CheapClient):
    """Of whichever server; notes how late each message is and how large."""

    def __init__(self, port: int, latencies: list[float]) -> None:
        super().__init__(port)
        self.latencies, self.messages, self.bytes = latencies, 0, 0

    def take(self, message: bytes) -> None:
        made_at = self.made_at(message)
        if made_at is not None:
            self.messages += 1
            self.bytes += len(message)
            self.latencies.append(monotonic() - made_at)

    def come(self) -> None:
        """Connect, and ask for the map."""
        self.subscribe({"run": "latest", "max_rate": UPDATES_A_S})

    def made_at(self, message: bytes) -> float | None:
        """When the newest point in it was made; None if it is no update."""
        return float(np.frombuffer(message[-8:], "<f8")[0])


class DavidiaClient(Client):
    """As Davidia's page does it."""

    def come(self) -> None:
        self.connect(f"/plot/{id(self)}/map")
        self.send(msgspec.msgpack.encode({"status": "ready"}))

    def made_at(self, message: bytes) -> float | None:
        values = msgspec.msgpack.decode(message).get("imData", {}).get("values")
        return None if values is None else float(np.frombuffer(values["data"][-8:], values["dtype"])[0])


class TiledClient(Client):
    """As Tiled's Python client does it."""

    def come(self, start: int | None = None) -> None:
        since = "" if start is None else f"&start={start}"
        self.connect(f"/api/v1/stream/single/map?envelope_format=msgpack{since}", f"Authorization: Apikey {API_KEY}")

    def made_at(self, message: bytes) -> float | None:
        payload = msgspec.msgpack.decode(message).get("payload")
        return None if payload is None else float(np.frombuffer(payload[-8:], "<f8")[0])


@dataclass(frozen=True)
class Peer:
    """A server, and who fills its map."""

    process: psutil.Process
    port: int
    fill: Callable[[], bytes]
    """Begin; where there is an end to it, waits for that."""


@contextmanager
def wpb() -> Iterator[Peer]:
    with server("wpb") as (process, port):
        yield Peer(process, port, lambda: b"")


@contextmanager
def peer(name: str, per_s: float = UPDATES_A_S, updates: int = FOR_EVER) -> Iterator[Peer]:
    """Davidia, or Tiled with its cache in memory; the map is filled once :attr:`Peer.fill` has been called."""
    port = free_port("127.0.0.1", 0)
    commands = {
        "davidia": [sys.executable, "-c", _DAVIDIA, str(port)],
        "tiled": [sys.executable, "-m", "tiled", "serve", "catalog", "--temp", "--api-key", API_KEY, "--port", str(port)],
    }
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {**os.environ, "TILED_STREAMING_CACHE_URI": "memory", "TMPDIR": folder}
        quiet = subprocess.DEVNULL
        process = stack.enter_context(subprocess.Popen(commands[name], env=environment, stdout=quiet, stderr=quiet))
        stack.callback(process.kill)
        _until_listening(port)
        producer = [sys.executable, "-m", "tests.benchmarks.peer_producers", name, str(port), str(per_s), str(updates)]
        filling = stack.enter_context(subprocess.Popen(producer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet))
        stack.callback(filling.kill)
        to, back = filling.stdin, filling.stdout
        assert to is not None
        assert back is not None
        assert back.readline() == b"ready\n", f"{name} cannot be filled"

        def fill() -> bytes:
            to.write(b"go\n")
            to.flush()
            return back.readline() if updates < FOR_EVER else b""

        yield Peer(psutil.Process(process.pid), port, fill)


def _until_listening(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            sleep(0.1)
        else:
            return
    raise TimeoutError(f"nobody listens on port {port}")


WAYS: dict[str, tuple[Callable[[], AbstractContextManager[Peer]], type[Client]]] = {
    "wpb": (wpb, Client),
    "Davidia": (lambda: peer("davidia"), DavidiaClient),
    "Tiled": (lambda: peer("tiled"), TiledClient),
}


def watched(way: str, count: int) -> None:
    """Print what so many clients get."""
    begin, client = WAYS[way]
    latencies: list[float] = []
    with begin() as there:
        poll, clients = Poll(), list[Client]()
        for _ in range(count):
            clients.append(client(there.port, latencies))
            clients[-1].come()
            poll.add(clients[-1])
            poll.sweep()
        there.fill()
        poll.read_for(WARM_S)
        latencies.clear()
        sent, used, began = sum(each.bytes for each in clients), sum(there.process.cpu_times()[:2]), monotonic()
        poll.read_for(SECONDS)
        took = monotonic() - began
        cpu = (sum(there.process.cpu_times()[:2]) - used) / took
        size = (sum(each.bytes for each in clients) - sent) / max(1, len(latencies))
        poll.close(clients)
    median, late = 1000 * np.percentile(latencies or [np.nan], [50, 99])
    told = (
        f"{len(latencies) / took / count:5.1f} updates/s each   median {median:7.1f} ms   99th {late:8.1f} ms   {size:6.0f} bytes an update"
    )
    print(f"  {count:4d} clients  {way:8s} {told}   CPU {100 * cpu:4.0f} %", flush=True)


def stalled(way: str) -> None:
    """Print what seven clients get while an eighth takes nothing."""
    begin, client = WAYS[way]
    latencies: list[float] = []
    with begin() as there:
        poll, clients = Poll(), [client(there.port, latencies) for _ in range(8)]
        for each in clients:
            each.come()
            poll.add(each)
        there.fill()
        poll.read_for(WARM_S)
        poll.remove(clients[0])
        poll.read_for(STALL_S / 2)
        latencies.clear()
        poll.read_for(STALL_S / 2)
        poll.close(clients)
    print(f"  one of 8 stalls  {way:8s} {len(latencies) / 7 / (STALL_S / 2):5.1f} updates/s for each of the others", flush=True)


def late_at_tiled() -> None:
    """Print what somebody gets of Tiled who comes after many updates, and asks for all."""
    with peer("tiled", per_s=0, updates=LATE) as there:
        assert there.fill() == b"done\n"
        late = TiledClient(there.port, [])
        late.come(start=1)
        poll = Poll()
        poll.add(late)
        poll.read_for(5.0)
        poll.close([late])
    print(f"  late             Tiled    {late.messages} of {LATE} updates, and nothing tells of the others", flush=True)


def late_at_wpb() -> None:
    """Print what somebody gets of ours who comes after as many."""
    with server("wpb") as (_, port):
        sleep(LATE / UPDATES_A_S)
        rows = _RowsOf(port, [])
        rows.come()
        poll = Poll()
        poll.add(rows)
        poll.read(lambda: rows.messages > 0)
        poll.close([rows])
    print(f"  late             wpb      all {rows.rows // ROWS} of {LATE} updates or a few more, in {rows.messages} message", flush=True)


class _RowsOf(Client):
    rows = 0

    def take(self, message: bytes) -> None:
        super().take(message)
        header, _ = decode_binary(message)
        assert isinstance(header, PointsHeader)
        assert header.first_row == self.rows
        self.rows += header.rows


def compare() -> None:
    """Print all of it."""
    if find_spec("tiled") is None or find_spec("davidia") is None:
        sys.exit("Tiled and Davidia are not here: run `make peers` first.")
    print(f"A map of 100 x 100 filled by {UPDATES_A_S:g} updates a second, {os.cpu_count()} cores")
    for count in CLIENTS:
        for way in WAYS:
            watched(way, count)
    for way in WAYS:
        stalled(way)
    late_at_tiled()
    late_at_wpb()
