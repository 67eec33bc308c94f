"""Ours beside LiberTEM and beside the decompressor alone, and the last frames of a long scan beside its first.

``python -m tests.benchmarks.bench_peers`` from the repository's root; about a minute. The ways take turns on the same files in the page
cache, so that what else the machine does falls on all of them; printed are medians, and the median of the ratios of each turn.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

from tests.benchmarks.bench_frames import FILTERS, FRAME_BYTES, SHAPE, SUMS, write
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.run import Run
from wpb_stream.core.window import FrameRef, StreamFile, WindowRequest
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes.raster import Raster

PROCESSES = 2
BANDS = (slice(0, SHAPE[0] // 3), slice(SHAPE[0] // 3, 2 * SHAPE[0] // 3), slice(2 * SHAPE[0] // 3, SHAPE[0]))
Way = Callable[[], Awaitable[npt.NDArray[np.float64] | None]]


async def turns(title: str, frames: int, ways: dict[str, Way], rounds: int, target: float) -> None:
    """Let the ways take turns; the first is ours, and the others are what it is compared with."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    expected = await next(iter(ways.values()))()
    for _ in range(rounds):
        for name, way in ways.items():
            begin = perf_counter()
            values = await way()
            seconds[name].append(perf_counter() - begin)
            assert values is None or np.array_equal(values, expected), f"{name} gives other sums"
    ours, *others = seconds.values()
    sys.stdout.write(f"\n{title}: {frames} frames of {SHAPE[0]} x {SHAPE[1]} uint8, {rounds} turns each\n")
    for name, times in seconds.items():
        ratio = median(his / mine for mine, his in zip(ours, times, strict=True))
        sys.stdout.write(f"  {name:58} {frames / median(times):7.0f} frames/s   wpb x{ratio:5.2f}   (best {frames / min(times):.0f})\n")
    best = median(min(his) / mine for mine, *his in zip(ours, *others, strict=True))
    sys.stdout.write(f"  wpb against the best of them: x{best:.2f}, to be at least {target:g}\n")


async def against_libertem(folder: Path, frames: int = 600, rounds: int = 5) -> None:
    """Three bands and the total of each frame, uncompressed."""
    if find_spec("libertem") is None:
        sys.stdout.write("\nLiberTEM is not installed: `make peers` brings it, in the version of the lock, for this comparison.\n")
        return
    import libertem.api as lt
    from libertem.udf import UDF
    from libertem.udf.masks import ApplyMasksUDF

    class Bands(UDF):  # type: ignore[misc]
        def get_result_buffers(self) -> dict[str, Any]:
            return {"sums": self.buffer(kind="nav", extra_shape=(4,), dtype=np.uint32)}

        def postprocess(self) -> None:
            self.results.sums[:, 3] = self.results.sums[:, :3].sum(axis=1)

    class RowSums(Bands):
        def process_tile(self, tile: Any) -> None:
            # Each row first, which is the fastest way found. Tiles may be parts of frames: each adds what it has of a band.
            rows = tile.reshape(-1, tile.shape[-1]).sum(axis=1, dtype=np.uint32).reshape(tile.shape[:2])
            origin = self.meta.slice.origin[1]
            for k, band in enumerate(BANDS):
                first, last = max(band.start - origin, 0), min(band.stop - origin, tile.shape[1])
                if first < last:
                    self.results.sums[:, k] += rows[:, first:last].sum(axis=1, dtype=np.uint32)

    class FrameSums(Bands):
        def process_frame(self, frame: Any) -> None:
            for k, band in enumerate(BANDS):
                self.results.sums[k] = frame[band].sum(dtype=np.uint32)

    def mask(band: slice) -> npt.NDArray[np.float32]:
        made = np.zeros(SHAPE, np.float32)
        made[band] = 1
        return made

    path = folder / "libertem.h5"
    write(path, frames, FILTERS["uncompressed"])
    masks = ApplyMasksUDF(mask_factories=[lambda band=band: mask(band) for band in (*BANDS, np.s_[:])], mask_dtype=np.float32)
    with lt.Context.make_with(cpus=PROCESSES) as workers, lt.Context.make_with("threads", cpus=PROCESSES) as threads:

        def way(context: Any, udf: Any) -> Way:
            dataset = context.load("hdf5", path=str(path), ds_path="data")

            async def run() -> npt.NDArray[np.float64] | None:
                found = context.run_udf(dataset, udf)
                return found["sums"].data.reshape(frames, 4).astype(np.float64) if "sums" in found else None

            return run

        async with pooled(folder, path, frames) as ours:
            ways: dict[str, Way] = {
                "wpb, two reader processes": ours,
                "LiberTEM, own UDF, rows of tiles, uint32, two threads": way(threads, RowSums()),
                "LiberTEM, own UDF, frames, uint32, two threads": way(threads, FrameSums()),
                "LiberTEM, own UDF, frames, uint32, two workers": way(workers, FrameSums()),
                "LiberTEM, its ApplyMasksUDF, two threads": way(threads, masks),
                "LiberTEM, its ApplyMasksUDF, two workers": way(workers, masks),
            }
            await turns("Against LiberTEM", frames, ways, rounds, 3)
    path.unlink()


class pooled:  # noqa: N801  a context manager
    """Our reader processes, ready; gives the way that reduces all frames of a file with them."""

    def __init__(self, folder: Path, path: Path, frames: int) -> None:
        self._pool = FrameReaders(DataRoots((folder,)), PROCESSES, 60)
        stream = StreamFile("bench", "camera", "application/x-hdf5", path.as_uri(), {"dataset": "data"})
        self._refs = [FrameRef(k, stream, k) for k in range(frames)]

    async def __aenter__(self) -> Way:
        await self._pool.__aenter__()
        await self._pool.warm_up()
        return self._reduce

    async def __aexit__(self, *error: Any) -> None:
        await self._pool.__aexit__(*error)

    async def _reduce(self) -> npt.NDArray[np.float64]:
        return (await self._pool.reduce(self._refs, SUMS)).values


@cache
def decompressor() -> Callable[..., int]:
    """bitshuffle's own function, as hdf5plugin ships it: from bytes in memory to bytes in memory."""
    function = ctypes.CDLL(str(Path(hdf5plugin.PLUGIN_PATH) / "libh5bshuf.so")).bshuf_decompress_lz4
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_size_t] * 3], ctypes.c_int64
    return function  # type: ignore[no-any-return]


@cache
def stored(path: str, first: int, stop: int) -> list[npt.NDArray[np.uint8]]:
    """Chunks as they lie in the file; read once."""
    with h5py.File(path, "r", locking=False) as file:
        return [np.frombuffer(file["data"].id.read_direct_chunk((k, 0, 0))[1], np.uint8) for k in range(first, stop)]


@cache
def room() -> npt.NDArray[np.uint8]:
    """Where frames are decompressed to, again and again."""
    return np.zeros(SHAPE, np.uint8)


def decompress(path: str, first: int, stop: int) -> int:
    """Decompress a share of the frames, and nothing else."""
    for chunk in stored(path, first, stop):
        block = int.from_bytes(chunk[8:12].tobytes(), "big")  # after the length of what is in it, 8 bytes
        assert decompressor()(chunk.ctypes.data + 12, room().ctypes.data, FRAME_BYTES, 1, block) > 0
    return int(room()[-1, -1])


async def against_the_decompressor(folder: Path, frames: int = 100, rounds: int = 7) -> None:
    """bitshuffle/LZ4, both ways on two cores: from the file to sums, against from memory to memory."""
    path = folder / "compressed.h5"
    write(path, frames, FILTERS["bitshuffle/LZ4"])
    shares = [(str(path), k * frames // PROCESSES, (k + 1) * frames // PROCESSES) for k in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, get_context("forkserver")) as executor:
        for _ in range(3):  # each process may get either share
            list(executor.map(decompress, *zip(*shares, strict=True)))

        async def alone() -> None:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(executor, decompress, *share) for share in shares))

        async with pooled(folder, path, frames) as ours:
            ways: dict[str, Way] = {"wpb, two reader processes": ours, "the decompressor alone, two processes": alone}
            await turns("bitshuffle/LZ4", frames, ways, rounds, 0.8)
    path.unlink()


def last_against_first(folder: Path, frames: int = 20_000, window: int = 100, rounds: int = 5) -> None:
    """From the file to rows, window by window of one run, as both the streaming process and Dagster go through it."""
    path = folder / "long.h5"
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("data", (frames, 64, 64), "u1", chunks=(1, 64, 64), maxshape=(None, 64, 64))
        for k in range(frames):
            data[k] = k % 200
    stream = StreamFile("bench", "camera", "application/x-hdf5", path.as_uri(), {"dataset": "data"})
    start = {"uid": "bench", "time": 0.0, "shape": [frames // window, window], "snaking": [False, True]}
    first, last = [], []
    for _ in range(rounds):
        run, reader = Run(start, Raster().make(start, PlanDefaults())), FrameReader(DataRoots((folder,)))
        assert run.recipe is not None
        live, seconds = LiveRun.begin(run, "live", Pace(window_frames=window), 0.0), []
        for begin in range(0, frames, window):
            began = perf_counter()
            live.add([FrameRef(k, stream, k) for k in range(begin, begin + window)], 0.0)
            refs = live.take(1.0)
            live.place(refs, reader.reduce(WindowRequest(stream, tuple(ref.index for ref in refs), run.recipe.reducer)), 1.0)
            seconds.append(perf_counter() - began)
        assert live.reconstruction.table.rows == frames
        reader.close()
        first.append(median(seconds[1:11]))  # without the first window, which opens the file
        last.append(median(seconds[-10:]))
    ratio = median(late / early for early, late in zip(first, last, strict=True))
    sys.stdout.write(f"\nA run of {frames:,} frames of 64 x 64, uncompressed, windows of {window}, {rounds} turns\n")
    sys.stdout.write(
        f"  first thousand {1e6 * median(first) / window:5.1f} us a frame, last thousand {1e6 * median(last) / window:5.1f} us: "
    )
    sys.stdout.write(f"x{ratio:.2f}\n")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await against_libertem(Path(folder))
        await against_the_decompressor(Path(folder))
        last_against_first(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
