"""Reductions with masks, bad pixels, dark and flat in files: what comes out is what numpy makes of the same arrays."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from wpb_stream.core.masks import NO_BAD_PIXELS
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import FrameRef, FrameStatus, StreamFile, WindowRequest, WindowResult
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes.line import Line

Make = Callable[..., StreamFile]
RANDOM = np.random.default_rng(12)
SHAPE = (12, 16)
DATA = RANDOM.integers(0, 2**16, (9, *SHAPE), dtype="u2")
MASK = RANDOM.random(SHAPE) < 0.3
DARKS = RANDOM.integers(90, 110, (5, *SHAPE), dtype="u2")
FLAT = RANDOM.uniform(0.5, 1.5, SHAPE)
FLAT[3, 4], FLAT[5, 6], FLAT[7, 8] = 0, np.nan, np.inf
USABLE = np.isfinite(FLAT) & (FLAT != 0)


@pytest.fixture
def file(folder: Path, stream_file: Make) -> StreamFile:
    with h5py.File(folder / "a.h5", "w") as made:
        made.create_dataset("entry/data/data", data=DATA, chunks=(1, *SHAPE))
    return stream_file(folder / "a.h5")


def reducer(wpb: dict[str, Any]) -> Reducer:
    return Line().make({"wpb": wpb}, PlanDefaults()).reducer


def in_file(folder: Path, **arrays: Any) -> str:
    """An HDF5 file of these datasets; its URI."""
    path = folder / "arrays.h5"
    with h5py.File(path, "a") as made:
        for name, array in arrays.items():
            made.create_dataset(name, data=array)
    return path.as_uri()


def reduced(roots: DataRoots, file: StreamFile, wpb: dict[str, Any], *indices: int) -> WindowResult:
    reader = FrameReader(roots)
    try:
        return reader.reduce(WindowRequest(file, indices or tuple(range(9)), reducer(wpb)))
    finally:
        reader.close()


def save(path: Path, array: np.ndarray) -> dict[str, str]:
    """An array in a file of the type that its name tells, and what names it."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array)
    elif path.suffix == ".png":
        Image.fromarray(array).save(path)
    else:
        with h5py.File(path, "w") as made:
            made.create_dataset("entry/mask", data=array)
        return {"mask_file": path.as_uri(), "dataset": "entry/mask"}
    return {"mask_file": path.as_uri()}


@pytest.mark.parametrize("name", ["m.h5", "m.nxs", "m.npy", "m.tif", "m.png"])
def test_what_is_not_zero_in_a_mask_is_inside(folder: Path, file: StreamFile, roots: DataRoots, name: str) -> None:
    mask = save(folder / name, MASK.astype("u1") * 7)
    wanted = {"in": mask, "out": {**mask, "outside": True}, "peak": {**mask, "statistic": "maximum"}, "mean": {**mask, "statistic": "mean"}}
    found = reduced(roots, file, {"regions": wanted})
    assert found.reason is None
    for frame, values in zip(DATA.astype("u8"), found.values.tolist(), strict=True):
        inside = frame[MASK]
        assert values == [inside.sum(), frame[~MASK].sum(), inside.max(), inside.sum() / inside.size, frame.sum()]


@pytest.mark.parametrize("array", [MASK, MASK[np.newaxis], MASK.astype("i8") * -3, np.where(MASK, np.nan, 0.0)])
def test_a_mask_may_be_of_any_numbers_and_the_only_frame_of_a_stack(
    folder: Path, file: StreamFile, roots: DataRoots, array: np.ndarray
) -> None:
    found = reduced(roots, file, {"regions": {"in": {"mask_file": in_file(folder, m=array), "dataset": "m"}}})
    assert found.values[:, 0].tolist() == [float(frame[MASK].sum(dtype="u8")) for frame in DATA]


def test_a_mask_without_any_pixel_is_a_region_without_pixels(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    mask = {"mask_file": in_file(folder, m=np.zeros(SHAPE, "u1")), "dataset": "m"}
    total, mean, rest, _ = reduced(
        roots, file, {"regions": {"in": mask, "mean": {**mask, "statistic": "mean"}, "rest": {**mask, "outside": True}}}, 0
    ).values[0]
    assert total == 0
    assert math.isnan(mean)
    assert rest == DATA[0].sum(dtype="u8")


@pytest.mark.parametrize("share", [0.004, 0.3])
def test_what_is_not_zero_in_a_file_of_bad_pixels_counts_nowhere_and_listed_ones_neither(
    folder: Path, file: StreamFile, roots: DataRoots, share: float
) -> None:
    bad = np.random.default_rng(1).random(SHAPE) < share
    bad[2, 3] = True
    named = {"mask_file": in_file(folder, m=bad.astype("u4") << 31), "dataset": "m"}
    wpb = {"regions": {"top": {"rows": [0, 6]}, "peak": {"statistic": "maximum"}, "hits": {"statistic": "above", "threshold": 9999}}}
    found = reduced(roots, file, {**wpb, "bad_pixels": named})
    for frame, values in zip(DATA.astype("u8"), found.values.tolist(), strict=True):
        good = frame[~bad]
        assert values == [frame[:6][~bad[:6]].sum(), good.max(), np.count_nonzero(good > 9999), good.sum()]


def test_the_centre_of_mass_knows_masks_and_bad_pixels_of_files(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    uri = in_file(folder, m=MASK, b=~MASK & (DATA[0] > 2**15), w=MASK | (DATA[0] > 2**15))
    wpb = {
        "reduction": "centre_of_mass",
        "mask": {"mask_file": uri, "dataset": "w"},
        "bad_pixels": {"mask_file": uri, "dataset": "b"},
    }
    row, column, total = reduced(roots, file, wpb, 0).values[0]
    counts = np.where(MASK, DATA[0], 0).astype("u8")
    rows, columns = np.indices(SHAPE)
    assert (row, column, total) == ((rows * counts).sum() / counts.sum(), (columns * counts).sum() / counts.sum(), counts.sum())


def test_each_frame_has_the_dark_taken_off_and_is_divided_by_the_flat(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    uri = in_file(folder, dark=DARKS, flat=FLAT)
    wpb = {"dark": {"file": uri, "dataset": "dark"}, "flat": {"file": uri, "dataset": "flat"}}
    regions = {"top": {"rows": [0, 6]}, "peak": {"statistic": "maximum"}, "hits": {"statistic": "above", "threshold": 20000}}
    found = reduced(roots, file, {**wpb, "regions": regions})
    centre = reduced(roots, file, {**wpb, "reduction": "centre_of_mass"})
    dark = DARKS.sum(axis=0) / len(DARKS)
    rows, columns = np.indices(SHAPE)[:, USABLE]
    for frame, values, moments in zip(DATA, found.values, centre.values, strict=True):
        corrected = (frame[USABLE] - dark[USABLE]) / FLAT[USABLE]
        top = (frame - dark)[:6][USABLE[:6]] / FLAT[:6][USABLE[:6]]
        assert values[1:3].tolist() == [corrected.max(), np.count_nonzero(corrected > 20000)]
        # Sums of 192 float64 in any order: 192 roundings at most.
        assert values[[0, 3]] == pytest.approx([math.fsum(top), math.fsum(corrected)], rel=1e-13)
        right = [math.fsum(rows * corrected), math.fsum(columns * corrected)]
        assert moments == pytest.approx([*(one / math.fsum(corrected) for one in right), math.fsum(corrected)], rel=1e-12)


@pytest.mark.parametrize("dark", [DARKS[0], DARKS[:1], np.stack([DARKS[0], DARKS[0] + 2])])
def test_with_a_dark_of_whole_numbers_alone_sums_of_integers_stay_exact(
    folder: Path, file: StreamFile, roots: DataRoots, dark: np.ndarray
) -> None:
    mean = dark.reshape(-1, *SHAPE).mean(axis=0).astype(int)
    regions = {"top": {"rows": [0, 6]}, "mean": {"statistic": "mean"}}
    found = reduced(roots, file, {"dark": {"file": in_file(folder, d=dark), "dataset": "d"}, "regions": regions})
    for frame, values in zip(DATA.astype(int), found.values.tolist(), strict=True):
        left = (frame - mean).tolist()
        total = sum(map(sum, left))
        assert values == [sum(map(sum, left[:6])), total / (12 * 16), total]


@pytest.mark.parametrize("name", ["d.npy", "d.tif"])
def test_a_dark_may_be_a_stack_in_any_kind_of_file(folder: Path, file: StreamFile, roots: DataRoots, name: str) -> None:
    save(folder / name, DARKS)
    found = reduced(roots, file, {"dark": {"file": (folder / name).as_uri()}, "regions": {"top": {"rows": [0, 6]}}})
    sums = [(frame.sum(dtype="u8") - DARKS.sum(dtype="u8") / 5) for frame in DATA]
    assert found.values[:, -1] == pytest.approx(sums, rel=1e-13)


def test_each_of_several_frames_a_point_is_corrected(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    three = StreamFile("r", "camera", file.mimetype, file.uri, file.parameters, (3, *SHAPE))
    found = reduced(roots, three, {"dark": {"file": in_file(folder, d=DARKS[0]), "dataset": "d"}}, 0, 2)
    sums = [int(DATA[k : k + 3].sum(dtype="u8")) - 3 * int(DARKS[0].sum(dtype="u8")) for k in (0, 6)]
    assert found.values[:, -1].tolist() == sums


@pytest.mark.parametrize(
    ("held", "status", "words"),
    [
        (None, FrameStatus.NOT_YET, ["wpb.regions.a", "arrays.h5", "No such file"]),
        ({"other": MASK}, FrameStatus.NOT_YET, ["wpb.regions.a", "no dataset 'm'"]),
        ({"m": MASK[:5]}, FrameStatus.BROKEN, ["wpb.regions.a", "has 5 x 16 pixels, and the frames have 12 x 16"]),
        ({"m": np.stack([MASK, MASK])}, FrameStatus.BROKEN, ["wpb.regions.a", "has 2 frames, and expected is one"]),
        ({"m": MASK.astype(complex)}, FrameStatus.BROKEN, ["wpb.regions.a", "complex"]),
        ({"m": MASK[0]}, FrameStatus.BROKEN, ["wpb.regions.a"]),
    ],
)
def test_a_mask_that_cannot_be_used_is_told_by_its_key_and_costs_the_frames_alone(
    folder: Path, file: StreamFile, roots: DataRoots, held: Any, status: FrameStatus, words: list[str]
) -> None:
    uri = in_file(folder, **held) if held else (folder / "arrays.h5").as_uri()
    found = reduced(roots, file, {"regions": {"a": {"mask_file": uri, "dataset": "m"}}}, 0, 1)
    assert found.status.tolist() == [status, status]
    assert np.isnan(found.values).all()
    assert [word for word in words if word not in str(found.reason)] == []


@pytest.mark.parametrize("key", ["bad_pixels", "dark", "flat"])
def test_bad_pixels_dark_and_flat_of_other_frames_are_told_by_their_key(folder: Path, file: StreamFile, roots: DataRoots, key: str) -> None:
    named = {"mask_file" if key == "bad_pixels" else "file": in_file(folder, m=np.ones((12, 15))), "dataset": "m"}
    found = reduced(roots, file, {key: named}, 0)
    assert found.status.tolist() == [FrameStatus.BROKEN]
    assert f"wpb.{key}" in str(found.reason)
    assert "has 12 x 15 pixels, and the frames have 12 x 16" in str(found.reason)


@pytest.mark.parametrize("uri", ["file:///etc/mask.npy", "file://elsewhere/mask.npy", "file:///data/../../etc/mask.npy"])
def test_no_array_is_read_from_outside_the_data_roots(file: StreamFile, roots: DataRoots, uri: str, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", MASK)
    for named in (uri, (tmp_path / "mask.npy").as_uri()):
        found = reduced(roots, file, {"bad_pixels": {"mask_file": named}}, 0)
        assert found.status[0] != FrameStatus.READ
        assert "wpb.bad_pixels" in str(found.reason)
    assert "WPB_DATA_ROOTS" in str(found.reason)


def test_more_frames_than_are_averaged_are_refused(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    with h5py.File(folder / "arrays.h5", "w") as made:
        made.create_dataset("d", (1001, *SHAPE), "u1", chunks=(1, *SHAPE))
    found = reduced(roots, file, {"dark": {"file": (folder / "arrays.h5").as_uri(), "dataset": "d"}}, 0)
    assert "has 1001 frames, and 1 to 1,000 are averaged" in str(found.reason)


def test_arrays_are_read_once_and_anew_when_their_file_changes(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    np.save(folder / "m.npy", MASK)
    np.save(folder / "other.npy", ~MASK)
    reader = FrameReader(roots)

    def inside() -> float:  # a reducer of its own each time, as it comes out of each request
        asked = reducer({"regions": {"a": {"mask_file": (folder / "m.npy").as_uri()}}})
        return float(reader.reduce(WindowRequest(file, (0,), asked)).values[0, 0])

    assert {inside() for _ in range(5)} == {float(DATA[0][MASK].sum(dtype="u8"))}
    assert reader._bindings.read == 1
    os.replace(folder / "other.npy", folder / "m.npy")
    assert {inside() for _ in range(5)} == {float(DATA[0][~MASK].sum(dtype="u8"))}
    assert reader._bindings.read == 2
    for k in range(20):
        asked = {"bad_pixels": {"mask_file": (folder / "m.npy").as_uri()}, "regions": {f"r{k}": {"rows": [0, 1]}}}
        reader.reduce(WindowRequest(file, (0,), reducer(asked)))
    assert len(reader._bindings._bound) == 4


async def test_reader_processes_behind_their_walls_read_what_reductions_need(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    uri = in_file(folder, mask=MASK, dark=DARKS, flat=FLAT)
    named = {name: {"file": uri, "dataset": name} for name in ("dark", "flat")}
    mask = {"mask_file": uri, "dataset": "mask"}
    geometry = {"dist": 0.1, "poni1": 0, "poni2": 0, "pixel1": 1e-3, "pixel2": 1e-3}
    angles = {"reduction": "azimuthal", "geometry": geometry, "unit": "2th_deg", "ranges": {"all": [0, 10]}, "npt": 9, "mask": mask}
    async with FrameReaders(roots, 2, 30) as readers:
        for wpb in ({"regions": {"a": mask}, **named}, {**angles, **named}):
            found = await readers.reduce([FrameRef(k, file, k) for k in range(9)], reducer(wpb))
            assert found.reason is None
            assert np.isfinite(found.values).all()
            assert found.values.tobytes() == reduced(roots, file, wpb).values.tobytes()


def test_what_is_accumulated_is_corrected_as_what_is_reduced_and_bad_pixels_count_in_neither(
    folder: Path, file: StreamFile, roots: DataRoots
) -> None:
    bad = RANDOM.random(SHAPE) < 0.2
    uri = in_file(folder, dark=DARKS, flat=FLAT, bad=bad)
    wpb = {
        "dark": {"file": uri, "dataset": "dark"},
        "flat": {"file": uri, "dataset": "flat"},
        "bad_pixels": {"mask_file": uri, "dataset": "bad"},
        "arrays": ["mean_frame", "maximum_frame", "last_frame"],
    }
    recipe = Line().make({"wpb": wpb}, PlanDefaults())
    reader = FrameReader(roots)
    made = reader.reduce(WindowRequest(file, tuple(range(9)), recipe.reducer, recipe.accumulation, tuple(range(9)))).tally
    reader.close()
    assert made is not None
    arrays = made.arrays()
    with np.errstate(all="ignore"):
        corrected = np.where(USABLE & ~bad, (DATA - DARKS.mean(axis=0)) / FLAT, np.nan)
    np.testing.assert_allclose(arrays["mean_frame"], corrected.mean(axis=0), rtol=1e-14)
    np.testing.assert_array_equal(arrays["maximum_frame"], corrected.max(axis=0))
    np.testing.assert_array_equal(arrays["last_frame"], corrected[8])
    assert made.of.bad == NO_BAD_PIXELS, "a mask as large as a frame is not sent on"
