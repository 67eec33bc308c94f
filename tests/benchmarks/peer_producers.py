"""What fills the map of Davidia and of Tiled for :mod:`tests.benchmarks.bench_feeds`, by their own clients: one process each."""

from __future__ import annotations

import sys
from time import monotonic, sleep
from typing import Any

import numpy as np

SHAPE = (100, 100)
POINTS = 5
"""New in each update."""
API_KEY = "secret"


def davidia(port: int) -> Any:
    """The whole map each time: Davidia's heat maps cannot be added to."""
    from davidia.plot import PlotConnection

    plot, values = PlotConnection("map", port=port), np.zeros(SHAPE)

    def update(number: int) -> None:
        values.flat[number * POINTS % values.size] = number
        values[-1, -1] = monotonic()
        plot.image(values)

    return update


def tiled(port: int) -> Any:
    """The new points alone."""
    from tiled.client import from_uri

    array = from_uri(f"http://127.0.0.1:{port}", api_key=API_KEY).write_array(np.zeros(SHAPE), key="map")

    def update(number: int) -> None:
        row, column = divmod(number * POINTS % (SHAPE[0] * SHAPE[1]), SHAPE[1])
        array.patch(np.full((1, POINTS), monotonic()), offset=(row, column))

    return update


def fill(peer: str, port: int, per_s: float, updates: int) -> None:
    """Make updates: so many a second, or as many as go if that is 0."""
    update = {"davidia": davidia, "tiled": tiled}[peer](port)
    print("ready", flush=True)
    sys.stdin.readline()
    due = monotonic()
    for number in range(updates):
        update(number)
        if per_s:
            due += 1 / per_s
            sleep(max(0.0, due - monotonic()))
    print("done", flush=True)


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
