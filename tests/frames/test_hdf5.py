"""Frames of HDF5 files: while they are written, damaged, hostile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from tests.frames.conftest import frames_of
from wpb_stream.core.exceptions import FrameBroken, FrameNotYet, FrameRefused
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.reader import FrameReader

Make = Callable[..., StreamFile]
SHAPE = (12, 16)


def stack(frames: int, dtype: str = "u2") -> np.ndarray:
    return np.random.default_rng(1).integers(1, 100, (frames, *SHAPE)).astype(dtype)


def write(path: Path, data: Any, **options: Any) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("entry/data/data", data=data, **options)
    return path


LAYOUTS = {
    "contiguous": {},
    "one frame a chunk": {"chunks": (1, *SHAPE)},
    "three frames a chunk": {"chunks": (3, *SHAPE)},
    "tiles": {"chunks": (1, 5, 7)},
    "deep tiles": {"chunks": (3, 5, 7)},
    "gzip": {"chunks": (1, *SHAPE), "compression": "gzip", "shuffle": True},
    "gzip, three frames a chunk": {"chunks": (3, *SHAPE), "compression": "gzip"},
    "bitshuffle/LZ4": {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle(cname="lz4")},
    "LZF": {"chunks": (1, *SHAPE), "compression": "lzf"},
    "bitshuffle/zstd": {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle(cname="zstd")},
    "Blosc/LZ4": {"chunks": (1, *SHAPE), **hdf5plugin.Blosc(cname="lz4")},
    "Blosc/zstd, tiles": {"chunks": (2, 5, 7), **hdf5plugin.Blosc(cname="zstd")},
    "Blosc2": {"chunks": (1, *SHAPE), **hdf5plugin.Blosc2()},
    "zstd": {"chunks": (1, *SHAPE), **hdf5plugin.Zstd()},
    "LZ4": {"chunks": (1, *SHAPE), **hdf5plugin.LZ4()},
    "bitshuffle/LZ4, automatic chunks": {"chunks": True, **hdf5plugin.Bitshuffle(cname="lz4")},
}


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i4", "<f4", "?"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("libver", ["latest", "earliest"])
def test_each_layout_gives_the_frames_that_were_written(
    reader: FrameReader, folder: Path, stream_file: Make, layout: str, dtype: str, libver: str
) -> None:
    data = stack(7, dtype)
    with h5py.File(folder / "a.h5", "w", libver=libver) as file:
        file.create_dataset("entry/data/data", data=data, **LAYOUTS[layout])
    file = stream_file(folder / "a.h5")
    np.testing.assert_array_equal(frames_of(reader, file, 0, 7), data)
    for index in (6, 2, 2, 5, 0):
        np.testing.assert_array_equal(frames_of(reader, file, index, index + 1)[0], data[index])


def test_a_type_whose_bytes_are_not_numbers_as_numpy_has_them_goes_through_hdf5(
    reader: FrameReader, folder: Path, stream_file: Make
) -> None:
    narrow = h5py.h5t.STD_U16LE.copy()
    narrow.set_precision(12)
    narrow.set_offset(4)
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("entry/data/data", (2, *SHAPE), narrow, chunks=(1, *SHAPE))[:] = stack(2)
    np.testing.assert_array_equal(frames_of(reader, stream_file(folder / "a.h5"), 0, 2), stack(2))


def test_a_dataset_of_two_dimensions_is_one_frame(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    for k, options in enumerate(({}, {"chunks": SHAPE}, {"chunks": (5, 7), "compression": "gzip"})):
        file = stream_file(write(folder / f"{k}.h5", stack(1)[0], **options))
        np.testing.assert_array_equal(frames_of(reader, file, 0, 1), stack(1))
        with pytest.raises(FrameBroken, match="cannot have a frame 1"):
            frames_of(reader, file, 1, 2)


@pytest.mark.parametrize("filter_name", ["none", "gzip", "bslz4"])
def test_frames_can_be_read_as_soon_as_the_detector_flushed_them(
    reader: FrameReader, folder: Path, stream_file: Make, detector: Callable[..., Any], filter_name: str
) -> None:
    camera = detector(folder / "a.h5", filter=filter_name)
    file = stream_file(folder / "a.h5")
    for index in range(5):
        with pytest.raises(FrameNotYet, match=f"has {index} frames so far"):
            frames_of(reader, file, index, index + 1)
        camera.append(index, index + 1)
        assert (frames_of(reader, file, index, index + 1) == index + 1).all()
    camera.tell("close")
    assert frames_of(reader, file, 0, 5)[:, 0, 0].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("filter_name", ["none", "gzip"])
def test_a_frame_whose_chunk_does_not_exist_is_late_and_never_zeros(
    reader: FrameReader, folder: Path, stream_file: Make, detector: Callable[..., Any], filter_name: str
) -> None:
    camera = detector(folder / "a.h5", frames=4, filter=filter_name)
    file = stream_file(folder / "a.h5")
    camera.tell("write 0 1", "write 2 3", "flush")
    assert frames_of(reader, file, 2, 3)[0, 0, 0] == 3
    for index in (1, 3):
        with pytest.raises(FrameNotYet, match="not been written"):
            frames_of(reader, file, index, index + 1)
    camera.tell("write 1 0", "flush")
    assert frames_of(reader, file, 1, 2).sum() == 0  # zeros that were measured
    camera.tell("close")
    with pytest.raises(FrameNotYet, match="not been written"):
        frames_of(reader, file, 3, 4)


@pytest.mark.parametrize(("filter_name", "chunk"), [("none", [3, 12, 16]), ("gzip", [3, 12, 16]), ("none", [3, 5, 7])])
def test_a_frame_that_is_only_the_rest_of_a_begun_chunk_is_late(
    reader: FrameReader, folder: Path, stream_file: Make, detector: Callable[..., Any], filter_name: str, chunk: list[int]
) -> None:
    camera = detector(folder / "a.h5", frames=9, chunk=chunk, filter=filter_name)
    file = stream_file(folder / "a.h5")
    camera.tell("write 0 1", "flush")
    assert frames_of(reader, file, 0, 1)[0, 0, 0] == 1
    with pytest.raises(FrameNotYet, match="only the fill value in frame 1"):
        frames_of(reader, file, 1, 2)
    camera.tell("write 1 2", "flush")
    assert (frames_of(reader, file, 1, 2) == 2).all()
    camera.tell("write 2 0", "flush")
    with pytest.raises(FrameNotYet, match="only the fill value in frame 2"):
        frames_of(reader, file, 2, 3)  # dark, or not written: nobody can tell yet
    camera.tell("write 3 4", "flush")
    assert frames_of(reader, file, 2, 3).sum() == 0  # the next chunk has begun, so this one is complete
    camera.tell("write 4 0", "close")
    assert frames_of(reader, file, 4, 5).sum() == 0  # nobody writes any more


def test_a_contiguous_dataset_is_late_until_its_storage_exists(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("entry/data/data", (3, *SHAPE), "u2")
    with pytest.raises(FrameNotYet, match="not been written"):
        frames_of(reader, stream_file(folder / "a.h5"), 0, 1)


def test_a_file_that_is_written_without_swmr_is_late_until_it_is_closed(
    reader: FrameReader, folder: Path, stream_file: Make, detector: Callable[..., Any]
) -> None:
    file = stream_file(folder / "a.h5")
    with pytest.raises(FrameNotYet, match="No such file"):
        frames_of(reader, file, 0, 1)
    (folder / "a.h5").touch()
    with pytest.raises(FrameNotYet, match="incomplete"):
        frames_of(reader, file, 0, 1)
    camera = detector(folder / "a.h5", swmr=False)
    camera.append(0, 7)
    with pytest.raises(FrameNotYet, match="not in SWMR mode"):
        frames_of(reader, file, 0, 1)
    camera.tell("close")
    assert (frames_of(reader, file, 0, 1) == 7).all()


def test_frames_a_killed_detector_had_flushed_can_be_read_and_the_file_stays_as_it_is(
    reader: FrameReader, folder: Path, stream_file: Make, detector: Callable[..., Any]
) -> None:
    camera = detector(folder / "a.h5")
    camera.append(0, 7)
    camera.kill()
    before = (folder / "a.h5").read_bytes()
    assert (frames_of(reader, stream_file(folder / "a.h5"), 0, 1) == 7).all()
    assert (folder / "a.h5").read_bytes() == before


def test_we_are_never_why_a_detector_cannot_open_its_file(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    file = stream_file(write(folder / "a.h5", stack(2), chunks=(1, *SHAPE), maxshape=(None, *SHAPE)))
    frames_of(reader, file, 0, 1)
    code = "import h5py, sys; h5py.File(sys.argv[1], 'r+', libver='latest', locking=True).close()"
    assert subprocess.run([sys.executable, "-c", code, folder / "a.h5"], check=False).returncode == 0


@pytest.mark.parametrize("options", [{"chunks": (1, *SHAPE)}, {}, {"chunks": (1, *SHAPE), "compression": "gzip"}])
@pytest.mark.parametrize("cut", [10, 300, 2000])
def test_a_truncated_file_gives_no_zeros_whether_it_was_open_or_not(
    reader: FrameReader, folder: Path, stream_file: Make, options: dict[str, Any], cut: int
) -> None:
    file = stream_file(write(folder / "a.h5", stack(8), **options))
    frames_of(reader, file, 0, 8)
    os.truncate(folder / "a.h5", (folder / "a.h5").stat().st_size - cut)
    with pytest.raises((FrameNotYet, FrameBroken)):
        frames_of(reader, file, 0, 8)
    fresh = FrameReader(reader.roots)
    with pytest.raises((FrameNotYet, FrameBroken)):
        frames_of(fresh, file, 0, 8)


def test_a_live_file_that_lost_its_end_gives_no_zeros(
    reader: FrameReader, folder: Path, stream_file: Make, detector: Callable[..., Any]
) -> None:
    camera = detector(folder / "a.h5")
    for index in range(4):
        camera.append(index, index + 1)
    camera.kill()
    with h5py.File(folder / "a.h5", "r", swmr=True, locking=False) as file:
        place = file["entry/data/data"].id.get_chunk_info_by_coord((3, 0, 0))
    file = stream_file(folder / "a.h5")
    assert (frames_of(reader, file, 3, 4) == 4).all()
    os.truncate(folder / "a.h5", place.byte_offset + 100)
    assert (frames_of(reader, file, 0, 1) == 1).all()
    with pytest.raises(FrameBroken, match="beyond the end of its file"):
        frames_of(reader, file, 3, 4)


def test_a_file_cut_under_an_open_reader_is_noticed_in_the_very_read(
    reader: FrameReader, folder: Path, stream_file: Make, detector: Callable[..., Any]
) -> None:
    detector(folder / "a.h5").append(0, 1)
    file = stream_file(folder / "a.h5")
    frames = reader._frames(file)
    next(frames.frames_of(0))
    os.truncate(folder / "a.h5", (folder / "a.h5").stat().st_size - 1)
    with pytest.raises(FrameNotYet, match="was cut from"):
        next(frames.frames_of(0))


def test_a_replaced_file_is_read_anew(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    file = stream_file(write(folder / "a.h5", stack(2)))
    assert (frames_of(reader, file, 0, 2) == stack(2)).all()
    os.replace(write(folder / "b.h5", stack(2) + 1), folder / "a.h5")
    assert (frames_of(reader, file, 0, 2) == stack(2) + 1).all()


def test_a_closed_file_that_another_writer_appends_to_is_read_anew(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    file = stream_file(write(folder / "a.h5", stack(2), chunks=(1, *SHAPE), maxshape=(None, *SHAPE)))
    assert (frames_of(reader, file, 0, 2) == stack(2)).all()
    code = """
import h5py, sys
with h5py.File(sys.argv[1], 'r+', libver='latest') as f:
    d = f['entry/data/data']; d.resize(3, 0); d[2] = 5
"""
    assert subprocess.run([sys.executable, "-c", code, folder / "a.h5"], check=False).returncode == 0
    assert (frames_of(reader, file, 2, 3) == 5).all()


def test_soft_links_inside_the_file_are_followed(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    with h5py.File(write(folder / "a.h5", stack(2)), "r+") as file:
        file["entry/absolute"] = h5py.SoftLink("/entry/data/./data")
        file["entry/relative"] = h5py.SoftLink("data")
        file["hard"] = file["entry/data"]
    for dataset in ("/entry/absolute", "entry/relative/data", "/hard/data", "//entry/./data//data/"):
        assert (frames_of(reader, stream_file(folder / "a.h5", dataset), 0, 2) == stack(2)).all()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write(tmp_path / "other.h5", stack(2))


@pytest.mark.parametrize("dataset", ["external", "group/data/data", "soft", "soft_group/data/data"])
def test_external_links_are_refused_wherever_they_are_in_the_path(
    reader: FrameReader, folder: Path, other: Path, stream_file: Make, dataset: str
) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file["external"] = h5py.ExternalLink(other, "/entry/data/data")
        file["group"] = h5py.ExternalLink(other, "/entry")
        file["soft"] = h5py.SoftLink("external")
        file["soft_group"] = h5py.SoftLink("/group")
    with pytest.raises(FrameRefused, match="leads out of the file"):
        frames_of(reader, stream_file(folder / "a.h5", dataset), 0, 1)


def test_soft_links_in_a_circle_are_refused(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
    with pytest.raises(FrameRefused, match="nowhere"):
        frames_of(reader, stream_file(folder / "a.h5", "a"), 0, 1)


def test_raw_external_storage_is_refused(reader: FrameReader, folder: Path, other: Path, stream_file: Make) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("d", (2, *SHAPE), "u1", external=[(str(other), 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(FrameRefused, match="raw external files"):
        frames_of(reader, stream_file(folder / "a.h5", "d"), 0, 1)


@pytest.mark.parametrize("unlimited", [False, True])
def test_a_source_of_a_virtual_dataset_that_is_no_file_is_refused_without_opening_it(
    reader: FrameReader, folder: Path, stream_file: Make, unlimited: bool
) -> None:
    os.mkfifo(folder / "source.h5")  # opening it would hang
    limit = (None if unlimited else 2, *SHAPE)
    layout = h5py.VirtualLayout((2, *SHAPE), "u2", maxshape=limit)
    source = h5py.VirtualSource(str(folder / "source.h5"), "d", (2, *SHAPE), maxshape=limit)
    every = np.s_[: h5py.h5s.UNLIMITED if unlimited else 2]
    layout[every] = source[every]
    with h5py.File(folder / "a.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("d", layout)
    with pytest.raises(FrameRefused, match="not a regular file"):
        frames_of(reader, stream_file(folder / "a.h5", "d"), 0, 1)


COMPOUND = np.dtype([("a", "u2"), ("b", "f4")])


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((), "u2"),
        ((2, 0, 16), "u2"),
        ((2, *SHAPE), COMPOUND),
        ((2, *SHAPE), "c8"),
        ((2, *SHAPE), "S3"),
        ((2, *SHAPE), h5py.string_dtype()),
        ((2, *SHAPE), h5py.vlen_dtype("u2")),
        ((2, *SHAPE), h5py.ref_dtype),
        ((2, *SHAPE), np.longdouble),
        ((2, *SHAPE), np.dtype(("u2", (3,)))),
        ((2, 2**15, 2**15 + 1), "u1"),
        ((2**40, 2**20, 2**20), "u1"),
    ],
)
def test_what_are_no_frames_of_numbers_is_broken_before_anything_is_read(
    reader: FrameReader, folder: Path, stream_file: Make, shape: tuple[int, ...], dtype: Any
) -> None:
    with h5py.File(folder / "a.h5", "w", libver="latest") as file:
        chunks = (1, *(min(side, 64) for side in shape[1:])) if len(shape) == 3 and shape[1] > 64 else None
        file.create_dataset("d", shape, dtype, chunks=chunks)
        file["e"] = h5py.Empty("u2")
    for name in ("d", "e", "/"):
        with pytest.raises(FrameBroken):
            frames_of(reader, stream_file(folder / "a.h5", name), 0, 1)


def test_chunks_beyond_the_limit_are_broken(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("d", (2, *SHAPE), "u1", chunks=(2**16, 2**8, 2**7), maxshape=(None, None, None), compression="gzip")
    with pytest.raises(FrameBroken, match="1 GiB"):
        frames_of(reader, stream_file(folder / "a.h5", "d"), 0, 1)


def test_a_filter_that_is_not_installed_is_named(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, *SHAPE))
    plist.set_filter(31999, h5py.h5z.FLAG_OPTIONAL)
    with h5py.File(folder / "a.h5", "w") as file:
        h5py.h5d.create(file.id, b"d", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((2, *SHAPE)), plist)
    with pytest.raises(FrameBroken, match="31999"):
        frames_of(reader, stream_file(folder / "a.h5", "d"), 0, 1)


def test_a_chunk_whose_compressed_bytes_are_damaged_is_broken(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    path = write(folder / "a.h5", stack(2), chunks=(1, *SHAPE), compression="gzip")
    with h5py.File(path) as file:
        place = file["entry/data/data"].id.get_chunk_info_by_coord((1, 0, 0))
    content = bytearray(path.read_bytes())
    content[place.byte_offset + 4 : place.byte_offset + 40] = b"\xff" * 36
    path.write_bytes(content)
    assert (frames_of(reader, stream_file(path), 0, 1) == stack(2)[:1]).all()
    with pytest.raises(FrameBroken, match="cannot be read"):
        frames_of(reader, stream_file(path), 1, 2)


def test_what_is_no_hdf5_file_is_broken_and_a_missing_dataset_is_late(reader: FrameReader, folder: Path, stream_file: Make) -> None:
    (folder / "text.h5").write_text("these are no frames")
    with pytest.raises(FrameBroken, match="not an HDF5 file"):
        frames_of(reader, stream_file(folder / "text.h5"), 0, 1)
    write(folder / "a.h5", stack(1))
    for dataset in ("/entry/nothing", "/entry/data/data/deeper", "x" * 10_000):
        with pytest.raises(FrameNotYet, match="has no dataset"):
            frames_of(reader, stream_file(folder / "a.h5", dataset), 0, 1)
