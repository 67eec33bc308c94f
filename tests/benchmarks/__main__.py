"""``make bench``: all benchmarks, one after the other, but for ``soak [RUNS]`` and ``dagster``, which are asked for by name."""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks import bench_dagster, bench_frames, bench_latency, bench_peers, bench_soak

if __name__ == "__main__":  # reader processes load this module too
    if sys.argv[1:2] == ["soak"]:
        asyncio.run(bench_soak.main(*map(int, sys.argv[2:])))
    elif sys.argv[1:2] == ["dagster"]:
        asyncio.run(bench_dagster.main())
    else:
        asyncio.run(bench_frames.main())
        asyncio.run(bench_peers.main())
        print()
        asyncio.run(bench_latency.compare())
