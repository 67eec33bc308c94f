"""Frames a second: h5py one by one with numpy's sum, against ours, side by side over the same file in the page cache.

``python -m tests.benchmarks.bench_frames`` from the repository's root; about half a minute. The ways take turns, so that what else
the machine does falls on all of them; printed is the best and the median turn of each.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region, thirds
from wpb_stream.core.window import FrameRef, StreamFile, WindowRequest
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots

SHAPE = (1216, 1936)
FRAME_BYTES = SHAPE[0] * SHAPE[1]
SUMS = RegionSums((*thirds(), Region("total")))
FILTERS: dict[str, dict[str, Any]] = {"uncompressed": {}, "bitshuffle/LZ4": dict(hdf5plugin.Bitshuffle(cname="lz4"))}


def one_by_one(path: Path, frames: int) -> np.ndarray:
    """What a script would do: slice each frame out of the dataset, sum each region with numpy."""
    values = np.empty((frames, 4))
    third = SHAPE[0] // 3, 2 * SHAPE[0] // 3
    with h5py.File(path, "r", locking=False) as file:  # HDF5 wants one flag for all openings in a process
        data = file["data"]
        for k in range(frames):
            frame = data[k]
            values[k] = frame[: third[0]].sum(), frame[third[0] : third[1]].sum(), frame[third[1] :].sum(), frame.sum()
    return values


def write(path: Path, frames: int, filters: dict[str, Any]) -> None:
    """A file of frames that differ, each a chunk."""
    # Smooth structure and noise, so that the compressed file compresses as a camera's does.
    random = np.random.default_rng(0)
    image = (100 + 60 * np.sin(np.linspace(0, 9, SHAPE[0]))[:, None] * np.cos(np.linspace(0, 9, SHAPE[1]))).astype(np.uint8)
    noise = random.integers(0, 8, SHAPE, dtype=np.uint8)
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("data", (frames, *SHAPE), "u1", chunks=(1, *SHAPE), **filters)
        for k in range(frames):
            data[k] = image + np.roll(noise, 17 * k)


async def compare(folder: Path, name: str, frames: int, rounds: int) -> None:
    path = folder / "frames.h5"
    write(path, frames, FILTERS[name])
    roots = DataRoots((folder,))
    stream = StreamFile("bench", "camera", "application/x-hdf5", path.as_uri(), {"dataset": "data"})
    reader = FrameReader(roots)
    async with FrameReaders(roots, 2, 60) as pool:
        await pool.warm_up()

        async def plain() -> np.ndarray:
            return one_by_one(path, frames)

        async def single() -> np.ndarray:
            return reader.reduce(WindowRequest(stream, tuple(range(frames)), SUMS)).values

        async def pooled() -> np.ndarray:
            return (await pool.reduce([FrameRef(k, stream, k) for k in range(frames)], SUMS)).values

        ways: dict[str, Callable[[], Awaitable[np.ndarray]]] = {
            "h5py one by one + numpy sum": plain,
            "wpb, one process": single,
            "wpb, two reader processes": pooled,
        }
        expected = await plain()
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                begin = perf_counter()
                values = await run()
                seconds[way].append(perf_counter() - begin)
                assert np.array_equal(values, expected), f"{way} gives other sums"
    reader.close()
    path.unlink()
    report(name, frames, seconds)


def report(name: str, frames: int, seconds: dict[str, list[float]]) -> None:
    reference = next(iter(seconds.values()))
    sys.stdout.write(f"\n{name}: {frames} frames of {SHAPE[0]} x {SHAPE[1]} uint8, three bands and total, {len(reference)} turns each\n")
    for way, times in seconds.items():
        rate = frames / median(times)
        ratio = median(mine / his for mine, his in zip(reference, times, strict=True))
        gigabytes = rate * FRAME_BYTES / 1e9
        sys.stdout.write(f"  {way:30} {rate:8.0f} frames/s  {gigabytes:5.1f} GB/s  x{ratio:4.1f}   (best {frames / min(times):.0f})\n")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await compare(Path(folder), "uncompressed", frames=200, rounds=7)
        await compare(Path(folder), "bitshuffle/LZ4", frames=100, rounds=7)


if __name__ == "__main__":
    asyncio.run(main())
