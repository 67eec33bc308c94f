"""What one index is in a dataset: each row of the layout's table, as real files have it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.layout import Layout, layout_of, sum_of_colours
from wpb_stream.frames.reader import FrameReader

N = 6


def numbers(*shape: int, dtype: str = "u2") -> npt.NDArray[Any]:
    return np.random.default_rng(1).integers(1, 250, shape).astype(dtype)


@pytest.fixture
def read(reader: FrameReader, folder: Path) -> Any:
    """Write a dataset that may grow and read indices of it; gives an array (indices, frames, rows, columns)."""

    def read(data: npt.NDArray[Any], shape: Any, indices: list[int], chunks: Any = None, **parameters: Any) -> npt.NDArray[Any]:
        path = folder / "a.h5"
        path.unlink(missing_ok=True)
        with h5py.File(path, "w", libver="latest") as file:
            file.create_dataset("d", data=data, chunks=chunks or (1, *data.shape[1:]), maxshape=(None, *data.shape[1:]))
        asked = StreamFile("r", "camera", "application/x-hdf5", path.as_uri(), {"dataset": "d", **parameters}, shape)
        return reader.read(asked, indices)

    return read


def test_one_frame_an_index(read: Any) -> None:
    data = numbers(N, 4, 5)
    for shape in ((1, 4, 5), (4, 5), (1, 0, 0), None):
        np.testing.assert_array_equal(read(data, shape, [5, 0]), data[[5, 0]][:, None])


@pytest.mark.parametrize(("shape", "parameters"), [((3, 4, 5), {}), ((4, 5), {"multiplier": 3}), ((1, 4, 5), {"multiplier": 3})])
def test_several_frames_an_index(read: Any, shape: Any, parameters: dict[str, Any]) -> None:
    data = numbers(N, 4, 5)
    np.testing.assert_array_equal(read(data, shape, [1, 0], **parameters), data.reshape(2, 3, 4, 5)[::-1])
    with pytest.raises(FrameNotYet):
        read(data, shape, [2], **parameters)


def test_several_frames_that_are_stacked_lie_along_an_axis_of_their_own(read: Any) -> None:
    data = numbers(N, 3, 4, 5)
    np.testing.assert_array_equal(read(data, (3, 4, 5), [2, 4], join_method="stack"), data[[2, 4]])
    np.testing.assert_array_equal(read(data, (3, 4, 5), [2, 4]), data[[2, 4]])


def test_frames_whose_rows_are_appended_to_a_dataset_of_two_axes(read: Any) -> None:
    data = numbers(12, 5)
    np.testing.assert_array_equal(read(data, (4, 5), [2, 0]), data.reshape(3, 1, 4, 5)[[2, 0]])


def test_a_dataset_of_two_axes_is_a_single_frame_where_images_are_told_of(read: Any) -> None:
    data = numbers(4, 5)
    for shape in ((1, 4, 5), None):
        np.testing.assert_array_equal(read(data, shape, [0])[0, 0], data)
        with pytest.raises(FrameBroken, match="cannot have a frame 1"):
            read(data, shape, [1])


@pytest.mark.parametrize("shape", [(7,), (1, 7)])
def test_a_spectrum_is_a_frame_of_one_row(read: Any, shape: Any) -> None:
    data = numbers(N, 7)
    np.testing.assert_array_equal(read(data, shape, [3, 1]), data[[3, 1]][:, None, None])
    np.testing.assert_array_equal(read(data[:1], shape, [0]), data[:1][:, None, None])


def test_several_spectra_are_the_rows_of_a_frame(read: Any) -> None:
    data = numbers(N, 7)
    np.testing.assert_array_equal(read(data, (2, 7), [2, 0]), data.reshape(3, 1, 2, 7)[[2, 0]])


@pytest.mark.parametrize("shape", [(3, 7), (1, 3, 7)])
def test_the_elements_of_a_fluorescence_detector_are_the_rows_of_a_frame(read: Any, shape: Any) -> None:
    data = numbers(N, 3, 7)
    np.testing.assert_array_equal(read(data, shape, [4]), data[[4]][:, None])


@pytest.mark.parametrize("shape", [(), (1,), None])
@pytest.mark.parametrize("dtype", ["f8", "u2", "i8"])
def test_a_number_is_a_frame_of_one_pixel(read: Any, shape: Any, dtype: str) -> None:
    data = numbers(2_000, dtype=dtype)
    np.testing.assert_array_equal(read(data, shape, [1999, 0, 5], chunks=(1024,)).ravel(), data[[1999, 0, 5]])


def test_several_numbers_are_one_row(read: Any) -> None:
    data = numbers(N)
    np.testing.assert_array_equal(read(data, (2,), [2, 0]), data.reshape(3, 1, 1, 2)[[2, 0]])


@pytest.mark.parametrize("shape", [(8, 9, 3), (1, 8, 9, 3)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4"])
def test_the_colours_of_a_pixel_are_summed_exactly(read: Any, shape: Any, dtype: str) -> None:
    data = np.full((N, 8, 9, 3), np.iinfo(dtype).max if dtype != "f4" else 0.5, dtype)
    expected = data.astype("f8" if dtype == "f4" else "i8").sum(-1)
    np.testing.assert_array_equal(read(data, shape, [1, 2])[:, 0], expected[[1, 2]])


def test_colours_in_front_are_frames_that_are_summed_later(read: Any) -> None:
    data = numbers(N, 3, 8, 9)
    np.testing.assert_array_equal(read(data, (3, 8, 9), [5]), data[[5]])


def test_transparency_is_no_colour() -> None:
    np.testing.assert_array_equal(sum_of_colours(np.array([[1, 2, 3, 255]], "u1")), [6])


@pytest.mark.parametrize(("parameters", "expected"), [
    ({"slice": ":,1"}, np.s_[:, 1]),
    ({"slice": ":, 1:3, ::2"}, np.s_[:, 1:3, ::2]),
    ({"slice": "(:, -1, :)"}, np.s_[:, -1]),
])  # fmt: skip
def test_a_slice_takes_a_part_of_each_entry(read: Any, parameters: dict[str, Any], expected: Any) -> None:
    data = numbers(N, 4, 5)
    taken = read(data, (1, *data[expected].shape[1:]), [3, 0], **parameters)
    np.testing.assert_array_equal(taken.reshape(2, *data[expected].shape[1:]), data[expected][[3, 0]])


def test_squeeze_takes_axes_of_one_away(read: Any) -> None:
    data = numbers(N, 1, 4, 1, 5)
    np.testing.assert_array_equal(read(data, (4, 5), [3], squeeze=True)[0, 0], data[3, 0, :, 0])


@pytest.mark.parametrize("text", ["0:3", "1", "...,0", "a", ":,x", ":,9", ":,0,0,0", 5, ":" * 300])
def test_a_slice_that_cannot_be_taken_is_told(read: Any, text: Any) -> None:
    with pytest.raises(FrameBroken, match="slice"):
        read(numbers(N, 4, 5), None, [0], slice=text)


@pytest.mark.parametrize("shape", [(10**9, 4, 5), (0, 4, 5)])
def test_numbers_of_frames_that_cannot_be_are_not_believed(shape: Any) -> None:
    file = StreamFile("r", "camera", "application/x-hdf5", "file:///a.h5", {}, shape)
    assert layout_of((N, 4, 5), file, grows=True).per_index == 1
    lying = replace(file, shape=(4, 5), parameters={"multiplier": -3})
    assert layout_of((N, 4, 5), lying, grows=True) == Layout(1, (4, 5))
