"""Frames as a reference: slices, the stored form, and scans larger than the memory there is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.dagster.scans import DATASET, random_frames, write_frames
from wpb_dagster.scan_frames import ScanFrames, decode, encode, reduce_frames
from wpb_stream.core.exceptions import FrameError
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region, thirds
from wpb_stream.core.window import IN_THE_EVENT, FrameRef, FrameStatus, StreamFile
from wpb_stream.frames.roots import DataRoots


def stream_file(path: Path) -> StreamFile:
    return StreamFile(path.stem, "camera", "application/x-hdf5", f"file://localhost{path}", {"dataset": DATASET})


@pytest.fixture
def scan(tmp_path: Path, roots: DataRoots) -> tuple[ScanFrames, np.ndarray]:
    """A scan of ten points over two files of six and four frames."""
    frames = random_frames(10)
    one = stream_file(write_frames(tmp_path / "frames" / "one.h5", frames[:6]))
    two = stream_file(write_frames(tmp_path / "frames" / "two.h5", frames[6:]))
    refs = [FrameRef(k, one, k) for k in range(6)] + [FrameRef(k, two, k - 6, 2**40 + k) for k in range(6, 10)]
    return ScanFrames(tuple(refs), roots), frames


def test_a_slice_reads_the_frames_of_its_points_across_files(scan: tuple[ScanFrames, np.ndarray]) -> None:
    lazy, frames = scan
    np.testing.assert_array_equal(lazy[4:8][:, 0], frames[4:8])
    np.testing.assert_array_equal(lazy[::3][:, 0], frames[::3])
    assert lazy[3:3].size == 0


def test_several_frames_a_point_come_together(scan: tuple[ScanFrames, np.ndarray]) -> None:
    lazy, frames = scan
    file = replace(lazy.refs[0].file, shape=(2, 12, 16))
    pairs = ScanFrames(tuple(FrameRef(k, file, k) for k in range(3)), lazy.roots)
    np.testing.assert_array_equal(pairs[1:3], frames[2:6].reshape(2, 2, 12, 16))


def test_a_single_index_is_refused_because_a_point_may_have_several_frames(scan: tuple[ScanFrames, np.ndarray]) -> None:
    with pytest.raises(TypeError, match="slices"):
        scan[0][3]  # type: ignore[index]


def test_windows_are_the_same_frames_in_pieces(scan: tuple[ScanFrames, np.ndarray]) -> None:
    lazy, _ = scan
    windows = list(lazy.windows(4))
    assert [len(window) for window in windows] == [4, 4, 2]
    assert tuple(ref for window in windows for ref in window.refs) == lazy.refs


def test_the_stored_reference_is_the_same_reference_and_holds_no_pixels(scan: tuple[ScanFrames, np.ndarray]) -> None:
    lazy, _ = scan
    stored = encode(lazy)
    again = decode(stored, lazy.roots)
    assert again.refs == lazy.refs
    assert again.points == 10
    assert len(stored) < 2_000


def test_the_numbers_beside_the_frames_are_stored_with_them(scan: tuple[ScanFrames, np.ndarray]) -> None:
    lazy, _ = scan
    counters = replace(stream_file(Path("/data/counters.h5")), data_key="i0")
    refs = tuple(replace(ref, beside=((counters, ref.point + 1), 0.1 * ref.point)) for ref in lazy.refs)
    again = decode(encode(ScanFrames(refs, lazy.roots)), lazy.roots)
    assert again.refs == refs
    assert again.files == lazy.files


@pytest.mark.parametrize("carried", [range(0), range(3, 6), range(10)])
def test_the_values_that_events_carry_are_stored_beside_the_frames_in_files(scan: tuple[ScanFrames, np.ndarray], carried: range) -> None:
    lazy, _ = scan
    refs = tuple(FrameRef(k, IN_THE_EVENT, k, 7, (0.1 * k, float("inf"))) if k in carried else ref for k, ref in enumerate(lazy.refs))
    again = decode(encode(ScanFrames(refs, lazy.roots)), lazy.roots)
    assert again.refs == refs


def test_frames_are_reduced_file_by_file_and_answered_in_the_order_asked(scan: tuple[ScanFrames, np.ndarray]) -> None:
    lazy, frames = scan
    refs = [lazy.refs[k] for k in (9, 0, 7, 3)]
    result = reduce_frames(refs, RegionSums((*thirds(), Region("total"))), lazy.roots)
    expected = frames[[9, 0, 7, 3]].astype(np.uint64)
    np.testing.assert_array_equal(result.values[:, 3], expected.sum(axis=(1, 2)))
    np.testing.assert_array_equal(result.values[:, 0], expected[:, :4].sum(axis=(1, 2)))
    assert result.frame_shape == (12, 16)


def test_a_file_that_is_gone_costs_its_own_frames_alone(scan: tuple[ScanFrames, np.ndarray], tmp_path: Path) -> None:
    lazy, _ = scan
    (tmp_path / "frames" / "two.h5").unlink()
    result = reduce_frames(lazy.refs, RegionSums((Region("total"),)), lazy.roots)
    assert (result.status == FrameStatus.READ).tolist() == [True] * 6 + [False] * 4
    assert "two.h5" in str(result.reason)
    with pytest.raises(FrameError):
        lazy[5:7]


LARGER_THAN_MEMORY = """
import resource, sys
from pathlib import Path
from tests.dagster.test_scan_frames import stream_file
from wpb_dagster.scan_frames import ScanFrames, reduce_frames
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region
from wpb_stream.core.window import FrameRef
from wpb_stream.frames.roots import DataRoots

path = Path(sys.argv[1])
frames = ScanFrames(tuple(FrameRef(k, stream_file(path), k) for k in range(96)), DataRoots((path.parent,)))
frames[0:1]
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, used + 2**25))
total = 0
for window in frames.windows(8):
    total += int(window[:].sum()) + int(reduce_frames(window.refs, RegionSums((Region("total"),)), frames.roots).values.sum())
try:
    frames[:]
except MemoryError:
    sys.stdout.write(f"{total} and all at once is too much")
"""


def test_a_scan_larger_than_the_memory_there_is_can_be_worked_through_in_windows(tmp_path: Path, roots: DataRoots) -> None:
    path = write_frames(tmp_path / "frames" / "large.h5", np.ones((96, 1024, 1024), np.uint8))  # 96 MiB, where 32 are left
    done = subprocess.run([sys.executable, "-c", LARGER_THAN_MEMORY, str(path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{2 * 96 * 2**20} and all at once is too much", "")
