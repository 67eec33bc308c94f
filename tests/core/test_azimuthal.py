"""Mean intensities over scattering angle, against pyFAI called by hand and against numpy's own reckoning of the angles."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pyFAI.detectors import Detector
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

from tests.helpers.documents import raster_run
from tests.helpers.liverun import begin, codes, feed
from wpb_stream.core import azimuthal as module
from wpb_stream.core.azimuthal import RangeMeans, _integrator
from wpb_stream.core.corrected import WithFiles
from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.needed import FileArray
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import FrameStatus, WindowResult
from wpb_stream.recipes.line import Line

SHAPE = (120, 90)
GEOMETRY = {
    "dist": 0.05, "poni1": 0.0061, "poni2": 0.0042, "rot1": 0.03, "rot2": -0.02, "rot3": 0.1,
    "pixel1": 1e-4, "pixel2": 1.1e-4, "wavelength": 1.2e-10,
}  # fmt: skip
RANGES = {"inner": [1.5, 3.0], "110": [3.0, 3.6], "wide": [1.0, 6.0]}
RING = {"annulus": {"centre": [60, 40], "inner": 8, "outer": 45}}
RANDOM = np.random.default_rng(21)
FRAMES = RANDOM.poisson(40, (3, *SHAPE)).astype("u2")
BAD = [[int(row), int(column)] for row, column in RANDOM.integers(0, 90, (50, 2))]


def reducer(**wpb: Any) -> Reducer:
    asked = {"reduction": "azimuthal", "geometry": GEOMETRY, "ranges": RANGES, "npt": 250, **wpb}
    return Line().make({"wpb": {key: value for key, value in asked.items() if value is not None}}, PlanDefaults()).reducer


def by_hand(frames: Any, left_out: np.ndarray | None, unit: str = "q_nm^-1", ranges: Any = RANGES, npt: int = 250) -> list[float]:
    """The channels, by pyFAI and the centres of its bins."""
    ai = AzimuthalIntegrator(**{**GEOMETRY, "pixel1": None, "pixel2": None}, detector=Detector(1e-4, 1.1e-4, max_shape=SHAPE))
    span = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    step = (span[1] - span[0]) / npt
    more = math.ceil(2 * ai.array_from_unit(SHAPE, "delta", unit).max() / step)
    wider, bins = (span[0] - more * step, span[1] + more * step), npt + 2 * more
    found = [
        ai.integrate1d_ng(frame, bins, unit=unit, radial_range=wider, mask=left_out, method=("bbox", "csr", "cython")) for frame in frames
    ]
    values = []
    for low, high in ranges.values():
        bins = (found[0].radial >= low) & (found[0].radial < high)
        values.append(sum(one.sum_signal[bins].sum() for one in found) / sum(one.sum_normalization[bins].sum() for one in found))
    kept = np.s_[:] if left_out is None else ~left_out.astype(bool)
    return [*values, float(sum(frame[kept].sum(dtype="f8" if frame.dtype.kind == "f" else "i8") for frame in frames))]


def test_a_range_is_the_mean_of_its_bins_as_pyfai_has_them() -> None:
    assert reducer().values(FRAMES[:1]) == by_hand(FRAMES[:1], None)


def test_masks_and_bad_pixels_are_left_out() -> None:
    rows, columns = np.indices(SHAPE)
    distances = (rows - 60) ** 2 + (columns - 40) ** 2
    left_out = ((distances <= 64) | (distances > 45**2)).astype("i1")
    left_out[tuple(np.transpose(BAD))] = 1
    found = reducer(mask=RING, bad_pixels=BAD).values(FRAMES[:1])
    assert found == by_hand(FRAMES[:1], left_out)
    assert found != reducer(mask=RING).values(FRAMES[:1])
    assert found != reducer(bad_pixels=BAD).values(FRAMES[:1])


def test_several_frames_a_point_make_one_mean() -> None:
    assert reducer().values(iter(FRAMES)) == by_hand(FRAMES, None)


@pytest.mark.parametrize("unit", ["q_A^-1", "2th_deg", "2th_rad", "r_mm"])
def test_every_unit_is_that_of_pyfai(unit: str) -> None:
    top = {"q_A^-1": 0.6, "2th_deg": 7.0, "2th_rad": 0.12, "r_mm": 6.0}[unit]
    ranges = {"a": [0.3 * top, 0.5 * top], "b": [0.5 * top, top]}
    geometry = GEOMETRY if unit[0] == "q" else {name: value for name, value in GEOMETRY.items() if name != "wavelength"}
    found = reducer(unit=unit, ranges=ranges, geometry=geometry).values(FRAMES[:1])
    assert found == pytest.approx(by_hand(FRAMES[:1], None, unit, ranges), rel=1e-15)


@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "u8", "?", "f4", "f8"])
def test_frames_of_any_numbers_are_integrated(dtype: str) -> None:
    frame = (FRAMES[0] % 2 if dtype == "?" else FRAMES[0]).astype(dtype)[:, ::-1]
    assert reducer().values([frame]) == pytest.approx(by_hand([frame.astype("f4")], None), rel=1e-15)


def test_a_pixel_that_is_no_number_is_left_out_of_the_means_but_not_of_the_total() -> None:
    frame = FRAMES[0].astype("f8")
    frame[60, 60], left_out = np.nan, np.zeros(SHAPE, "i1")
    left_out[60, 60] = 1
    *means, total = reducer().values([frame])
    assert means == pytest.approx(by_hand([FRAMES[0].astype("f4")], left_out)[:-1], rel=1e-15)
    assert math.isnan(total)


def test_a_range_no_pixel_lies_in_has_no_mean() -> None:
    *means, total = reducer(ranges={"far": [900, 950], "near": [1.0, 6.0]}, npt=2000).values(FRAMES[:1])
    assert math.isnan(means[0])
    assert means[1] > 0
    assert total == FRAMES[0].sum()


@pytest.mark.parametrize("corrections", [{}, {"dark": {"file": "file:///dark.npy"}}])
def test_a_range_no_pixel_lies_in_is_told(corrections: dict[str, Any]) -> None:
    asked = {"reduction": "azimuthal", "geometry": GEOMETRY, "ranges": {"far": [900, 950], "near": [1.0, 6.0]}, "npt": 2000}
    documents = raster_run((1, 3), wpb={**asked, **corrections})
    runs, live = begin(documents[0])
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    window = live.take(0.0)
    values = np.array([reducer(**asked).values([frame]) for frame in FRAMES])
    values[0] = np.nan
    status = np.array([FrameStatus.BROKEN, FrameStatus.READ, FrameStatus.READ], np.uint8)
    live.place(window, WindowResult(values, status, SHAPE), 0.0)
    assert codes(live)["regions_beyond"] == 1
    told = [notice.message for notice in live.run.notices if notice.code == "regions_beyond"]
    assert told == ["No pixel that counts lies in the ranges far: nothing is shown of them."]


@pytest.mark.parametrize(("depth", "tolerance"), [(0, 2e-4), (800, 5e-4)])
def test_without_pyfai_it_is_reckoned_the_same_but_for_the_sharing_of_pixels(depth: int, tolerance: float) -> None:
    """The mean over a range is that of the pixels whose centre lies in it, each divided by its solid angle: a pixel is 5 % of a range."""
    geometry = {**GEOMETRY, "rot1": 0.0, "rot2": 0.0, "rot3": 0.0}
    y, x = ((np.arange(n) + 0.5) * pixel - poni for n, pixel, poni in zip(SHAPE, (1e-4, 1.1e-4), (0.0061, 0.0042), strict=True))
    two_theta = np.arctan(np.hypot(y[:, np.newaxis], x) / 0.05)
    q = 4 * np.pi * np.sin(two_theta / 2) / 1.2  # per angstrom
    frame = (1000 + depth * np.cos(4 * q)).astype("f4")
    found = reducer(geometry=geometry, unit="q_A^-1", ranges={"a": [0.1, 0.3], "b": [0.3, 0.6]}, npt=400).values([frame])
    for value, (low, high) in zip(found, ((0.1, 0.3), (0.3, 0.6)), strict=False):
        inside = (low <= q) & (q < high)
        assert value == pytest.approx(frame[inside].sum(dtype="f8") / (np.cos(two_theta) ** 3)[inside].sum(), rel=tolerance)


def test_pixels_across_the_ends_of_the_span_count_by_their_share_as_they_do_elsewhere() -> None:
    asked, beyond = {"a": [2.0, 3.0]}, {"a": [2.0, 3.0], "b": [0.0, 5.0]}
    alone = reducer(ranges=asked, npt=100).values(FRAMES[:1])
    assert alone[0] == pytest.approx(reducer(ranges=beyond, npt=500).values(FRAMES[:1])[0], rel=1e-6)


def test_the_correction_for_the_solid_angle_is_made() -> None:
    flat = np.full(SHAPE, 100, "u2")
    assert reducer().values([flat])[2] > 100.05


def test_the_same_frame_gives_the_same_bits_again_and_again_whatever_the_number_of_threads() -> None:
    code = (
        "from tests.core.test_azimuthal import FRAMES, RING, reducer\n"
        "found = {bytes(memoryview(__import__('numpy').array(reducer(mask=RING).values(FRAMES)))).hex() for _ in range(20)}\n"
        "print(*found)"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"OMP_NUM_THREADS": threads, "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
        ).stdout
        for threads in ("1", "3")
    }
    assert told == {np.array(reducer(mask=RING).values(FRAMES)).tobytes().hex().encode() + b"\n"}


def test_an_integrator_is_made_once_for_each_reduction_and_shape() -> None:
    _integrator.cache_clear()
    for _ in range(5):
        reducer().values(FRAMES)
        reducer(mask=RING).values(FRAMES)
    assert _integrator.cache_info().misses == 2


def test_dark_and_flat_are_applied_before() -> None:
    asked = reducer(dark={"file": "file:///dark.npy"}, bad_pixels={"mask_file": "file:///bad.npy"})
    assert isinstance(asked, WithFiles)
    dark, bad = np.full(SHAPE, 7.0), np.zeros(SHAPE, "u1")
    bad[50:60] = 1
    held: dict[FileArray, Any] = {file: dark if file.key == "wpb.dark" else bad for file in asked.needs}
    assert asked.bound(held).values(FRAMES[:1]) == by_hand([FRAMES[0] - dark], bad)


@pytest.fixture
def nothing_kept() -> Iterator[None]:
    _integrator.cache_clear()
    yield
    _integrator.cache_clear()


@pytest.mark.usefixtures("nothing_kept")
def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyFAI.integrator.azimuthal", None)
    with pytest.raises(FrameBroken, match=r"needs pyFAI, which is not installed.*websockets-plotting-blue\[azimuthal\]"):
        reducer().values(FRAMES)


@pytest.mark.parametrize(
    ("ranges", "npt", "told"),
    [
        ({"a": [3.0, 3.01]}, 100, "100 bins from 3 to 3.01, of 0.0001 .*, are too fine .* covers 0.1.*, more than 1,000 bins"),
        ({"a": [0.5, 6.0]}, 30_000, "30,000 bins from 0.5 to 6, .* their pixels have .* shares in them, more than 1,000,000"),
    ],
)
def test_bins_too_fine_to_share_pixels_out_over_are_refused(
    ranges: dict[str, Any], npt: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SHARES", 1_000_000)
    with pytest.raises(FrameBroken, match=told):
        reducer(ranges=ranges, npt=npt).values(FRAMES)
    assert len(reducer(ranges=ranges, npt=10).values(FRAMES)) == 2


def test_what_is_left_out_has_no_share_in_fine_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SHARES", 1_000_000)
    assert len(reducer(ranges={"a": [0.5, 6.0]}, npt=30_000, mask={"rows": [0, 2]}).values(FRAMES)) == 2


@pytest.mark.usefixtures("nothing_kept")
def test_what_cannot_be_integrated_is_not_tried_again_with_each_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fail(*_: object, **__: object) -> None:
        tried.append(1)
        raise ValueError("no such geometry")

    monkeypatch.setattr(AzimuthalIntegrator, "integrate1d_ng", fail)
    for frame in FRAMES:
        with pytest.raises(FrameBroken, match="no such geometry"):
            reducer().values([frame])
    assert len(tried) == 1


@pytest.mark.usefixtures("nothing_kept")
def test_what_there_was_no_memory_for_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as short:
        short.setattr(AzimuthalIntegrator, "integrate1d_ng", fail)
        with pytest.raises(FrameBroken, match="MemoryError"):
            reducer().values(FRAMES)
    assert len(reducer().values(FRAMES)) == 4


def test_a_geometry_that_gives_no_angles_is_told() -> None:
    asked = reducer()
    assert isinstance(asked, RangeMeans)
    with pytest.raises(FrameBroken, match=r"cannot integrate frames with wpb\.geometry as it is"):
        replace(asked, geometry=replace(asked.geometry, dist=math.nan)).values(FRAMES)


def test_more_counts_than_float64_holds_are_refused() -> None:
    with pytest.raises(FrameBroken, match="2\\*\\*53"):
        reducer().values([np.full(SHAPE, 2**53, "u8")])
