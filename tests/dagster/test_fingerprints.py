"""Which files a scan is read from, and what is remembered of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wpb_dagster import fingerprints
from wpb_dagster.fingerprints import BLOCK_BYTES, Kind, changes, files_of, look, remember
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.core.window import IN_THE_EVENT, FrameRef, StreamFile
from wpb_stream.frames.roots import DataRoots

NOW = 2e9


def frames_of(file: StreamFile, roots: DataRoots, count: int = 3) -> ScanFrames:
    return ScanFrames(tuple(FrameRef(k, file, k) for k in range(count)), roots)


def sequence(folder: Path) -> StreamFile:
    parameters = {"template": "im_{:03d}.tiff", "chunk_shape": [1, 4, 4]}
    return StreamFile("r", "camera", "multipart/related;type=image/tiff", f"file://localhost{folder}/", parameters)


def test_of_a_sequence_the_files_of_the_scans_own_images_are_looked_at(tmp_path: Path, roots: DataRoots) -> None:
    folder = tmp_path / "frames"
    for number in range(5):
        (folder / f"im_{number:03d}.tiff").write_bytes(bytes(100))
    found = list(files_of(frames_of(sequence(folder), roots)))
    assert [path.name for path in found] == ["im_000.tiff", "im_001.tiff", "im_002.tiff"]


def test_of_a_folder_every_file_in_it_is_looked_at_unless_it_is_outside_the_roots(tmp_path: Path, roots: DataRoots) -> None:
    for folder in (tmp_path / "frames" / "scan.zarr", tmp_path / "elsewhere.zarr"):
        (folder / "c").mkdir(parents=True)
        (folder / "zarr.json").write_text("{}")
        (folder / "c" / "0").write_bytes(b"0")
    inside = StreamFile("r", "camera", "application/x-zarr", f"file://localhost{tmp_path}/frames/scan.zarr")
    outside = StreamFile("r", "camera", "application/x-zarr", f"file://localhost{tmp_path}/elsewhere.zarr")
    assert [path.name for path in files_of(frames_of(inside, roots))] == ["0", "zarr.json"]
    assert [path.name for path in files_of(frames_of(outside, roots))] == ["elsewhere.zarr"]
    assert remember({}, frames_of(outside, roots), NOW) == {}


def test_the_files_of_numbers_beside_the_frames_are_looked_at_too(tmp_path: Path, roots: DataRoots) -> None:
    counters = StreamFile("c", "i0", "application/x-hdf5", f"file://localhost{tmp_path}/frames/counters.h5")
    ref = FrameRef(0, IN_THE_EVENT, 0, 0, (1.0,), ((counters, 0), 0.5))
    assert [path.name for path in files_of(ScanFrames((ref,), roots))] == ["counters.h5"]


def test_samples_reach_from_the_first_byte_to_the_last(tmp_path: Path, roots: DataRoots) -> None:
    path = tmp_path / "frames" / "large"
    path.write_bytes(bytes(10**6))
    seen = look(path, roots, NOW)
    assert [seen.samples[0][0], seen.samples[-1][0]] == [0, 10**6 - BLOCK_BYTES]
    assert len(seen.samples) == fingerprints.SAMPLES


@pytest.mark.parametrize(("at", "kind"), [(10, Kind.TOUCHED), (10**6 - 10, Kind.CHANGED)])
def test_the_first_block_is_what_writers_change_when_they_close_a_file(at: int, kind: Kind, tmp_path: Path, roots: DataRoots) -> None:
    path = tmp_path / "frames" / "large"
    path.write_bytes(bytes(10**6))
    seen = {str(path): look(path, roots, NOW)}
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"1")
    assert [change.kind for change in changes(seen, roots, NOW)] == [kind]


def test_of_a_small_file_the_one_block_is_all_there_is_to_go_by(tmp_path: Path, roots: DataRoots) -> None:
    path = tmp_path / "frames" / "small"
    path.write_bytes(b"00")
    seen = {str(path): look(path, roots, NOW)}
    path.write_bytes(b"001")
    assert [change.kind for change in changes(seen, roots, NOW)] == [Kind.GROWN]
    path.write_bytes(b"01")
    assert [change.kind for change in changes(seen, roots, NOW)] == [Kind.CHANGED]


def test_a_file_that_is_old_stays_as_it_was_first_seen(tmp_path: Path, roots: DataRoots) -> None:
    path = tmp_path / "frames" / "scan.h5"
    path.write_bytes(bytes(BLOCK_BYTES))
    os.utime(path, (NOW - 3600, NOW - 3600))
    frames = frames_of(StreamFile("r", "camera", "application/x-hdf5", f"file://localhost{path}"), roots)
    seen = remember({}, frames, NOW)
    path.write_bytes(bytes(2 * BLOCK_BYTES))
    assert remember(seen, frames, NOW) == seen
