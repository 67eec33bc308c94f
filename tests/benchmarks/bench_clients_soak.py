"""A thousand clients for ten minutes, some of which stall, drop and come back: in the end every one of them has the batch map.

``python -m tests.benchmarks clients-soak [CLIENTS] [MINUTES]`` from the root of the repository. It ends with an error if a row is missing,
double or out of order at any client, or if any map differs.
"""

from __future__ import annotations

import random
from collections import Counter
from time import monotonic
from typing import Any

import numpy as np
import psutil

from tests.benchmarks.bench_clients import UPDATES_A_S, many_files, server
from tests.benchmarks.cheap_clients import CheapClient, Poll
from tests.benchmarks.clients_server import ROWS, value_of
from wpb_stream.core.binary import PointsHeader, decode_binary

MISBEHAVING = 0.05
"""Part of the clients that are stalled or away, most of the time."""
AWAY_S = (0.5, 15.0)
"""How long one of them is."""
LOOK_S = 30.0
"""Between two lines about memory."""


class Watcher(CheapClient):
    """Holds the map, and objects to every row it was not owed.

    :param points: of the scan
    """

    def __init__(self, port: int, points: int) -> None:
        super().__init__(port)
        self.map = np.zeros(points, np.uint16)
        self.rows = 0
        self.stopped = self.stalled = False
        self._revision: str | None = None
        self._run = "latest"

    def come(self) -> None:
        """For the first time, or with what is held."""
        held = {"revision": self._revision, "from_row": self.rows} if self._revision else {}
        self.subscribe({"run": self._run, "max_rate": UPDATES_A_S, **held})

    def told(self, message: dict[str, Any]) -> None:
        if message["type"] == "run":
            assert message["from_row"] == self.rows, f"rows begin at {message['from_row']}, {self.rows} are held"
            self._run, self._revision = message["run"]["uid"], message["revision"]
        elif message["type"] == "run_stopped":
            assert message["rows"] == self.rows, f"it ended before all its rows were told: {self.rows}"
            self.stopped = True
        else:
            assert message["type"] == "welcome", message

    def take(self, message: bytes) -> None:
        header, columns = decode_binary(message)
        assert isinstance(header, PointsHeader)
        assert header.first_row == self.rows, f"row {header.first_row} came, {self.rows} was owed"
        self.map[columns["cell"]] = columns["total"]
        self.rows += header.rows


def soak(count: int = 1000, minutes: float = 10.0) -> None:
    """Print memory as time goes by, and at the end what had happened."""
    many_files()
    updates = int(minutes * 60 * UPDATES_A_S)
    points, chance = updates * ROWS, random.Random(1)
    happened = Counter[str]()
    with server("wpb", updates) as (process, port):
        watchers, poll = [Watcher(port, points) for _ in range(count)], Poll()
        for watcher in watchers:
            watcher.come()
            poll.add(watcher)
            poll.sweep()
        print(f"{count} clients, {UPDATES_A_S:g} updates a second of {ROWS} rows, {minutes:g} minutes; {MISBEHAVING:.0%} stalled or away")
        away: list[tuple[float, Watcher]] = []
        began = look_at = monotonic()
        while not all(watcher.stopped for watcher in watchers):
            now = monotonic()
            if now >= look_at:
                look_at += LOOK_S
                _say(process, now - began, watchers, happened)
            while away and away[0][0] <= now:
                _back(away.pop(0)[1], poll)
            if len(away) < MISBEHAVING * count and now - began < minutes * 60:
                watcher = chance.choice([each for each in watchers if each.socket is not None and not each.stalled])
                _misbehave(watcher, poll, happened, stalls=chance.random() < 0.5)
                away = sorted([*away, (now + chance.uniform(*AWAY_S), watcher)], key=lambda each: each[0])
            for cut in poll.sweep(0.05):
                happened["cut off by the server"] += 1
                poll.remove(cut)
                cut.close()
                _back(cut, poll)
        _say(process, monotonic() - began, watchers, happened)
        poll.close(watchers)
    expected = value_of(np.arange(points)).astype(np.uint16)
    wrong = sum(not np.array_equal(watcher.map, expected) for watcher in watchers)
    print(f"  {count - wrong} of {count} maps are the batch map")
    assert not wrong


def _misbehave(watcher: Watcher, poll: Poll, happened: Counter[str], *, stalls: bool) -> None:
    poll.remove(watcher)
    happened["stalled" if stalls else "dropped"] += 1
    watcher.stalled = stalls
    if not stalls:
        watcher.close()


def _back(watcher: CheapClient, poll: Poll) -> None:
    assert isinstance(watcher, Watcher)
    watcher.stalled = False
    if watcher.socket is None:
        watcher.come()
    poll.add(watcher)


def _say(process: psutil.Process, seconds: float, watchers: list[Watcher], happened: Counter[str]) -> None:
    rows = [watcher.rows for watcher in watchers]
    memory, cpu = process.memory_info().rss / 2**20, sum(process.cpu_times()[:2])
    told = ", ".join(f"{name} {number}" for name, number in sorted(happened.items()))
    print(f"  {seconds:5.0f} s   {memory:6.1f} MiB   CPU {cpu:5.0f} s   rows {min(rows)} to {max(rows)}   {told}", flush=True)
