"""Spectra corrected with the dead time that lies beside them, against numpy on the same arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import FrameRef, FrameStatus, StreamFile, WindowRequest, WindowResult
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes.line import Line

Make = Callable[..., StreamFile]
RANDOM = np.random.default_rng(31)
POINTS, ELEMENTS, CHANNELS = 9, 4, 40
SPECTRA = RANDOM.integers(0, 10_000, (POINTS, ELEMENTS, CHANNELS), dtype="u4")
FACTORS = RANDOM.uniform(1, 1.5, (POINTS, ELEMENTS))
REAL = RANDOM.uniform(1, 2, (POINTS, ELEMENTS))
TOLERANCE = 1e-13
"""Relative: sums of 160 products in float64, in whatever order."""


@pytest.fixture
def file(folder: Path, stream_file: Make) -> StreamFile:
    with h5py.File(folder / "a.h5", "w") as made:
        made.create_dataset("entry/data/data", data=SPECTRA, chunks=(1, ELEMENTS, CHANNELS))
        made["dtc"], made["percent"] = FACTORS, 100 * (1 - 1 / FACTORS)
        made["real"], made["live"] = REAL, REAL / FACTORS
        for element in range(ELEMENTS):
            made[f"CHAN{element + 1}DTFactor"] = FACTORS[:, element]
            made[f"CHAN{element + 1}ICR"] = FACTORS[:, element] * 5e4
            made[f"CHAN{element + 1}OCR"] = np.full(POINTS, 5e4)
    return replace(stream_file(folder / "a.h5"), shape=(1, ELEMENTS, CHANNELS))


def reducer(dead_time: Any, **wpb: Any) -> Reducer:
    elements = {"Fe": {"window": [6, 12], "background": [[3, 5]]}}
    asked = {"reduction": "xrf", "elements": elements, "dead_time": dead_time, **wpb}
    return Line().make({"wpb": asked}, PlanDefaults()).reducer


def reduced(roots: DataRoots, file: StreamFile, asked: Reducer, *indices: int, keep_open: int = 160) -> WindowResult:
    reader = FrameReader(roots, keep_open)
    try:
        return reader.reduce(WindowRequest(file, indices or tuple(range(POINTS)), asked))
    finally:
        reader.close()


def expected(spectra: np.ndarray, factors: np.ndarray) -> list[float]:
    """Net counts of iron, and all counts, of spectra (rows, channels) by a factor a row."""
    corrected = spectra * factors[:, np.newaxis]
    return [corrected[:, 6:12].sum() - 6 * corrected[:, 3:5].sum() / 2, corrected.sum()]


def named(end: str) -> list[str]:
    return [f"CHAN{element + 1}{end}" for element in range(ELEMENTS)]


WAYS: dict[str, Any] = {
    "factor": {"factor": "/dtc"},
    "factors": {"factor": named("DTFactor")},
    "percent": {"percent": "percent"},
    "times": {"real_time": "real", "live_time": "live"},
    "rates": {"input_rate": named("ICR"), "output_rate": named("OCR")},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("shape", [(1, ELEMENTS, CHANNELS), (ELEMENTS, CHANNELS), None])
def test_each_spectrum_is_multiplied_by_the_factor_of_its_element_at_its_point(
    file: StreamFile, roots: DataRoots, way: Any, shape: Any
) -> None:
    found = reduced(roots, replace(file, shape=shape), reducer(way))
    assert found.reason is None
    for values, spectra, factors in zip(found.values, SPECTRA, FACTORS, strict=True):
        assert values == pytest.approx(expected(spectra, factors), rel=TOLERANCE, abs=1e-7)


@pytest.mark.parametrize("way", [WAYS["factor"], WAYS["factors"]])
def test_of_several_spectra_a_point_each_has_its_own_factor(file: StreamFile, roots: DataRoots, way: Any) -> None:
    found = reduced(roots, replace(file, shape=(3, ELEMENTS, CHANNELS)), reducer(way), 0, 2)
    for values, first in zip(found.values, (0, 6), strict=True):
        together = slice(first, first + 3)
        right = expected(SPECTRA[together].reshape(-1, CHANNELS), FACTORS[together].ravel())
        assert values == pytest.approx(right, rel=TOLERANCE, abs=1e-7)


def test_a_detector_of_one_element_has_a_number_a_spectrum(folder: Path, stream_file: Make, roots: DataRoots) -> None:
    with h5py.File(folder / "one.h5", "w") as made:
        made["mca"], made["dt"] = SPECTRA[:, 0], FACTORS[:, 0]
    for shape, per in (((CHANNELS,), 1), ((1, CHANNELS), 1), ((3, CHANNELS), 3)):
        file = replace(stream_file(folder / "one.h5", "mca"), shape=shape)
        found = reduced(roots, file, reducer({"factor": "dt"}), 0, 1)
        for k, values in enumerate(found.values):
            part = slice(k * per, (k + 1) * per)
            assert values == pytest.approx(expected(SPECTRA[part, 0], FACTORS[part, 0]), rel=TOLERANCE, abs=1e-7)


def test_factors_of_one_change_no_bit(file: StreamFile, roots: DataRoots, folder: Path) -> None:
    with h5py.File(folder / "a.h5", "a") as made:
        made["ones"] = np.ones((POINTS, ELEMENTS))
    plain = Line().make({"wpb": {"reduction": "xrf", "elements": {"Fe": {"window": [6, 12], "background": [[3, 5]]}}}}, PlanDefaults())
    asked = reducer({"factor": "ones"})
    assert reduced(roots, file, asked).values.tobytes() == reduced(roots, file, plain.reducer).values.tobytes()


@pytest.mark.parametrize(
    ("way", "status", "words"),
    [
        ({"factor": "nothing"}, FrameStatus.NOT_YET, ["wpb.dead_time", "nothing"]),
        ({"factor": ["dtc"]}, FrameStatus.READ, []),
        ({"factor": named("DTFactor")[:3]}, FrameStatus.BROKEN, ["wpb.dead_time tells of 3 elements at a point that has 4 spectra"]),
        ({"factor": [*named("DTFactor"), "CHAN1DTFactor"]}, FrameStatus.BROKEN, ["tells of 5 elements at a point that has 4 spectra"]),
        ({"factor": "entry/data/data"}, FrameStatus.BROKEN, ["wpb.dead_time tells of 160 elements"]),
        ({"real_time": "real", "live_time": ["CHAN1ICR"]}, FrameStatus.BROKEN, ["wpb.dead_time: 4 and 1 numbers cannot be divided"]),
        ({"factor": "short"}, FrameStatus.NOT_YET, ["wpb.dead_time", "frame 8"]),
    ],
)
def test_a_factor_that_is_missing_is_told_and_nothing_is_shown_uncorrected(
    folder: Path, file: StreamFile, roots: DataRoots, way: Any, status: FrameStatus, words: list[str]
) -> None:
    with h5py.File(folder / "a.h5", "a") as made:
        made["short"] = FACTORS[:5]
    found = reduced(roots, file, reducer(way), 8)
    assert found.status.tolist() == [status]
    assert np.isnan(found.values).all() == (status != FrameStatus.READ)
    assert [word for word in words if word not in str(found.reason)] == []


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan, np.inf])
def test_a_useless_factor_breaks_its_point_unless_there_is_nothing_that_it_could_change(
    folder: Path, file: StreamFile, roots: DataRoots, factor: float
) -> None:
    factors, spectra = FACTORS.copy(), SPECTRA.copy()
    factors[2, 1] = factors[3, 2] = factor
    spectra[3, 2] = 0
    with h5py.File(folder / "a.h5", "a") as made:
        made["dtc"][...], made["entry/data/data"][...] = factors, spectra
    found = reduced(roots, file, reducer({"factor": "dtc"}), 1, 2, 3)
    assert found.status.tolist() == [FrameStatus.READ, FrameStatus.BROKEN, FrameStatus.READ]
    assert "wpb.dead_time: the factor of element 1 is" in str(found.reason)
    assert found.values[2] == pytest.approx(expected(spectra[3], np.where(spectra[3].any(axis=1), factors[3], 1)), rel=TOLERANCE, abs=1e-7)
    off = [[1, channel] for channel in range(CHANNELS)]
    assert reduced(roots, file, reducer({"factor": "dtc"}, bad_pixels=off), 2).status.tolist() == [FrameStatus.READ]


def test_a_detector_that_was_dead_all_the_time_breaks_the_point(folder: Path, file: StreamFile, roots: DataRoots) -> None:
    with h5py.File(folder / "a.h5", "a") as made:
        made["percent"][4, 0] = 100
    assert reduced(roots, file, reducer({"percent": "percent"}), 4).status.tolist() == [FrameStatus.BROKEN]


@pytest.mark.parametrize(
    ("name", "mimetype", "parameters"), [("a.npy", "application/x-npy", {}), ("a.tif", "image/tiff", {"dataset": "d"})]
)
def test_files_that_hold_nothing_beside_their_frames_are_told(
    folder: Path, roots: DataRoots, name: str, mimetype: str, parameters: dict[str, Any]
) -> None:
    np.save(folder / "a.npy", SPECTRA)
    tifffile.imwrite(folder / "a.tif", SPECTRA)
    file = StreamFile("r", "xsp", mimetype, (folder / name).as_uri(), parameters, (1, ELEMENTS, CHANNELS))
    found = reduced(roots, file, reducer({"factor": "dtc"}), 0)
    assert found.status.tolist() == [FrameStatus.BROKEN]
    assert f"wpb.dead_time: {file.uri} is of a kind ({mimetype}) that has nothing beside its frames" in str(found.reason)


def test_however_few_files_may_stay_open_the_values_are_the_same(file: StreamFile, roots: DataRoots) -> None:
    asked = reducer(WAYS["rates"])
    assert reduced(roots, file, asked, keep_open=2).values.tobytes() == reduced(roots, file, asked).values.tobytes()


async def test_reader_processes_read_what_lies_beside_the_frames(file: StreamFile, roots: DataRoots, folder: Path) -> None:
    bad = np.zeros((ELEMENTS, CHANNELS), "u1")
    bad[1, 7] = 1
    np.save(folder / "bad.npy", bad)
    asked = reducer(WAYS["factors"], bad_pixels={"mask_file": (folder / "bad.npy").as_uri()})
    async with FrameReaders(roots, 2, 30) as readers:
        found = await readers.reduce([FrameRef(k, file, k) for k in range(POINTS)], asked)
    assert found.status.tolist() == [FrameStatus.READ] * POINTS
    assert found.values.tobytes() == reduced(roots, file, asked).values.tobytes()
    good = np.where(bad, 0, SPECTRA)
    assert found.values[:, 1] == pytest.approx((good * FACTORS[..., np.newaxis]).sum(axis=(1, 2)), rel=TOLERANCE)
