"""Many clients of one run, as cheap as can be, in a process of their own: it is the server that is measured."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from typing import Any

import numpy as np

from tests.benchmarks.bench_clients_soak import Watcher
from tests.benchmarks.cheap_clients import Poll


class MapWatcher(Watcher):
    """Holds the map of one channel of a run, to the last bit."""

    def __init__(self, port: int, uid: str, points: int) -> None:
        super().__init__(port, points)
        self.map = np.full(points, np.nan)
        self._run = uid

    def told(self, message: dict[str, Any]) -> None:
        if message["type"] != "notice":
            super().told(message)


def _watch(port: int, uid: str, points: int, count: int) -> tuple[set[str], int]:
    watchers, poll, cut_off = [MapWatcher(port, uid, points) for _ in range(count)], Poll(), 0
    for watcher in watchers:
        watcher.come()
        poll.add(watcher)
    while not all(watcher.stopped for watcher in watchers):
        for cut in poll.sweep(0.05):
            assert isinstance(cut, MapWatcher)
            cut_off += 1
            poll.remove(cut)
            cut.close()
            cut.come()
            poll.add(cut)
    poll.close(watchers)
    return {fingerprint(watcher.map) for watcher in watchers}, cut_off


def fingerprint(values: np.ndarray[Any, Any]) -> str:
    """Of a map, to the last bit."""
    return sha256(values.tobytes()).hexdigest()


async def watched(port: int, uid: str, points: int, count: int) -> tuple[set[str], int]:
    """Watch a run that has begun to its end, by so many clients; those that are cut off come back.

    :returns: the fingerprints of their maps, and how often one was cut off
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return await asyncio.get_running_loop().run_in_executor(process, _watch, port, uid, points, count)
