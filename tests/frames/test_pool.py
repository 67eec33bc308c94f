"""Reader processes: several files at once, killed, stopped, walled in."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from anyio import to_process

from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region, thirds
from wpb_stream.core.window import FrameRef, FrameStatus, StreamFile
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.walls import landlock_version

Make = Callable[..., StreamFile]
SUMS = RegionSums((*thirds(), Region("total")))
DATA = np.random.default_rng(4).integers(0, 255, (40, 12, 16), dtype="u1")


@pytest.fixture
def files(folder: Path, stream_file: Make) -> list[StreamFile]:
    filters: list[dict[str, Any]] = [{}, dict(hdf5plugin.Bitshuffle(cname="lz4"))]
    for k, options in enumerate(filters):
        with h5py.File(folder / f"{k}.h5", "w") as file:
            file.create_dataset("entry/data/data", data=DATA + k, chunks=(1, 12, 16), **options)
    return [stream_file(folder / f"{k}.h5") for k in range(2)]


def refs(file: StreamFile, *indices: int, frames: int = 1) -> list[FrameRef]:
    return [FrameRef(index, replace(file, shape=(frames, 12, 16)), index) for index in indices]


def workers() -> list[int]:
    """Ids of this process's living reader processes."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    living = []
    for pid in children:
        with suppress(FileNotFoundError):  # it ended meanwhile
            if b"anyio" in Path(f"/proc/{pid}/cmdline").read_bytes():
                living.append(int(pid))
    return living


async def under_way(readers: FrameReaders) -> None:
    """Until a call has left for a reader process."""
    while readers._existing.borrowed_tokens == 0:
        await asyncio.sleep(0)


async def test_a_window_over_several_files_comes_back_in_the_order_asked(files: list[StreamFile], roots: DataRoots) -> None:
    async with FrameReaders(roots, 2, 30) as readers:
        asked = refs(files[0], *range(39, -1, -1)) + refs(files[1], 5, 2) + refs(files[0], 2, frames=2) + refs(files[0], 40)
        result = await readers.reduce(asked, SUMS)
        totals = [*DATA.sum((1, 2))[::-1].tolist(), *(int((DATA[k] + 1).sum()) for k in (5, 2)), int(DATA[4:6].sum())]
        assert result.values[:-1, 3].tolist() == totals
        assert result.values[0].tolist() == [DATA[39, :4].sum(), DATA[39, 4:8].sum(), DATA[39, 8:].sum(), DATA[39].sum()]
        assert result.status.tolist() == [FrameStatus.READ] * 43 + [FrameStatus.NOT_YET]
        assert result.frame_shape == (12, 16)
        assert "frame 40" in str(result.reason)
        assert readers.statistics() == {"frames_read": 44, "bytes_read": 44 * 192, "not_yet": 1, "broken": 0, "workers_killed": 0}


async def test_an_empty_window_gives_an_empty_answer(roots: DataRoots) -> None:
    async with FrameReaders(roots, 2, 30) as readers:
        assert (await readers.reduce([], SUMS)).values.shape == (0, 4)


async def test_warmed_up_readers_start_no_further_process_and_leave_none_behind(files: list[StreamFile], roots: DataRoots) -> None:
    async with FrameReaders(roots, 2, 30) as readers:
        await readers.warm_up()
        started = workers()
        await readers.reduce(refs(files[0], *range(40)), SUMS)
        assert len(started) == 2
        assert workers() == started
    assert workers() == []


@pytest.mark.faults
async def test_a_killed_reader_is_replaced_and_the_frames_are_read(files: list[StreamFile], roots: DataRoots) -> None:
    async with FrameReaders(roots, 1, 30) as readers:
        await readers.warm_up()
        (victim,) = workers()
        os.kill(victim, signal.SIGSTOP)  # so that it dies while it is asked, not before
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(readers.reduce(refs(files[0], 1), SUMS))
            await under_way(readers)
            os.kill(victim, signal.SIGKILL)
        assert asking.result().status.tolist() == [FrameStatus.READ]
        assert victim not in workers()


@pytest.mark.faults
async def test_a_hung_reader_is_killed_at_its_deadline_and_the_frames_are_read_by_the_next(
    files: list[StreamFile], roots: DataRoots, caplog: pytest.LogCaptureFixture
) -> None:
    async with FrameReaders(roots, 1, 4) as readers:
        await readers.warm_up()
        (hung,) = workers()
        os.kill(hung, signal.SIGSTOP)
        result = await readers.reduce(refs(files[0], 1), SUMS, run="r-1")
        assert result.status.tolist() == [FrameStatus.READ]
        assert readers.statistics()["workers_killed"] == 1
        assert hung not in workers()
        assert caplog.messages == [f"run r-1: 1 of the frames of {files[0].uri}: the file did not answer within 4 s (attempt 1 of 3)"]


async def test_a_hung_reader_does_not_keep_other_calls_waiting(files: list[StreamFile], roots: DataRoots) -> None:
    async with FrameReaders(roots, 1, 60) as readers:
        await readers.warm_up()
        (hung,) = workers()
        os.kill(hung, signal.SIGSTOP)
        async with asyncio.TaskGroup() as group:
            stuck = group.create_task(readers.reduce(refs(files[0], 1), SUMS))
            await under_way(readers)
            result = await readers.reduce(refs(files[1], 1), SUMS)
            assert result.status.tolist() == [FrameStatus.READ]
            assert not stuck.done()
            os.kill(hung, signal.SIGCONT)
        assert stuck.result().status.tolist() == [FrameStatus.READ]


async def test_frames_that_are_never_answered_for_are_given_up_after_three_attempts(files: list[StreamFile], roots: DataRoots) -> None:
    async with FrameReaders(roots, 1, 1e-9) as readers:
        await readers.warm_up()
        asked = refs(files[0], 1, 2)
        result = await readers.reduce(asked, SUMS)
        assert result.status.tolist() == [FrameStatus.BROKEN] * 2
        assert np.isnan(result.values).all()
        assert "2 of the frames of file:" in str(result.reason)
        assert ".h5: given up after 3 attempts: the" in str(result.reason)
        assert readers.statistics()["broken"] == 2


@contextmanager
def no_room() -> Iterator[Callable[[], None]]:
    """Within it this process can open nothing, and so start no process; until what it gives is called."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def relieve() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield relieve
    finally:
        relieve()


class OnWarning(logging.Handler):
    """Calls back at each warning."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._then = then
        self.called = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.called += 1
        self._then()


async def test_a_machine_that_has_no_room_for_a_process_for_a_moment_is_asked_again(files: list[StreamFile], roots: DataRoots) -> None:
    log = logging.getLogger("wpb_stream.frames.pool")
    async with FrameReaders(roots, 1, 30) as readers:
        with no_room() as relieve:
            log.addHandler(handler := OnWarning(relieve))
            try:
                result = await readers.reduce(refs(files[0], 1), SUMS)
            finally:
                log.removeHandler(handler)
        assert handler.called == 1
        assert result.status.tolist() == [FrameStatus.READ]
        assert readers.statistics()["workers_killed"] == 0


async def test_a_machine_that_has_no_room_for_a_process_costs_the_frames_and_not_the_service(
    files: list[StreamFile], roots: DataRoots
) -> None:
    async with FrameReaders(roots, 1, 30) as readers:
        with no_room():
            result = await readers.reduce(refs(files[0], 1), SUMS)
            with pytest.raises(ExceptionGroup) as told:
                await readers.warm_up()
        assert result.status.tolist() == [FrameStatus.BROKEN]
        assert "after 3 attempts: no reader process could be started: Too many open files" in str(result.reason)
        assert "Too many open files" in str(told.value.exceptions[0])
        assert (await readers.reduce(refs(files[0], 1), SUMS)).status.tolist() == [FrameStatus.READ]


async def test_an_interpreter_that_is_gone_is_not_taken_for_a_broken_file(
    files: list[StreamFile], roots: DataRoots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    async with FrameReaders(roots, 1, 30) as readers:
        with pytest.raises(ExceptionGroup) as told:
            await readers.reduce(refs(files[0], 1), SUMS)
        assert isinstance(told.value.exceptions[0], FileNotFoundError)


async def test_a_fifo_is_refused_and_holds_nobody_up(files: list[StreamFile], folder: Path, stream_file: Make, roots: DataRoots) -> None:
    os.mkfifo(folder / "fifo.h5")
    async with FrameReaders(roots, 1, 30) as readers:
        result = await readers.reduce(refs(stream_file(folder / "fifo.h5"), 0) + refs(files[0], 0), SUMS)
        assert result.status.tolist() == [FrameStatus.BROKEN, FrameStatus.READ]
        assert "not a regular file" in str(result.reason)
        assert readers.statistics()["workers_killed"] == 0


async def test_a_root_that_appears_after_the_walls_were_built_can_be_read(files: list[StreamFile], folder: Path, stream_file: Make) -> None:
    later = folder / "later"
    async with FrameReaders(DataRoots((later,)), 1, 30) as readers:
        asked = refs(stream_file(later / "0.h5"), 3)
        assert (await readers.reduce(asked, SUMS)).status.tolist() == [FrameStatus.NOT_YET]
        later.mkdir()
        os.rename(folder / "0.h5", later / "0.h5")
        assert (await readers.reduce(asked, SUMS)).status.tolist() == [FrameStatus.READ]


async def test_readers_for_other_roots_can_follow_in_the_same_event_loop(files: list[StreamFile], roots: DataRoots, tmp_path: Path) -> None:
    for each in (DataRoots((tmp_path / "data" / "nothing",)), roots):
        async with FrameReaders(each, 1, 30) as readers:
            await readers.warm_up()
            result = await readers.reduce(refs(files[0], 3), SUMS)
    assert result.status.tolist() == [FrameStatus.READ]


async def test_readers_for_other_roots_at_the_same_time_are_a_mistake_that_is_told(roots: DataRoots, tmp_path: Path) -> None:
    async with FrameReaders(roots, 1, 30) as one, FrameReaders(DataRoots((tmp_path,)), 1, 30) as other:
        await one.warm_up()
        with pytest.raises(ExceptionGroup) as told:
            await other.warm_up()
        assert "one set of data roots" in str(told.value.exceptions[0])


async def test_a_cancelled_call_leaves_the_readers_usable(files: list[StreamFile], roots: DataRoots) -> None:
    async with FrameReaders(roots, 1, 4) as readers:
        await readers.warm_up()
        (hung,) = workers()
        os.kill(hung, signal.SIGSTOP)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(readers.reduce(refs(files[0], 1), SUMS))
            await under_way(readers)
            asking.cancel()
        assert asking.cancelled()
        assert (await readers.reduce(refs(files[0], 1), SUMS)).status.tolist() == [FrameStatus.READ]


async def test_a_reader_process_has_no_secrets_and_no_plugins(roots: DataRoots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_DATABASE_URL", "postgresql://user:password@host/db")
    monkeypatch.setenv("HDF5_PLUGIN_PATH", str(tmp_path))
    async with FrameReaders(roots, 1, 30) as readers:
        await readers.warm_up()
        for name in ("WPB_DATABASE_URL", "HDF5_PLUGIN_PATH"):
            assert await to_process.run_sync(os.getenv, name) is None
        assert await to_process.run_sync(os.getenv, "PATH") == os.environ["PATH"]
        assert await to_process.run_sync(h5py.h5pl.size) == 0


@pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock: the wall around the file system cannot be tested")
async def test_a_reader_process_can_read_beneath_the_roots_and_write_nowhere(
    files: list[StreamFile], roots: DataRoots, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # python -m puts it first where modules are looked for, and it may be anywhere
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    async with FrameReaders(roots, 1, 30) as readers:
        await readers.warm_up()
        assert await to_process.run_sync(os.open, str(folder / "0.h5"), os.O_RDONLY) > 2
        for path, flags in (
            (folder / "0.h5", os.O_RDWR),
            (folder / "new.h5", os.O_WRONLY | os.O_CREAT),
            (folder / "link", os.O_RDONLY),
            (tmp_path / "secret", os.O_RDONLY),
            (Path("/etc/passwd"), os.O_RDONLY),
            (Path("/proc/self/environ"), os.O_RDONLY),
        ):
            with pytest.raises(PermissionError):
                await to_process.run_sync(os.open, str(path), flags)
