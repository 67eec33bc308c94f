"""Windows of frames reduced in this process: a file's fault is an answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from wpb_stream.core.accumulation import Accumulation, Kind, Tally
from wpb_stream.core.exceptions import FrameNotYet
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region, thirds
from wpb_stream.core.window import FrameStatus, StreamFile, WindowRequest
from wpb_stream.frames.reader import FrameReader, read_frames, reduce_window
from wpb_stream.frames.roots import DataRoots

Make = Callable[..., StreamFile]
SUMS = RegionSums((*thirds(), Region("total")))
DATA = np.random.default_rng(2).integers(0, 2**16, (9, 12, 16), dtype="u2")


@pytest.fixture
def file(folder: Path, stream_file: Make) -> StreamFile:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("entry/data/data", data=DATA, chunks=(1, 12, 16))
        file.create_dataset("float", data=DATA / 7)
        file.create_dataset("large", data=np.full((2, 1, 1), 2**53))
    return stream_file(folder / "a.h5")


def sums(data: np.ndarray) -> list[float]:
    return [float(part.sum()) for part in (data[..., :4, :], data[..., 4:8, :], data[..., 8:, :], data)]


def test_each_frame_gives_one_sum_a_region_in_the_order_asked(file: StreamFile, roots: DataRoots) -> None:
    result = reduce_window(WindowRequest(file, (3, 0, 8), SUMS), roots)
    assert result.values.tolist() == [sums(DATA[k]) for k in (3, 0, 8)]
    assert result.status.tolist() == [FrameStatus.READ] * 3
    assert result.frame_shape == (12, 16)
    assert result.reason is None


def test_several_frames_a_point_are_added(file: StreamFile, roots: DataRoots) -> None:
    result = reduce_window(WindowRequest(replace(file, shape=(3, 12, 16)), (0, 1, 2), SUMS), roots)
    assert result.values.tolist() == [sums(DATA[k : k + 3]) for k in (0, 3, 6)]


def test_a_point_is_late_when_one_of_its_frames_is(file: StreamFile, roots: DataRoots) -> None:
    result = reduce_window(WindowRequest(replace(file, shape=(3, 12, 16)), (2, 3), SUMS), roots)
    assert result.status.tolist() == [FrameStatus.READ, FrameStatus.NOT_YET]
    assert np.isnan(result.values[1]).all()
    assert "frame 9" in str(result.reason)


def test_a_frame_that_can_never_come_is_broken_beside_others_that_are_read_and_its_reason_goes_first(
    file: StreamFile, roots: DataRoots
) -> None:
    result = reduce_window(WindowRequest(file, (99, 0, -1), SUMS), roots)
    assert result.status.tolist() == [FrameStatus.NOT_YET, FrameStatus.READ, FrameStatus.BROKEN]
    assert "frame -1" in str(result.reason)


def test_points_whose_frames_add_up_beyond_exact_numbers_are_broken(
    folder: Path, file: StreamFile, stream_file: Make, roots: DataRoots
) -> None:
    result = reduce_window(WindowRequest(replace(stream_file(folder / "a.h5", "large"), shape=(2, 12, 16)), (0,), SUMS), roots)
    assert result.status.tolist() == [FrameStatus.BROKEN]
    assert "2**53" in str(result.reason)


def test_the_size_of_a_window_never_changes_a_value(folder: Path, file: StreamFile, stream_file: Make, roots: DataRoots) -> None:
    floats = stream_file(folder / "a.h5", "float")
    whole = reduce_window(WindowRequest(floats, tuple(range(9)), SUMS), roots).values
    single = [reduce_window(WindowRequest(floats, (k,), SUMS), roots).values[0] for k in range(9)]
    assert whole.tobytes() == np.array(single).tobytes()


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"mimetype": "image/x-cbf"}, FrameStatus.BROKEN, "image/x-cbf"),
        ({"uri": "file:///etc/passwd"}, FrameStatus.BROKEN, "WPB_DATA_ROOTS"),
        ({"uri": "http://nowhere/a.h5"}, FrameStatus.BROKEN, "not a file URI"),
        ({"parameters": {}}, FrameStatus.BROKEN, "which dataset"),
        ({"parameters": {"dataset": ["a"]}}, FrameStatus.BROKEN, "which dataset"),
        ({"parameters": {"dataset": "\ud800"}}, FrameStatus.BROKEN, "Unicode"),
        ({"parameters": {"dataset": "a\0b"}}, FrameStatus.NOT_YET, "no dataset"),
    ],
)
def test_a_file_that_cannot_be_opened_makes_all_its_frames_late_or_broken(
    file: StreamFile, roots: DataRoots, change: dict[str, Any], status: FrameStatus, words: str
) -> None:
    asked = StreamFile(**{name: getattr(file, name) for name in ("uid", "data_key", "mimetype", "uri", "parameters")} | change)
    result = reduce_window(WindowRequest(asked, (0, 1), SUMS), roots)
    assert result.status.tolist() == [status, status]
    assert result.frame_shape is None
    assert words in str(result.reason)


def test_the_older_name_of_the_dataset_parameter_is_understood(file: StreamFile, roots: DataRoots) -> None:
    older = StreamFile("r", "camera", file.mimetype, file.uri, {"path": "/entry/data/data"})
    assert (read_frames(older, [1], roots) == DATA[1]).all()


def test_frames_come_as_the_file_has_them_and_stay_true_after_the_next_read(file: StreamFile, roots: DataRoots) -> None:
    first = read_frames(file, [0], roots)
    np.testing.assert_array_equal(read_frames(file, range(1, 9), roots)[:, 0], DATA[1:])
    np.testing.assert_array_equal(first[0, 0], DATA[0])
    np.testing.assert_array_equal(read_frames(file, [5, 2, 5], roots)[:, 0], DATA[[5, 2, 5]])
    assert read_frames(file, [], roots).shape == (0, 1, 12, 16)
    with pytest.raises(FrameNotYet):
        read_frames(file, range(10**6), roots)


def test_no_more_files_stay_open_than_allowed(folder: Path, stream_file: Make, roots: DataRoots) -> None:
    reader = FrameReader(roots, keep_open=2)
    before = len(os.listdir("/proc/self/fd"))
    for k in range(6):
        with h5py.File(folder / f"{k}.h5", "w") as file:
            file.create_dataset("d", data=DATA)
        reader.read(stream_file(folder / f"{k}.h5", "d"), [0])
        reader.reduce(WindowRequest(stream_file(folder / f"{k}.h5", "nothing"), (0,), SUMS))
    assert len(os.listdir("/proc/self/fd")) == before + 4  # HDF5's descriptor and ours
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_with_flipped_bits_never_raise_and_never_hang(folder: Path, file: StreamFile, stream_file: Make, roots: DataRoots) -> None:
    content = (folder / "a.h5").read_bytes()
    random = np.random.default_rng(3)
    for k in range(60):
        damaged = bytearray(content)
        for place in random.integers(0, 2500, 4):
            damaged[place] = random.integers(256)
        path = folder / f"damaged{k}.h5"
        path.write_bytes(damaged)
        reader = FrameReader(roots)
        result = reader.reduce(WindowRequest(stream_file(path), (0, 5), SUMS))
        assert set(result.status.tolist()) <= set(FrameStatus)
        reader.close()


def test_a_reader_that_is_let_go_leaves_no_file_open(folder: Path, roots: DataRoots) -> None:
    np.save(folder / "a.npy", np.zeros((2, 4, 5)))
    np.save(folder / "b0.npy", np.zeros((4, 5)))
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("d", data=np.zeros((2, 4, 5)), chunks=(1, 4, 5))
    before = len(os.listdir("/proc/self/fd"))
    reader = FrameReader(roots)
    for mimetype, name, parameters in (
        ("application/x-npy", "a.npy", {}),
        ("multipart/related;type=application/x-npy", "", {"template": "b{:d}.npy"}),
        ("application/x-hdf5", "a.h5", {"dataset": "d"}),
    ):
        reader.read(StreamFile("r", "camera", mimetype, (folder / name).as_uri() + ("" if name else "/"), parameters, (4, 5)), [0])
    assert len(os.listdir("/proc/self/fd")) > before
    del reader
    assert len(os.listdir("/proc/self/fd")) == before


EVERYTHING = Accumulation(tuple(Kind))


def accumulated(frames: Iterable[tuple[int, np.ndarray]]) -> Tally:
    tally = Tally(EVERYTHING)
    for point, frame in frames:
        tally.take(point, frame)
        tally.take_last(point, frame)
    return tally


def same(one: Tally | None, other: Tally) -> bool:
    assert one is not None
    made, expected = one.arrays(), other.arrays()
    return (
        list(made) == list(expected)
        and all(made[name].tobytes() == expected[name].tobytes() for name in made)
        and one.frames == other.frames
    )


def test_all_frames_of_a_window_are_accumulated(file: StreamFile, roots: DataRoots) -> None:
    asked = WindowRequest(file, (3, 8, 0), SUMS, EVERYTHING, points=(30, 10, 20))
    assert same(reduce_window(asked, roots).tally, accumulated((point, DATA[index]) for index, point in ((3, 30), (8, 10), (0, 20))))
    assert reduce_window(WindowRequest(file, (3,), SUMS), roots).tally is None


def test_of_several_frames_a_point_each_is_accumulated(file: StreamFile, roots: DataRoots) -> None:
    asked = WindowRequest(replace(file, shape=(3, 12, 16)), (0, 2), SUMS, EVERYTHING, points=(0, 2))
    assert same(reduce_window(asked, roots).tally, accumulated((index // 3, DATA[index]) for index in (0, 1, 2, 6, 7, 8)))


def test_what_is_not_read_is_not_accumulated_even_if_some_of_its_frames_are_there(file: StreamFile, roots: DataRoots) -> None:
    asked = WindowRequest(
        replace(file, shape=(2, 12, 16)), (1, 4, 99), SUMS, EVERYTHING, points=(1, 4, 99)
    )  # of index 4 one frame is there
    result = reduce_window(asked, roots)
    assert result.status.tolist() == [FrameStatus.READ, FrameStatus.NOT_YET, FrameStatus.NOT_YET]
    assert same(result.tally, accumulated([(1, DATA[2]), (1, DATA[3])]))


def test_frames_that_make_no_values_are_not_accumulated(folder: Path, file: StreamFile, stream_file: Make, roots: DataRoots) -> None:
    asked = WindowRequest(replace(stream_file(folder / "a.h5", "large"), shape=(2, 12, 16)), (0,), SUMS, EVERYTHING, points=(0,))
    tally = reduce_window(asked, roots).tally
    assert tally is not None
    assert tally.arrays() == {}
