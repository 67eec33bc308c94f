"""``make bench``: all benchmarks, one after the other."""

from __future__ import annotations

import asyncio

from tests.benchmarks import bench_frames, bench_latency

if __name__ == "__main__":  # reader processes load this module too
    asyncio.run(bench_frames.main())
    print()
    asyncio.run(bench_latency.compare())
