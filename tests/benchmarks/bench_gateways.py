"""Many clients that watch one scan at a gateway, beside as many at the streaming process itself.

``python -m tests.benchmarks gateways [SECONDS]`` from the root of the repository. A broker, a process that publishes the scan, and a
gateway, each for itself; the clients share this process, as for ``clients``.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import psutil

from tests.benchmarks.bench_clients import UPDATES_A_S, many_files, measure, started, told
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.host import free_port
from wpb_stream.supervisor import Supervisor

CLIENTS = (1, 100, 500, 1000)


async def main(seconds: float = 10.0) -> None:
    """Print the figures of both ways, for each number of clients."""
    many_files()
    print(f"Clients that watch one scan at {UPDATES_A_S:g} updates a second, for {seconds:g} s; {os.cpu_count()} cores for all processes")
    with tempfile.TemporaryDirectory() as folder:
        broker = EmbeddedBroker(Path(folder), free_port("127.0.0.1", 0))
        async with Supervisor() as supervisor:
            await supervisor.start(broker.service())
            for clients in CLIENTS:
                await create_topic(broker.address, f"board-{clients}")
                await asyncio.to_thread(_beside_each_other, clients, seconds, f"kafka://{broker.address}/board-{clients}")


def _beside_each_other(clients: int, seconds: float, url: str) -> None:
    print(told("wpb", clients, measure("wpb", clients, seconds)))
    with started("published", url) as publishing:
        used = psutil.Process(publishing.pid)
        used.cpu_percent()
        print(told("gateway", clients, measure("gateway", clients, seconds, url)))
        print(f"        the process that publishes: CPU {used.cpu_percent():.0f} %")
