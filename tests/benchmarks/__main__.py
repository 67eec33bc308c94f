"""``make bench``: all benchmarks in turn, but for those that are asked for by name.

They are ``soak``, ``dagster``, ``reprocess``, ``clients``, ``clients-soak`` and ``gateways``.
"""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks import (
    bench_clients,
    bench_clients_soak,
    bench_dagster,
    bench_frames,
    bench_gateways,
    bench_latency,
    bench_peers,
    bench_reprocess,
    bench_soak,
)

if __name__ == "__main__":  # reader processes load this module too
    if sys.argv[1:2] == ["soak"]:
        asyncio.run(bench_soak.main(*map(int, sys.argv[2:])))
    elif sys.argv[1:2] == ["dagster"]:
        asyncio.run(bench_dagster.main())
    elif sys.argv[1:2] == ["reprocess"]:
        bench_reprocess.main(*map(int, sys.argv[2:]))
    elif sys.argv[1:2] == ["clients"]:
        bench_clients.compare(*map(float, sys.argv[2:]))
    elif sys.argv[1:2] == ["clients-soak"]:
        bench_clients_soak.soak(*map(int, sys.argv[2:]))
    elif sys.argv[1:2] == ["gateways"]:
        asyncio.run(bench_gateways.main(*map(float, sys.argv[2:])))
    else:
        asyncio.run(bench_frames.main())
        asyncio.run(bench_peers.main())
        print()
        asyncio.run(bench_latency.compare())
