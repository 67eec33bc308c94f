"""Virtual datasets: put together from files that are written, late, missing, or where they must not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.frames.conftest import frames_of
from wpb_stream.core.exceptions import FrameBroken, FrameNotYet, FrameRefused
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots

SHAPE = (6, 8)
UNLIMITED = h5py.h5s.UNLIMITED


def stack(frames: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(1, 60_000, (frames, *SHAPE)).astype("u2")


def write(path: Path, data: Any, written: int | None = None) -> Path:
    """A source, of whose frames only the first may be written."""
    with h5py.File(path, "w", libver="latest") as file:
        dataset = file.create_dataset("d", data.shape, data.dtype, chunks=(1, *data.shape[1:]), maxshape=(None, *data.shape[1:]))
        for k in range(len(data) if written is None else written):
            dataset[k] = data[k]
    return path


def virtual(path: Path, layout: Any) -> StreamFile:
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout)
    return StreamFile("r", "camera", "application/x-hdf5", path.as_uri(), {"dataset": "v"}, (1, *SHAPE))


def test_blocks_of_frames_interleaved_over_several_files_as_odin_writes_them(reader: FrameReader, folder: Path) -> None:
    data = stack(12)
    layout = h5py.VirtualLayout((12, *SHAPE), "u2")
    for k in range(3):
        mine = np.concatenate([data[first : first + 2] for first in range(2 * k, 12, 6)])
        write(folder / f"source{k}.h5", mine)
        source = h5py.VirtualSource(f"source{k}.h5", "d", mine.shape)
        for number, first in enumerate(range(2 * k, 12, 6)):
            layout[first : first + 2] = source[2 * number : 2 * number + 2]
    np.testing.assert_array_equal(frames_of(reader, virtual(folder / "v.h5", layout), 0, 12), data)


def test_an_interleaving_without_end_has_the_frames_that_its_sources_have(reader: FrameReader, folder: Path) -> None:
    data = stack(8)
    layout = h5py.VirtualLayout((8, *SHAPE), "u2", maxshape=(None, *SHAPE))
    for k in range(2):
        write(folder / f"source{k}.h5", data[k::2])
        source = h5py.VirtualSource(f"source{k}.h5", "d", (4, *SHAPE), maxshape=(None, *SHAPE))
        layout[k:UNLIMITED:2] = source[0:UNLIMITED]
    file = virtual(folder / "v.h5", layout)
    np.testing.assert_array_equal(frames_of(reader, file, 0, 8), data)
    with pytest.raises(FrameNotYet):
        frames_of(reader, file, 8, 9)
    reader.close()  # in this process, HDF5 does not open a file for writing that is open for reading
    with h5py.File(folder / "source0.h5", "r+", libver="latest") as source:
        source["d"].resize(5, 0)
        source["d"][4] = 7
    assert (frames_of(reader, file, 8, 9) == 7).all()


def test_the_modules_of_a_detector_are_put_together_and_the_gap_between_them_is_the_fill_value(reader: FrameReader, folder: Path) -> None:
    upper, lower = stack(3, 1)[:, :2], stack(3, 2)[:, :3]
    layout = h5py.VirtualLayout((3, *SHAPE), "u2")
    layout[:, 0:2] = h5py.VirtualSource(write(folder / "upper.h5", upper).name, "d", upper.shape)
    layout[:, 3:6] = h5py.VirtualSource(write(folder / "lower.h5", lower).name, "d", lower.shape)
    with h5py.File(folder / "v.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout, fillvalue=9)
    frames = frames_of(reader, StreamFile("r", "c", "application/x-hdf5", (folder / "v.h5").as_uri(), {"dataset": "v"}), 0, 3)
    np.testing.assert_array_equal(frames[:, :2], upper)
    np.testing.assert_array_equal(frames[:, 3:], lower)
    assert (frames[:, 2] == 9).all()


def test_a_source_in_the_same_file_and_one_that_is_virtual_in_turn(reader: FrameReader, folder: Path) -> None:
    data = stack(4)
    with h5py.File(write(folder / "a.h5", data), "r+", libver="latest") as file:
        inner = h5py.VirtualLayout((4, *SHAPE), "u2")
        inner[:] = h5py.VirtualSource(".", "d", (4, *SHAPE))
        file.create_virtual_dataset("inner", inner)
        outer = h5py.VirtualLayout((4, *SHAPE), "u2")
        outer[0:4] = h5py.VirtualSource(".", "inner", (4, *SHAPE))
        file.create_virtual_dataset("v", outer)
    file = StreamFile("r", "c", "application/x-hdf5", (folder / "a.h5").as_uri(), {"dataset": "v"})
    np.testing.assert_array_equal(frames_of(reader, file, 0, 4), data)


def test_a_virtual_dataset_that_leads_to_itself_ends(reader: FrameReader, folder: Path) -> None:
    layout = h5py.VirtualLayout((2, *SHAPE), "u2")
    layout[:] = h5py.VirtualSource(".", "v", (2, *SHAPE))
    with pytest.raises(FrameRefused, match="virtual in turn"):
        frames_of(reader, virtual(folder / "v.h5", layout), 0, 1)


def test_missing_and_unwritten_sources_are_late_and_never_zeros(reader: FrameReader, folder: Path) -> None:
    data = stack(4)
    layout = h5py.VirtualLayout((8, *SHAPE), "u2")
    for k in range(2):
        layout[4 * k : 4 * k + 4] = h5py.VirtualSource(f"source{k}.h5", "d", (4, *SHAPE))
    file = virtual(folder / "v.h5", layout)
    write(folder / "source0.h5", data, written=2)
    np.testing.assert_array_equal(frames_of(reader, file, 0, 2), data[:2])
    for index in (2, 3, 4):
        with pytest.raises(FrameNotYet):
            frames_of(reader, file, index, index + 1)
    write(folder / "source1.h5", data)
    np.testing.assert_array_equal(frames_of(reader, file, 4, 8), data)


@pytest.mark.parametrize("where", ["outside", "absolute", "dots", "link"])
def test_sources_outside_the_roots_are_refused(reader: FrameReader, folder: Path, tmp_path: Path, where: str) -> None:
    secret = write(tmp_path / "secret.h5", stack(2))
    (folder / "link.h5").symlink_to(secret)
    name = {"outside": "../secret.h5", "absolute": str(secret), "dots": "x/../../secret.h5", "link": "link.h5"}[where]
    layout = h5py.VirtualLayout((2, *SHAPE), "u2")
    layout[:] = h5py.VirtualSource(name, "d", (2, *SHAPE))
    with pytest.raises((FrameRefused, FrameNotYet)) as refused:
        frames_of(reader, virtual(folder / "v.h5", layout), 0, 1)
    assert where == "dots" or isinstance(refused.value, FrameRefused)


def test_a_source_is_found_where_its_writers_path_is_mounted_here(folder: Path) -> None:
    data = stack(2)
    write(folder / "source.h5", data)
    layout = h5py.VirtualLayout((2, *SHAPE), "u2")
    layout[:] = h5py.VirtualSource("/dls/b01 1/source.h5", "d", (2, *SHAPE))
    reader = FrameReader(DataRoots((folder,), (("/dls/b01 1", str(folder)),)))
    np.testing.assert_array_equal(frames_of(reader, virtual(folder / "v.h5", layout), 0, 2), data)
    reader.close()


def test_a_source_of_another_shape_than_was_mapped_is_broken(reader: FrameReader, folder: Path) -> None:
    write(folder / "source.h5", np.ones((2, 3, 3), "u2"))
    layout = h5py.VirtualLayout((2, *SHAPE), "u2")
    layout[:] = h5py.VirtualSource("source.h5", "d", (2, *SHAPE))
    with pytest.raises(FrameBroken, match="another shape"):
        frames_of(reader, virtual(folder / "v.h5", layout), 0, 1)
