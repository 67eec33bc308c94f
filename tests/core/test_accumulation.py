"""Accumulated images: what numpy makes of the stack of all frames, whatever their order and however they were parted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from wpb_stream.core.accumulation import MAX_IMAGE, MAX_SPECTRUM, Accumulation, Kind, Tally, merged
from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import NO_BAD_PIXELS, BadPixels

ALL = tuple(Kind)
DTYPES = ("?", "u1", "i1", "u2", ">u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")


def tally(frames: Iterable[npt.NDArray[Any]], bad: BadPixels = NO_BAD_PIXELS, first: int = 0, kinds: tuple[Kind, ...] = ALL) -> Tally:
    made = Tally(Accumulation(kinds, bad))
    for point, frame in enumerate(frames, first):
        made.take(point, frame)
        made.take_last(point, frame)
    return made


def same(one: dict[str, npt.NDArray[Any]], other: dict[str, npt.NDArray[Any]]) -> bool:
    return list(one) == list(other) and all(
        (one[name].dtype, one[name].shape, one[name].tobytes()) == (other[name].dtype, other[name].shape, other[name].tobytes())
        for name in one
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_frames_give_what_numpy_gives(dtype: str) -> None:
    frames = np.random.default_rng(1).integers(0, 100, (5, 6, 9)).astype(dtype)
    made = tally(frames).arrays()
    wide = frames.astype(np.float64)
    exact = np.result_type(np.dtype(dtype).newbyteorder("="), np.float32)
    assert {name: array.dtype for name, array in made.items()} == {
        "mean_frame": exact,
        "maximum_frame": exact,
        "last_frame": exact,
        "sum_spectrum": np.float64,
    }
    assert (made["mean_frame"] == (wide.sum(0) / 5).astype(exact)).all()
    assert (made["maximum_frame"] == wide.max(0)).all()
    assert (made["last_frame"] == wide[-1]).all()
    assert (made["sum_spectrum"] == wide.sum(0)).all()


def test_large_frames_are_made_smaller_by_whole_blocks() -> None:
    frames = np.random.default_rng(2).integers(0, 256, (3, 1216, 1937), np.uint8)  # one column more than four divide
    made = tally(frames).arrays()
    assert made["mean_frame"].shape == made["maximum_frame"].shape == made["last_frame"].shape == (304, 485)
    block = frames[:, 4:8, 12:16].astype(np.float64)
    assert made["mean_frame"][1, 3] == np.float32(block.mean())
    assert made["maximum_frame"][1, 3] == block.max()
    assert made["last_frame"][1, 3] == np.float32(block[-1].mean())
    assert made["mean_frame"][1, 484] == np.float32(frames[:, 4:8, 1936].mean())
    assert made["maximum_frame"][303, 484] == frames[:, 1212:, 1936].max()
    assert max(made["mean_frame"].shape) <= MAX_IMAGE
    assert made["sum_spectrum"].shape == (64, 1937)
    assert made["sum_spectrum"][0, 7] == frames[:, :19, 7].sum()


def test_spectra_are_kept_channel_by_channel() -> None:
    spectra = np.random.default_rng(3).poisson(3, (4, 8, 4096)).astype(np.uint32)
    made = tally(spectra, kinds=(Kind.SPECTRUM,)).arrays()
    assert list(made) == ["sum_spectrum"]
    assert (made["sum_spectrum"] == spectra.sum(0)).all()
    assert tally([np.ones((1, MAX_SPECTRUM + 2), np.uint8)], kinds=(Kind.SPECTRUM,)).arrays()["sum_spectrum"].tolist()[0][0] == 2


@given(
    st.sampled_from(("?", "u1", "i2", "u4", "i8", "f4", "f8")).flatmap(
        lambda dtype: npst.arrays(dtype, (6, 3, 4), elements=npst.from_dtype(np.dtype(dtype)))
    ),
    st.permutations(range(6)),
    st.integers(1, 4),
    st.booleans(),
)
def test_neither_order_nor_parting_changes_a_bit(frames: npt.NDArray[Any], order: list[int], parts: int, some_bad: bool) -> None:
    bad = BadPixels.of([(0, 0), (2, 1)]) if some_bad else NO_BAD_PIXELS
    tallies: list[Tally | None] = [None]
    for k in range(parts):
        part = Tally(Accumulation(ALL, bad))
        for point in order[k::parts]:
            part.take(point, frames[point])
            part.take_last(point, frames[point])
        part.pack()
        tallies.append(part)
    whole = merged(tallies)
    assert whole is not None
    assert whole.frames == 6
    assert same(whole.arrays(), tally(frames, bad).arrays())


def test_more_frames_than_the_quick_sum_holds() -> None:
    bright = np.full((2, 2), 255, np.uint8)
    made = tally([bright] * 600, kinds=(Kind.MEAN, Kind.SPECTRUM)).arrays()
    assert (made["mean_frame"] == 255).all()
    assert (made["sum_spectrum"] == 600 * 255).all()


def test_bad_pixels_count_nowhere() -> None:
    frames = np.full((3, 4, 6), 7, np.uint16)
    frames[:, 1, 2] = 60_000
    made = tally(frames, BadPixels.of([(1, 2), (99, 99)])).arrays()
    for name in ("mean_frame", "maximum_frame", "last_frame", "sum_spectrum"):
        assert np.isnan(made[name][1, 2])
        assert np.nanmax(made[name]) == (21 if name == "sum_spectrum" else 7)
        assert np.isnan(made[name]).sum() == 1


def test_a_bad_pixel_in_a_block_leaves_the_mean_of_the_others() -> None:
    frame = np.full((1024, 1024), 5, np.uint8)
    frame[0, 0] = 255
    made = tally([frame], BadPixels.of([(0, 0)])).arrays()
    assert made["mean_frame"][0, 0] == made["maximum_frame"][0, 0] == made["last_frame"][0, 0] == 5


def test_the_last_frame_is_that_of_the_highest_point() -> None:
    one, two = np.full((2, 2), 1, np.uint8), np.full((2, 2), 2, np.uint8)
    late = tally([one], first=9)
    late.merge(tally([two], first=3))
    assert (late.arrays()["last_frame"] == 1).all()


@pytest.mark.parametrize("other", [np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.uint16)])
@pytest.mark.parametrize("apart", [False, True])
def test_of_frames_that_differ_there_is_no_array(other: npt.NDArray[Any], apart: bool) -> None:
    first = np.zeros((2, 2), np.uint8)
    made = tally([first] if apart else [first, other, first])
    if apart:
        made.merge(tally([other]))
        made.merge(tally([first]))
    told = tally([first])
    told.merge(tally([first, other]))
    assert told.arrays() == {}
    assert made.differing
    assert made.arrays() == {}


def test_nothing_taken_gives_nothing() -> None:
    empty = Tally(Accumulation(ALL))
    assert empty.arrays() == {}
    empty.merge(Tally(Accumulation(ALL)))
    assert empty.arrays() == {}
    empty.merge(tally([np.ones((2, 2), np.uint8)]))
    assert (empty.arrays()["mean_frame"] == 1).all()


def test_what_has_no_numbers_is_refused() -> None:
    with pytest.raises(FrameBroken, match="two-dimensional"):
        tally([np.zeros((2, 2), np.complex128)])
