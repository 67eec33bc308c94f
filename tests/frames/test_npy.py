"""One NPY file whose first axis holds the frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.reader import FrameReader


def numbers(*shape: int, dtype: str = "u2") -> npt.NDArray[Any]:
    return np.random.default_rng(1).integers(1, 250, shape).astype(dtype)


@pytest.fixture
def file(folder: Path) -> StreamFile:
    return StreamFile("r", "camera", "application/x-npy", (folder / "a.npy").as_uri(), {}, (1, 4, 5))


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i8", "<f4", "?"])
def test_frames_lie_along_the_first_axis(reader: FrameReader, folder: Path, file: StreamFile, dtype: str) -> None:
    data = numbers(6, 4, 5, dtype=dtype)
    np.save(folder / "a.npy", data)
    np.testing.assert_array_equal(reader.read(file, [5, 0, 2]), data[[5, 0, 2]][:, None])
    with pytest.raises(FrameBroken, match="cannot have a frame 6"):
        reader.read(file, [6])


def test_a_single_frame_is_the_whole_array(reader: FrameReader, folder: Path, file: StreamFile) -> None:
    data = numbers(4, 5)
    np.save(folder / "a.npy", data)
    np.testing.assert_array_equal(reader.read(file, [0])[0, 0], data)


def test_a_file_that_is_mapped_into_memory_is_late_where_it_was_not_written(reader: FrameReader, folder: Path) -> None:
    file = StreamFile("r", "camera", "application/x-npy", (folder / "a.npy").as_uri(), {}, (1, 64, 64))
    data = numbers(4, 64, 64)
    mapped = np.lib.format.open_memmap(folder / "a.npy", "w+", "u2", data.shape)
    with pytest.raises(FrameNotYet, match="not been written"):
        reader.read(file, [0])
    for index in (0, 1, 3):
        mapped[index] = data[index]
    mapped.flush()
    np.testing.assert_array_equal(reader.read(file, [0, 3])[:, 0], data[[0, 3]])
    with pytest.raises(FrameNotYet, match="not been written"):
        reader.read(file, [2])
    mapped[2] = 0
    mapped.flush()
    assert reader.read(file, [2]).sum() == 0  # zeros that were written


def test_a_file_that_is_written_little_by_little_is_late_at_every_byte(reader: FrameReader, folder: Path, file: StreamFile) -> None:
    data = numbers(2, 4, 5)
    np.save(folder / "whole.npy", data)
    whole = (folder / "whole.npy").read_bytes()
    with pytest.raises(FrameNotYet):
        reader.read(file, [1])
    for length in range(len(whole)):
        (folder / "a.npy").write_bytes(whole[:length])
        with pytest.raises(FrameNotYet):
            reader.read(file, [1])
    (folder / "new.npy").write_bytes(whole)
    os.replace(folder / "new.npy", folder / "a.npy")
    np.testing.assert_array_equal(reader.read(file, [1])[0, 0], data[1])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "no NPY file"),
        (np.zeros((4, 5), order="F"), "in C order"),
        (np.zeros((4, 5), "c16"), "complex"),
        (np.array(["a", "b"]), "type <U1"),
        (np.float64(7), "expected"),
    ],
)
def test_what_is_no_array_of_frames_is_told(reader: FrameReader, folder: Path, file: StreamFile, content: Any, told: str) -> None:
    if isinstance(content, bytes):
        (folder / "a.npy").write_bytes(content)
    else:
        np.save(folder / "a.npy", content)
    with pytest.raises(FrameBroken, match=told):
        reader.read(file, [0])
