"""Zarr arrays: of both formats, sharded, growing, half written, hostile."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import pytest
import zarr

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet, FrameRefused
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.rooted_store import RootedStore
from wpb_stream.frames.roots import DataRoots

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
SHAPE = (12, 16)


def numbers(*shape: int, dtype: str = "u2") -> npt.NDArray[Any]:
    return np.random.default_rng(1).integers(1, 250, shape).astype(dtype)


@pytest.fixture
def file(folder: Path) -> StreamFile:
    return StreamFile("r", "camera", "application/x-zarr", (folder / "a.zarr").as_uri(), {}, (1, *SHAPE))


LAYOUTS: dict[str, dict[str, Any]] = {
    "a frame a chunk": {"chunks": (1, *SHAPE)},
    "tiles": {"chunks": (1, 5, 7)},
    "three frames a chunk": {"chunks": (3, *SHAPE)},
    "shards of three frames": {"chunks": (1, *SHAPE), "shards": (3, *SHAPE)},
    "shards of tiles": {"chunks": (1, 4, 4), "shards": (2, 12, 16)},
    "uncompressed": {"chunks": (1, *SHAPE), "compressors": None},
    "format 2": {"chunks": (1, *SHAPE), "zarr_format": 2},
    "format 2, gzip, tiles": {"chunks": (2, 5, 7), "zarr_format": 2, "compressors": numcodecs.GZip()},
    "format 2, Blosc and a filter": {"chunks": (1, *SHAPE), "zarr_format": 2, "filters": [numcodecs.Delta("u2")]},
    "Blosc": {"chunks": (1, *SHAPE), "compressors": zarr.codecs.BloscCodec()},
    "gzip": {"chunks": (1, *SHAPE), "compressors": zarr.codecs.GzipCodec()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["u2", ">i4", "f4"])
def test_each_layout_gives_the_frames_that_were_written(
    reader: FrameReader, folder: Path, file: StreamFile, layout: str, dtype: str
) -> None:
    if dtype != "u2" and "filters" in LAYOUTS[layout]:
        return
    data = numbers(7, *SHAPE, dtype=dtype)
    zarr.create_array(folder / "a.zarr", data=data, **LAYOUTS[layout])
    np.testing.assert_array_equal(reader.read(file, [6, 0, 3]), data[[6, 0, 3]][:, None])


def test_an_array_in_a_group_is_named_by_the_dataset(reader: FrameReader, folder: Path) -> None:
    data = numbers(2, *SHAPE)
    for zarr_format in (2, 3):
        root = zarr.open_group(folder / f"{zarr_format}.zarr", mode="w", zarr_format=zarr_format)
        root.create_array("entry/data", data=data, chunks=(1, *SHAPE))
        uri = (folder / f"{zarr_format}.zarr").as_uri()
        for parameters in ({"dataset": "/entry/data"}, {"path": "entry/data"}):
            named = StreamFile("r", "camera", "application/x-zarr", uri, parameters, (1, *SHAPE))
            np.testing.assert_array_equal(reader.read(named, [1])[0, 0], data[1])
        with pytest.raises(FrameBroken, match="must name an array in it"):
            reader.read(StreamFile("r", "camera", "application/x-zarr", uri, {}, (1, *SHAPE)), [1])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_frames_are_read_as_the_array_grows(reader: FrameReader, folder: Path, file: StreamFile, zarr_format: Any) -> None:
    with pytest.raises(FrameNotYet):
        reader.read(file, [0])
    data = numbers(4, *SHAPE)
    array = zarr.create_array(folder / "a.zarr", shape=(0, *SHAPE), chunks=(1, *SHAPE), dtype="u2", zarr_format=zarr_format)
    for index in range(4):
        with pytest.raises(FrameNotYet, match=f"has {index} frames so far"):
            reader.read(file, [index])
        array.resize((index + 1, *SHAPE))
        with pytest.raises(FrameNotYet, match="not been written"):
            reader.read(file, [index])
        array[index] = data[index]
        np.testing.assert_array_equal(reader.read(file, [index])[0, 0], data[index])


def test_a_frame_one_of_whose_tiles_is_missing_is_never_zeros(reader: FrameReader, folder: Path, file: StreamFile) -> None:
    data = numbers(2, *SHAPE)
    array = zarr.create_array(folder / "a.zarr", shape=(2, *SHAPE), chunks=(1, 6, 8), dtype="u2")
    array[1] = data[1]
    for rows, columns in ((0, 0), (0, 8), (6, 0), (6, 8)):
        with pytest.raises(FrameNotYet, match="not been written"):
            reader.read(file, [0])
        array[0, rows : rows + 6, columns : columns + 8] = data[0, rows : rows + 6, columns : columns + 8]
    np.testing.assert_array_equal(reader.read(file, [0])[0, 0], data[0])


@pytest.mark.parametrize("layout", [{"chunks": (3, *SHAPE)}, {"chunks": (1, *SHAPE), "shards": (3, *SHAPE)}])
def test_a_frame_that_shares_its_file_with_others_is_late_until_it_or_a_later_one_is_written(
    reader: FrameReader, folder: Path, file: StreamFile, layout: Any
) -> None:
    data = numbers(6, *SHAPE)
    array = zarr.create_array(folder / "a.zarr", shape=(6, *SHAPE), dtype="u2", **layout)
    array[0] = data[0]
    np.testing.assert_array_equal(reader.read(file, [0])[0, 0], data[0])
    with pytest.raises(FrameNotYet, match="only the fill value"):
        reader.read(file, [1])
    array[2] = data[2]
    assert reader.read(file, [1]).sum() == 0  # the writer went on, so these zeros were measured
    array[3] = data[3]
    with pytest.raises(FrameNotYet, match="only the fill value"):
        reader.read(file, [5])


def test_zeros_that_were_written_are_zeros(reader: FrameReader, folder: Path, file: StreamFile) -> None:
    array = zarr.create_array(folder / "a.zarr", shape=(1, *SHAPE), chunks=(1, *SHAPE), dtype="u2", config={"write_empty_chunks": True})
    array[0] = 0
    assert reader.read(file, [0]).sum() == 0


def test_a_chunk_that_is_half_written_is_late(reader: FrameReader, folder: Path, file: StreamFile) -> None:
    data = numbers(1, *SHAPE)
    for compressors in (None, "auto"):
        zarr.create_array(folder / "a.zarr", data=data, chunks=(1, *SHAPE), compressors=compressors, overwrite=True)
        path = folder / "a.zarr" / "c" / "0" / "0" / "0"
        whole = path.read_bytes()
        for length in range(0, len(whole), 11):
            path.write_bytes(whole[:length])
            with pytest.raises(FrameNotYet):
                reader.read(file, [0])
        path.write_bytes(whole)
        np.testing.assert_array_equal(reader.read(file, [0])[0, 0], data[0])


def test_metadata_that_are_half_written_are_late(reader: FrameReader, folder: Path, file: StreamFile) -> None:
    data = numbers(1, *SHAPE)
    zarr.create_array(folder / "a.zarr", data=data, chunks=(1, *SHAPE))
    path = folder / "a.zarr" / "zarr.json"
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        with pytest.raises(FrameNotYet):
            reader.read(file, [0])
    path.write_bytes(whole)
    np.testing.assert_array_equal(reader.read(file, [0])[0, 0], data[0])


def test_spectra_and_numbers(reader: FrameReader, folder: Path) -> None:
    for shape in ((30,), ()):
        data = numbers(6, *shape)
        zarr.create_array(folder / "b.zarr", data=data, chunks=(2, *shape), overwrite=True)
        file = StreamFile("r", "mca", "application/x-zarr", (folder / "b.zarr").as_uri(), {}, shape)
        np.testing.assert_array_equal(reader.read(file, [5])[0, 0].ravel(), np.atleast_1d(data[5]))


def test_a_codec_that_unpickles_is_refused(reader: FrameReader, folder: Path, file: StreamFile, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    stored = bytes(numcodecs.Pickle().encode(np.array([Hostile()], object)))
    metadata = {"zarr_format": 2, "shape": [1, *SHAPE], "chunks": [1, *SHAPE], "dtype": "<u2", "fill_value": 0, "order": "C"}
    for hostile in ({"compressor": {"id": "pickle"}, "filters": None}, {"compressor": None, "filters": [{"id": "pickle"}]}):
        (folder / "a.zarr").mkdir(exist_ok=True)
        (folder / "a.zarr" / ".zarray").write_text(json.dumps(metadata | hostile))
        (folder / "a.zarr" / "0.0.0").write_bytes(stored)
        with pytest.raises(FrameRefused, match="codec 'pickle'"):
            reader.read(file, [0])
    (folder / "a.zarr" / ".zarray").unlink()
    zarr.create_array(folder / "a.zarr", shape=(2, *SHAPE), chunks=(1, *SHAPE), shards=(2, *SHAPE), dtype="u2", overwrite=True)
    told = json.loads((folder / "a.zarr" / "zarr.json").read_text())
    for codec in ("numcodecs.pickle", {"name": "numcodecs.pickle", "configuration": {}}):
        for where in (told["codecs"], told["codecs"][0]["configuration"]["codecs"], told["codecs"][0]["configuration"]["index_codecs"]):
            where.append(codec)
            (folder / "a.zarr" / "zarr.json").write_text(json.dumps(told))
            with pytest.raises(FrameRefused, match="codec 'pickle'"):
                reader.read(file, [0])
            where.pop()
    assert not (tmp_path / "ran").exists()


def test_chunks_and_metadata_that_are_links_out_of_the_roots_are_refused(
    reader: FrameReader, folder: Path, file: StreamFile, tmp_path: Path
) -> None:
    zarr.create_array(folder / "a.zarr", data=numbers(1, *SHAPE), chunks=(1, *SHAPE))
    for name in ("c/0/0/0", "zarr.json"):
        path = folder / "a.zarr" / name
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
        with pytest.raises(FrameRefused):
            reader.read(file, [0])
    away = StreamFile("r", "camera", "application/x-zarr", (folder / "a.zarr").as_uri(), {"dataset": "../../secret"}, None)
    with pytest.raises(FrameBroken, match="expected the path"):
        reader.read(away, [0])


class DyingDisk(DataRoots):
    """A disk that no longer answers."""

    def open_path(self, path: Path) -> int:
        raise FrameNotYet(f"{path} cannot be opened yet") from OSError(errno.EIO, "Input/output error")


def test_a_disk_that_does_not_answer_does_not_look_like_a_chunk_that_holds_nothing(folder: Path) -> None:
    assert RootedStore(DataRoots((folder,)), folder / "a.zarr").read("c/0/0/0") is None
    with pytest.raises(FrameNotYet):
        RootedStore(DyingDisk((folder,)), folder / "a.zarr").read("c/0/0/0")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shape": [1, 1 << 20, 1 << 20]}, "at most 1 GiB"),
        ({"chunks": [1, 1 << 20, 1 << 20]}, "at most 1 GiB"),
        ({"dtype": "|O", "filters": [{"id": "vlen-utf8"}]}, "vlen-utf8"),
        ({"dtype": "<c16", "fill_value": None}, "type complex128"),
        ({"shape": [], "chunks": []}, "single number"),
    ],
)
def test_what_is_no_array_of_frames_is_told(reader: FrameReader, folder: Path, file: StreamFile, change: Any, told: str) -> None:
    metadata = {
        **{"zarr_format": 2, "shape": [1, *SHAPE], "chunks": [1, *SHAPE], "dtype": "<u2", "fill_value": 0, "order": "C"},
        **{"compressor": None, "filters": None},
    }
    (folder / "a.zarr").mkdir()
    (folder / "a.zarr" / ".zarray").write_text(json.dumps(metadata | change))
    with pytest.raises((FrameBroken, FrameRefused), match=told):
        reader.read(file, [0])
