"""Files that nobody asks for any more are closed, in this process and in the reader processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.frames.test_pool import workers
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region
from wpb_stream.core.window import FrameRef, StreamFile, WindowRequest
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots

SUMS = RegionSums((Region("total"),))
WAIT_S = 20.0


@pytest.fixture
def file(folder: Path, stream_file: Callable[..., StreamFile]) -> StreamFile:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("entry/data/data", data=np.ones((9, 12, 16), "u2"), chunks=(1, 12, 16))
    return stream_file(folder / "a.h5")


def handles(path: Path, pid: int | str = "self") -> int:
    """How often a process has a file open."""
    opened = [Path(f"/proc/{pid}/fd") / number for number in os.listdir(f"/proc/{pid}/fd")]
    return sum(os.path.realpath(descriptor) == str(path) for descriptor in opened)


def test_a_file_that_was_not_asked_for_is_closed_and_opened_again_when_it_is(file: StreamFile, roots: DataRoots, folder: Path) -> None:
    reader = FrameReader(roots)
    first = reader.reduce(WindowRequest(file, (0, 1), SUMS))
    assert handles(folder / "a.h5") > 0
    reader.close_idle(3600.0)
    assert handles(folder / "a.h5") > 0, "it was asked for just now"
    reader.close_idle(0.0)
    assert handles(folder / "a.h5") == 0
    assert reader.reduce(WindowRequest(file, (0, 1), SUMS)).values.tolist() == first.values.tolist()
    reader.close()
    assert handles(folder / "a.h5") == 0


async def test_a_reader_process_closes_its_files_by_itself(file: StreamFile, roots: DataRoots, folder: Path) -> None:
    async with FrameReaders(roots, 1, 30, idle_s=0.2) as readers:
        await readers.reduce([FrameRef(index, file, index) for index in range(9)], SUMS)
        (pid,) = workers()
        async with asyncio.timeout(WAIT_S):
            while handles(folder / "a.h5", pid):
                await asyncio.sleep(0.02)
        again = await readers.reduce([FrameRef(0, file, 0)], SUMS)
        assert again.values.tolist() == [[192.0]]
        assert workers() == [pid]
