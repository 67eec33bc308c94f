"""Frames in image files: numbered ones, and one file of several pages; late, half written, damaged, hostile."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet, FrameRefused
from wpb_stream.core.resources import Resources
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.reader import FrameReader

N = 6


def numbers(*shape: int, dtype: str = "u2") -> npt.NDArray[Any]:
    return np.random.default_rng(1).integers(1, 250, shape).astype(dtype)


def png(image: npt.NDArray[Any]) -> bytes:
    out = BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(image: npt.NDArray[Any], **options: Any) -> bytes:
    """One page an image of the last two axes, or one of colours if they are the last."""
    out = BytesIO()
    coloured = image.shape[-1] in (3, 4)
    tifffile.imwrite(out, image, **{"photometric": "rgb" if coloured else "minisblack", **options})
    return out.getvalue()


def npy(array: npt.NDArray[Any]) -> bytes:
    out = BytesIO()
    np.save(out, array)
    return out.getvalue()


WRITERS: dict[str, tuple[str, Callable[..., bytes]]] = {
    "image/tiff": (".tiff", tiff),
    "image/png": (".png", png),
    "application/x-npy": (".npy", npy),
}


@pytest.fixture
def sequence(folder: Path) -> Callable[..., StreamFile]:
    """Write one file an item; gives the resource that names them."""

    def write(files: Any, shape: Any, kind: str = "image/tiff", template: str | None = None, **parameters: Any) -> StreamFile:
        extension, writer = WRITERS[kind]
        for number, file in enumerate(files):
            (folder / f"scan_{number:06d}{extension}").write_bytes(writer(file))
        asked = {"template": template or "scan_{:06d}" + extension, **parameters}
        return StreamFile("r", "camera", f"multipart/related;type={kind}", folder.as_uri() + "/", asked, shape)

    return write


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_one_image_a_file_and_an_index(reader: FrameReader, sequence: Any, kind: str, dtype: str) -> None:
    data = numbers(N, 12, 16, dtype=dtype)
    for shape in ((1, 12, 16), (12, 16), (1, 0, 0), None):
        if kind != "application/x-npy" or shape == (12, 16):
            np.testing.assert_array_equal(reader.read(sequence(data, shape, kind), [5, 0, 3]), data[[5, 0, 3]][:, None])


def test_templates_of_both_styles_name_the_same_files(reader: FrameReader, sequence: Any) -> None:
    data = numbers(3, 12, 16)
    styles: list[dict[str, Any]] = [
        {"template": "scan_{:06d}.tiff"},
        {"template": "scan_{0:06d}.tiff"},
        {"template": "%s%s_%6.6d.tiff", "filename": "scan"},
        {"template": "%s_%06d.tiff", "filename": "scan"},
        {"template": "scan_%.6d.tiff"},
    ]
    for style in styles:
        np.testing.assert_array_equal(reader.read(sequence(data, (1, 12, 16), **style), [2, 1])[:, 0], data[[2, 1]])


@pytest.mark.parametrize("template", ["a_{:06d}{x}.tiff", "{0.__class__}", "{:999999999d}.tiff", "a_%x.tiff", "{!r}", 7, None])
def test_a_template_that_is_none_is_told(reader: FrameReader, sequence: Any, template: Any) -> None:
    file = sequence(numbers(1, 12, 16), (1, 12, 16))
    file.parameters["template"] = template
    with pytest.raises(FrameBroken, match="template"):
        reader.read(file, [0])


def test_several_files_an_index(reader: FrameReader, sequence: Any) -> None:
    data = numbers(N, 12, 16)
    for parameters in ({}, {"chunk_shape": [1, 12, 16]}, {"chunk_shape": [1, 12, 16], "join_method": "stack"}):
        file = sequence(data, (3, 12, 16), **parameters)
        np.testing.assert_array_equal(reader.read(file, [1, 0]), data.reshape(2, 3, 12, 16)[::-1])
    np.testing.assert_array_equal(reader.read(sequence(data, (12, 16), multiplier=3), [1, 0]), data.reshape(2, 3, 12, 16)[::-1])


def test_images_of_one_index_that_differ_in_shape_cannot_be_looked_at_together(reader: FrameReader, sequence: Any) -> None:
    file = sequence([numbers(12, 16), numbers(10, 16)], (2, 12, 16))
    with pytest.raises(FrameBroken, match=r"index 0 of .* different shapes"):
        reader.look(file, 0, None)


def test_several_pages_a_file_that_make_one_index_or_several_or_a_part_of_one(reader: FrameReader, sequence: Any) -> None:
    data = numbers(2 * N, 12, 16)
    one = sequence(data.reshape(4, 3, 12, 16), (3, 12, 16), join_method="stack")
    np.testing.assert_array_equal(reader.read(one, [3, 0]), data.reshape(4, 3, 12, 16)[[3, 0]])
    several = sequence(data.reshape(4, 3, 12, 16), (1, 12, 16), chunk_shape=[3, 12, 16])
    np.testing.assert_array_equal(reader.read(several, [11, 4]), data[[11, 4]][:, None])
    part = sequence(data.reshape(6, 2, 12, 16), (4, 12, 16), chunk_shape=[2, 12, 16])
    np.testing.assert_array_equal(reader.read(part, [2, 0]), data.reshape(3, 4, 12, 16)[[2, 0]])


def test_colours_are_added_up_wherever_the_documents_have_them(reader: FrameReader, sequence: Any) -> None:
    data = numbers(3, 12, 16, 3, dtype="u1")
    for kind in ("image/png", "image/tiff"):
        for shape in ((3, 12, 16), (1, 3, 12, 16), (12, 16, 3), (1, 12, 16, 3), None):
            read = reader.read(sequence(data, shape, kind), [2, 0])
            np.testing.assert_array_equal(read[:, 0], data.astype("u2").sum(axis=-1)[[2, 0]])
    twice = numbers(4, 12, 16, 3, dtype="u1")
    read = reader.read(sequence(twice, (2, 3, 12, 16), "image/png"), [1])
    np.testing.assert_array_equal(read[0], twice.astype("u2").sum(axis=-1)[2:])


def test_colours_in_planes_are_added_up(reader: FrameReader, folder: Path) -> None:
    data = numbers(3, 12, 16, dtype="u1")
    (folder / "a.tiff").write_bytes(tiff(data, planarconfig="separate", photometric="rgb"))
    read = reader.read(StreamFile("r", "c", "image/tiff", (folder / "a.tiff").as_uri(), {}, (3, 12, 16)), [0])
    np.testing.assert_array_equal(read[0].sum(axis=0), data.astype("u2").sum(axis=0))


def test_transparency_is_no_colour(reader: FrameReader, sequence: Any) -> None:
    data = numbers(2, 12, 16, 4, dtype="u1")
    read = reader.read(sequence(data, (12, 16, 4), "image/png"), [1])
    np.testing.assert_array_equal(read[0, 0], data[1, ..., :3].astype("u2").sum(axis=-1))


def test_jpeg_files_give_what_their_decoder_gives(reader: FrameReader, folder: Path) -> None:
    image = np.kron(numbers(3, 4, dtype="u1"), np.ones((8, 8), "u1"))
    for number in range(2):
        Image.fromarray(image // (number + 1)).save(folder / f"a{number}.jpg", quality=95)
    file = StreamFile("r", "c", "multipart/related;type=image/jpeg", folder.as_uri() + "/", {"template": "a{:d}.jpg"}, (1, 24, 32))
    with Image.open(folder / "a1.jpg") as decoded:
        np.testing.assert_array_equal(reader.read(file, [1])[0, 0], np.asarray(decoded))


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "lzw"}, {"compression": "zstd"}, {"tile": (16, 16)}])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i4", "<f4", "<f8"])
def test_tiff_files_of_each_type_and_compression(reader: FrameReader, folder: Path, dtype: str, options: dict[str, Any]) -> None:
    data = numbers(3, 24, 32).astype(dtype)
    with tifffile.TiffWriter(folder / "a.tif", byteorder=">" if dtype.startswith(">") else "<") as writer:
        for image in data:
            writer.write(image, contiguous=False, **options)
    file = StreamFile("r", "camera", "image/tiff", (folder / "a.tif").as_uri(), {}, (1, 24, 32))
    np.testing.assert_array_equal(reader.read(file, [2, 0]), data[[2, 0]][:, None])


def test_the_pages_of_one_growing_file_are_read_as_they_are_written(reader: FrameReader, folder: Path) -> None:
    data = numbers(4, 12, 16)
    file = StreamFile("r", "camera", "image/tiff", (folder / "a.tif").as_uri(), {}, (2, 12, 16))
    for index in range(2):
        for image in data[2 * index : 2 * index + 2]:
            with pytest.raises(FrameNotYet, match=r"a\.tif"):
                reader.read(file, [index])
            tifffile.imwrite(folder / "a.tif", image, append=True)
        np.testing.assert_array_equal(reader.read(file, [index])[0], data[2 * index : 2 * index + 2])


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_is_not_there_or_half_written_is_late_at_every_byte(
    reader: FrameReader, sequence: Any, folder: Path, kind: str
) -> None:
    data = numbers(2, 12, 16, dtype="u1")
    file = sequence(data, (12, 16), kind)
    path = sorted(folder.iterdir())[1]
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(FrameNotYet):
        reader.read(file, [1])
    step = 1 if len(whole) < 600 else 7
    for length in [*range(0, len(whole) - 12, step)]:
        path.write_bytes(whole[:length])
        try:
            read = reader.read(file, [1])
        except FrameNotYet:
            continue
        np.testing.assert_array_equal(read[0, 0], data[1])
    path.write_bytes(whole)
    np.testing.assert_array_equal(reader.read(file, [1])[0, 0], data[1])


def test_a_strip_that_lies_beyond_the_end_of_the_file_is_never_zeros(reader: FrameReader, folder: Path) -> None:
    # As libtiff leaves it when the directory is written before the data, or the file was cut.
    data = numbers(12, 16)
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        writer.write(np.zeros((12, 16), "u2"))
        writer.write(data)
    whole = (folder / "a.tif").read_bytes()
    place = whole.index(data.tobytes())
    (folder / "a.tif").write_bytes(whole[: place + data.nbytes // 2])
    file = StreamFile("r", "camera", "image/tiff", (folder / "a.tif").as_uri(), {}, (1, 12, 16))
    with pytest.raises(FrameNotYet):
        reader.read(file, [1])


@pytest.mark.parametrize("tag", [273, 279])
def test_a_strip_without_a_place_or_a_length_so_far_is_never_zeros(reader: FrameReader, folder: Path, tag: int) -> None:
    whole = bytearray(tiff(numbers(12, 16)))
    first = struct.unpack_from("<I", whole, 4)[0]
    for entry in range(first + 2, first + 2 + 12 * struct.unpack_from("<H", whole, first)[0], 12):
        if struct.unpack_from("<H", whole, entry)[0] == tag:  # StripOffsets, StripByteCounts
            struct.pack_into("<I", whole, entry + 8, 0)
    (folder / "a.tif").write_bytes(whole)
    with pytest.raises(FrameNotYet, match="not written whole"):
        reader.read(StreamFile("r", "camera", "image/tiff", (folder / "a.tif").as_uri(), {}, (1, 12, 16)), [0])


def test_a_file_that_is_replaced_is_read_anew(reader: FrameReader, folder: Path) -> None:
    first, second = numbers(2, 12, 16)
    file = StreamFile("r", "camera", "image/tiff", (folder / "a.tif").as_uri(), {}, (1, 12, 16))
    for image in (first, second):
        (folder / "new.tif").write_bytes(tiff(image))
        os.replace(folder / "new.tif", folder / "a.tif")
        np.testing.assert_array_equal(reader.read(file, [0])[0, 0], image)


def test_a_sequence_may_lie_in_a_folder_or_begin_with_the_end_of_its_uri(reader: FrameReader, sequence: Any, folder: Path) -> None:
    data = numbers(2, 12, 16)
    file = sequence(data, (1, 12, 16))
    for uri, template in (
        (folder.as_uri(), "scan_{:06d}.tiff"),
        (folder.as_uri() + "/", "scan_{:06d}.tiff"),
        (folder.as_uri() + "/scan", "_{:06d}.tiff"),
    ):
        other = StreamFile("r", "camera", file.mimetype, uri, {"template": template}, (1, 12, 16))
        np.testing.assert_array_equal(reader.read(other, [1])[0, 0], data[1])


def test_a_name_with_a_percent_sign_and_blanks_is_that_name(reader: FrameReader, folder: Path) -> None:
    data = numbers(12, 16)
    (folder / "50%20 µm_0.tiff").write_bytes(tiff(data))
    asked = {"template": "%s_%d.tiff", "filename": "50%20 µm"}
    file = StreamFile("r", "camera", "multipart/related;type=image/tiff", folder.as_uri() + "/", asked, (1, 12, 16))
    np.testing.assert_array_equal(reader.read(file, [0])[0, 0], data)


def test_npy_files_of_numbers_and_spectra_and_several_frames(reader: FrameReader, sequence: Any) -> None:
    spectra = numbers(N, 30)
    np.testing.assert_array_equal(reader.read(sequence(spectra, (30,), "application/x-npy"), [4])[0, 0, 0], spectra[4])
    scalars = numbers(N)
    np.testing.assert_array_equal(reader.read(sequence(scalars, (), "application/x-npy"), [4])[0, 0, 0, 0], scalars[4])
    stacks = numbers(N, 3, 12, 16)
    np.testing.assert_array_equal(reader.read(sequence(stacks, (3, 12, 16), "application/x-npy"), [4])[0], stacks[4])


def test_the_simulated_devices_of_bluesky_leave_their_template_out(reader: FrameReader, folder: Path) -> None:
    for number in range(3):
        np.save(folder / f"abc_{number}.npy", np.full((4, 5), number + 1))
    asked = {"filename": "abc"}
    file = StreamFile("r", "img", "multipart/related;type=application/x-npy", folder.as_uri() + "/", asked, (4, 5))
    assert (reader.read(file, [2]) == 3).all()


def test_pickled_arrays_are_refused(reader: FrameReader, sequence: Any, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    file = sequence([np.array([Hostile()], object)], (1,), "application/x-npy")
    with pytest.raises(FrameBroken, match="type object"):
        reader.read(file, [0])
    assert not (tmp_path / "ran").exists()


def test_a_file_of_another_format_is_told(reader: FrameReader, sequence: Any, folder: Path) -> None:
    file = sequence(numbers(1, 12, 16), (1, 12, 16))
    (folder / "scan_000000.tiff").write_bytes(png(numbers(12, 16, dtype="u1")))
    with pytest.raises(FrameBroken, match="no image/tiff file"):
        reader.read(file, [0])


def test_a_few_bytes_that_declare_gigabytes_are_refused_before_anything_is_decoded(reader: FrameReader, folder: Path) -> None:
    tags = [(256, 4, 200_000), (257, 4, 200_000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 100)]
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags) + bytes(4)
    (folder / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + ifd)
    with pytest.raises(FrameBroken, match="at most 1 GiB"):
        reader.read(StreamFile("r", "c", "image/tiff", (folder / "a.tif").as_uri(), {}, None), [0])
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 20)}
    with (folder / "0.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    npys = StreamFile("r", "c", "multipart/related;type=application/x-npy", folder.as_uri() + "/", {"template": "{:d}.npy"}, None)
    with pytest.raises(FrameBroken, match="at most 1 GiB"):
        reader.read(npys, [0])
    declared = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)) + png_chunk(b"IDAT", b"")
    (folder / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + declared)
    pngs = StreamFile("r", "c", "multipart/related;type=image/png", folder.as_uri() + "/", {"template": "{:d}.png"}, None)
    with pytest.raises(FrameBroken, match="more pixels than are read"):
        reader.read(pngs, [0])


def test_pages_that_follow_each_other_in_a_circle_end(reader: FrameReader, folder: Path) -> None:
    whole = bytearray(tiff(numbers(12, 16)))
    first = struct.unpack_from("<I", whole, 4)[0]
    entries = struct.unpack_from("<H", whole, first)[0]
    struct.pack_into("<I", whole, first + 2 + 12 * entries, first)
    (folder / "a.tif").write_bytes(whole)
    file = StreamFile("r", "c", "image/tiff", (folder / "a.tif").as_uri(), {}, (1, 12, 16))
    with pytest.raises((FrameNotYet, FrameBroken)):
        reader.read(file, [1_000_000])


def test_files_outside_the_roots_are_refused(reader: FrameReader, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret_0.tiff").write_bytes(tiff(numbers(12, 16)))
    (folder / "link_0.tiff").symlink_to(tmp_path / "secret_0.tiff")
    for uri, template in (
        (folder.as_uri() + "/", "../secret_{:d}.tiff"),
        (folder.as_uri() + "/", "link_{:d}.tiff"),
        (tmp_path.as_uri() + "/", "secret_{:d}.tiff"),
    ):
        file = StreamFile("r", "c", "multipart/related;type=image/tiff", uri, {"template": template}, (1, 12, 16))
        with pytest.raises(FrameRefused):
            reader.read(file, [0])


def test_colours_of_16_bits_that_a_decoder_would_round_are_refused(reader: FrameReader, folder: Path) -> None:
    rows = b"".join(b"\0" + numbers(16 * 3).astype(">u2").tobytes() for _ in range(12))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 12, 16, 2, 0, 0, 0))
    whole = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    (folder / "a0.png").write_bytes(whole)
    file = StreamFile("r", "c", "multipart/related;type=image/png", folder.as_uri() + "/", {"template": "a{:d}.png"}, None)
    with pytest.raises(FrameBroken, match="16 bits"):
        reader.read(file, [0])


def test_resources_of_the_older_kind_name_the_same_files(reader: FrameReader, sequence: Any, folder: Path) -> None:
    data = numbers(N, 12, 16)
    sequence(data, None)
    for number in range(N):
        np.save(folder / f"abc_{number}.npy", data[number])
    older: list[tuple[str, str, dict[str, Any], Any]] = [
        ("AD_TIFF", "", {"template": "%s%s_%6.6d.tiff", "filename": "scan", "frame_per_point": 3}, data.reshape(2, 3, 12, 16)[1]),
        ("AD_TIFF", "", {"template": "%s%s_%6.6d.tiff", "filename": "scan", "frame_per_point": 1}, data[[1]]),
        ("NPY_SEQ", "abc", {}, data[[1]]),
    ]
    for spec, path, kwargs, expected in older:
        resources = Resources()
        resources.add({"uid": "r", "spec": spec, "root": str(folder), "resource_path": path, "resource_kwargs": kwargs})
        np.testing.assert_array_equal(reader.read(resources.file("r", "camera", [12, 16]), [1])[0], expected)
