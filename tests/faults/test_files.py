"""Files that do what files should not, all at once, and disks that are full: a run loses the points that are lost, and no other run any."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from tests.faults.judge import judged
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import Streaming, feed_url
from tests.integration.test_pipeline import Detector
from tests.integration.watching import WAIT_S, assert_is_map_of, until_latest_stopped, until_stopped
from wpb_dagster.formats import write_whole
from wpb_stream import growing
from wpb_stream.client import watch
from wpb_stream.core.window import FrameStatus
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

ROOM = 2 * 2**20
"""Bytes that a small disk has."""
HALF = 6
"""Points of a run of twice as many that are on the map when its file begins to misbehave."""


def cut(run: Scan) -> None:
    os.truncate(run.file, run.file.stat().st_size // 4)


def remove(run: Scan) -> None:
    run.file.unlink()


def become_a_fifo(run: Scan) -> None:
    run.file.unlink()
    os.mkfifo(run.file)


def be_replaced(run: Scan) -> None:
    half = run.file.rename(run.file.with_suffix(".half"))
    whole = run.write().file.rename(run.file.with_suffix(".whole"))
    half.rename(run.file)
    whole.replace(run.file)


def be_written_anew(run: Scan) -> None:
    run.write()


MISDEEDS: dict[Callable[[Scan], None], int] = {cut: HALF, remove: HALF, become_a_fifo: HALF, be_replaced: 0, be_written_anew: 0}
"""What a file may do in the middle of a run, and how many points that costs."""


async def until_rows(settings: Settings, run: Scan, rows: int) -> None:
    """Wait until so many points of a run, the last that began, are on its map."""
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            if update.run.uid == run.uid and update.rows >= rows:
                return


async def told(settings: Settings, run: Scan, code: str) -> str:
    """Wait for a notice of that code, and give its words."""
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            for notice in update.notices if update.run.uid == run.uid else ():
                if notice.code == code:
                    return notice.message
    raise AssertionError


async def test_files_that_misbehave_in_the_middle_of_their_runs_cost_these_the_points_that_are_lost_and_no_other_run_any(
    settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    folder = tmp_path / "frames"
    runs = {misdeed: scan(folder, seed=seed).write(HALF) for seed, misdeed in enumerate(MISDEEDS)}
    levels = np.arange(101, 113, dtype=np.uint16)
    killed = scan(folder, frames=np.broadcast_to(levels[:, None, None], (12, 12, 16)).copy())
    probe = scan(folder, seed=99).write()
    lost = {run.uid: (run, MISDEEDS[misdeed]) for misdeed, run in runs.items()} | {killed.uid: (killed, HALF)}
    async with streaming(settings):
        with closing(Detector(killed.file)) as detector:
            detector.do(f"grow {HALF}", *(f"write {index} {levels[index]}" for index in range(HALF)), "flush")
        left_behind = sha256(killed.file.read_bytes()).digest()
        for run, _ in lost.values():
            await publish([*run.head, *run.at(0, HALF)], settings.sources[0], speed=0)
            await until_rows(settings, run, HALF)
        for misdeed, run in runs.items():
            misdeed(run)
        for run, _ in lost.values():
            await publish([*run.at(HALF, run.points), run.stop], settings.sources[0], speed=0)
        await publish(probe.documents, settings.sources[0], speed=0)
        assert_is_map_of(await until_latest_stopped(settings, probe.uid), probe)
        for uid, (run, points) in lost.items():
            update = await until_stopped(settings, uid)
            expected = run.map("total")
            expected.ravel()[[run.cell(point) for point in range(run.points - points, run.points)]] = np.nan
            np.testing.assert_array_equal(update.map("total"), expected)
            assert ("frame_missing" in {notice.code for notice in update.notices}) == bool(points)
    assert sha256(killed.file.read_bytes()).digest() == left_behind, "detectors' files are never written"


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region
from wpb_stream.core.window import FrameRef, StreamFile, window_request
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots

path = Path(sys.argv[1])
file = StreamFile("resource", "camera", "application/x-hdf5", path.as_uri(), {"dataset": "/entry/data/data"})
reader = FrameReader(DataRoots((path.parent,)))
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
for line in sys.stdin:
    result = reader.reduce(window_request([FrameRef(int(line), file, 0)], RegionSums((Region("total"),))))
    print(int(result.status[0]), result.reason, flush=True)
"""
"""A reader of another account than root, whom permissions concern."""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can read as somebody else")
def test_a_file_that_may_not_be_read_any_more_is_told_at_once_and_read_again_when_it_may() -> None:
    with TemporaryDirectory() as folder:  # those of pytest are root's alone
        run = scan(Path(folder)).write(HALF)
        Path(folder).chmod(0o755)
        read_by_nobody(run)


def read_by_nobody(run: Scan) -> None:
    command = [sys.executable, "-c", READ_AS_NOBODY, run.file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as reading:
        assert reading.stdin is not None
        assert reading.stdout is not None

        def read(index: int) -> tuple[FrameStatus, str]:
            assert reading.stdin is not None
            assert reading.stdout is not None
            reading.stdin.write(f"{index}\n")
            status, _, reason = reading.stdout.readline().partition(" ")
            return FrameStatus(int(status)), reason

        assert read(0)[0] == FrameStatus.READ
        run.write()
        run.file.chmod(0)
        status, reason = read(HALF)
        assert status == FrameStatus.BROKEN
        assert "may not be read (Permission denied)" in reason
        run.file.chmod(0o644)
        assert read(HALF)[0] == FrameStatus.READ
        reading.stdin.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is full soon."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here: a full disk cannot be had")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no room on the disk of a folder; gives the file that takes it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


async def test_a_scan_whose_rows_find_no_room_is_told_and_kept_whole_once_there_is_some(
    settings: Settings, streaming: Streaming, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "SAVE_AGAIN_S", 0.5)
    run, results = scan(tmp_path / "frames", (30, 40)).write(), settings.results
    results.parent.mkdir(parents=True, exist_ok=True)
    results.symlink_to(small_disk)
    filler = fill(small_disk)
    async with streaming(settings), judged(settings, run):
        await publish(run.documents, settings.sources[0], speed=0)
        assert "No space left on device" in await told(settings, run, "not_saved")
        assert [path for path in small_disk.rglob("*") if path.is_file()] == [filler], "nothing unfinished stays"
        filler.unlink()


def test_a_result_of_dagster_that_finds_no_room_leaves_the_one_before_and_nothing_else(small_disk: Path) -> None:
    write_whole(small_disk / "maps.npz", b"before")
    filler = fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(small_disk / "maps.npz", bytes(ROOM // 2))
    assert (small_disk / "maps.npz").read_bytes() == b"before"
    assert sorted(small_disk.iterdir()) == [filler, small_disk / "maps.npz"]
    filler.unlink()
    write_whole(small_disk / "maps.npz", bytes(ROOM // 2))
    assert (small_disk / "maps.npz").stat().st_size == ROOM // 2
