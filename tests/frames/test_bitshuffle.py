"""Chunks of bitshuffle and LZ4 that are decompressed by us: what HDF5 makes of them, or a fault that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.frames.bitshuffle import BitshuffleSlabs
from wpb_stream.frames.slabs import Slabs
from wpb_stream.frames.storage import open_slabs

SHAPE = (7, 13)
LZ4 = hdf5plugin.Bitshuffle(cname="lz4")


def frames(dtype: str, count: int = 5) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 100, (count, *SHAPE)).astype(dtype)


def write(path: Path, data: np.ndarray, **options: Any) -> h5py.Dataset:
    with h5py.File(path, "w", libver="latest", locking=False) as file:
        file.create_dataset("d", data=data, **{"chunks": (1, *SHAPE), **LZ4, **options})
    return h5py.File(path, "r", locking=False, rdcc_nbytes=0)["d"]


def slabs_of(dataset: h5py.Dataset) -> Slabs:
    return open_slabs(dataset, SHAPE, dataset.dtype, dataset.file.id.get_vfd_handle(), check_end=False)


@pytest.mark.parametrize("dtype", ["|b1", "|u1", "|i1", "<u2", ">u2", "<i4", "<u8", "<f4", ">f8"])
@pytest.mark.parametrize("options", [{}, {"chunks": (3, *SHAPE)}, hdf5plugin.Bitshuffle(nelems=64, cname="lz4")], ids=["1", "3", "blocks"])
def test_frames_of_every_type_are_what_hdf5_gives(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    data = frames(dtype)
    dataset = write(tmp_path / "a.h5", data, **options)
    slabs = slabs_of(dataset)
    assert type(slabs) is BitshuffleSlabs
    for k in (0, 4, 2, 3, 1):
        frame = slabs.frame(k, 5)
        assert frame is not None
        assert (frame.dtype, frame.tobytes()) == (data.dtype, data[k].tobytes())


@pytest.mark.parametrize(
    "options",
    [{"chunks": (1, 7, 5)}, hdf5plugin.Bitshuffle(cname="zstd"), hdf5plugin.Bitshuffle(cname="none"), {"fletcher32": True}],
    ids=["tiles", "zstd", "not compressed", "checksums"],
)
def test_what_is_stored_otherwise_is_read_by_hdf5(tmp_path: Path, options: dict[str, Any]) -> None:
    slabs = slabs_of(write(tmp_path / "a.h5", frames("u2"), **options))
    assert type(slabs) is not BitshuffleSlabs
    assert np.array_equal(slabs.frame(3, 5), frames("u2")[3])  # type: ignore[arg-type]


def test_a_chunk_that_was_written_without_the_filter_is_read_all_the_same(tmp_path: Path) -> None:
    data = frames("u2")
    with h5py.File(tmp_path / "a.h5", "w", libver="latest", locking=False) as file:
        dataset = file.create_dataset("d", data.shape, "u2", chunks=(1, *SHAPE), **LZ4)
        dataset[0] = data[0]
        dataset.id.write_direct_chunk((1, 0, 0), data[1].tobytes(), filter_mask=1)
        dataset[2] = data[2]
    slabs = slabs_of(h5py.File(tmp_path / "a.h5", "r", locking=False)["d"])
    assert all(np.array_equal(slabs.frame(k, 5), data[k]) for k in range(3))  # type: ignore[arg-type]
    assert slabs.frame(3, 5) is None


@pytest.mark.parametrize(
    ("begin", "content", "told"),
    [
        (0, b"", "holds 0 bytes in blocks of"),
        (0, b"\0" * 8, "holds 0 bytes in blocks of"),
        (0, b"\xff" * 8, "not 182 bytes"),
        (7, b"\xb5", "holds 181 bytes in blocks of .*, not 182"),
        (11, b"\x07", "in blocks of 8199"),
        (12, b"\0\0\0\1", "cannot be decompressed"),
        (16, b"\xff" * 16, "cannot be decompressed"),
        (None, b"more", "cannot be decompressed"),
    ],
)
def test_a_chunk_that_is_damaged_is_broken(tmp_path: Path, begin: int | None, content: bytes, told: str) -> None:
    data = frames("u2")
    write(tmp_path / "a.h5", data).file.close()
    with h5py.File(tmp_path / "a.h5", "r+", locking=False) as file:
        chunk = bytearray(file["d"].id.read_direct_chunk((1, 0, 0))[1])
        damaged = chunk + content if begin is None else content and chunk[:begin] + content + chunk[begin + len(content) :]
        file["d"].id.write_direct_chunk((1, 0, 0), bytes(damaged or b"\0"))
    slabs = slabs_of(h5py.File(tmp_path / "a.h5", "r", locking=False)["d"])
    assert np.array_equal(slabs.frame(0, 5), data[0])  # type: ignore[arg-type]
    with pytest.raises(FrameBroken, match=told):
        slabs.frame(1, 5)
