"""``make bench``: what takes minutes; the rest is asked for by name, as in ``make bench ARGS=soak``, some with numbers after it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmarks import (
    bench_clients,
    bench_clients_soak,
    bench_dagster,
    bench_feeds,
    bench_frames,
    bench_gateways,
    bench_latency,
    bench_peers,
    bench_reprocess,
    bench_soak,
    bench_viewer,
)

BY_NAME: dict[str, Callable[..., Any]] = {
    "soak": lambda *runs: asyncio.run(bench_soak.main(*map(int, runs))),
    "dagster": lambda: asyncio.run(bench_dagster.main()),
    "reprocess": lambda *runs: bench_reprocess.main(*map(int, runs)),
    "clients": lambda *seconds: bench_clients.compare(*map(float, seconds)),
    "clients-soak": lambda *sizes: bench_clients_soak.soak(*map(int, sizes)),
    "feeds": bench_feeds.compare,
    "viewer": lambda *seconds: asyncio.run(bench_viewer.main(*map(float, seconds))),
    "gateways": lambda *seconds: asyncio.run(bench_gateways.main(*map(float, seconds))),
}


def main(*asked: str) -> None:
    """Run one of them by its name, or those that run by default."""
    if asked:
        return BY_NAME[asked[0]](*asked[1:])
    asyncio.run(bench_frames.main())
    asyncio.run(bench_peers.main())
    print()
    asyncio.run(bench_latency.compare())


if __name__ == "__main__":  # reader processes load this module too
    main(*sys.argv[1:])
