"""Images made smaller: whole blocks of pixels become one, those at the lower and right edges are of what is left."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.masks import BadPixels

Frame = npt.NDArray[Any]


def smaller(shape: tuple[int, int], blocks: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of blocks."""
    return -(-shape[0] // blocks[0]), -(-shape[1] // blocks[1])


def sums_of(values: Frame, good: npt.NDArray[np.bool_] | None, blocks: tuple[int, int]) -> Frame:
    """Sums over blocks, those at the lower and right edges of what is left, in 64 bits: whole numbers for whole numbers."""
    wide = np.dtype(np.float64 if values.dtype.kind == "f" else np.int64)
    if good is not None:
        values = np.where(good, values, np.zeros((), values.dtype))
    rows, columns = smaller((values.shape[0], values.shape[1]), blocks)
    banded = np.zeros((rows, values.shape[1]), wide)
    for k in range(blocks[0]):
        band = values[k :: blocks[0]]
        banded[: len(band)] += band
    sums = np.zeros((rows, columns), wide)
    for k in range(blocks[1]):
        strip = banded[:, k :: blocks[1]]
        sums[:, : strip.shape[1]] += strip
    return sums


def maxima_of(values: Frame, good: npt.NDArray[np.bool_] | None, blocks: tuple[int, int]) -> Frame:
    """Largest value of each block; NaN if it has no good pixel."""
    if good is not None:
        lowest = False if values.dtype.kind == "b" else np.iinfo(values.dtype).min if values.dtype.kind in "iu" else -np.inf
        values = np.where(good, values, np.array(lowest, values.dtype))
    banded = np.maximum.reduceat(values, range(0, values.shape[0], blocks[0]), axis=0)
    largest = np.maximum.reduceat(banded, range(0, values.shape[1], blocks[1]), axis=1)
    largest = largest.astype(np.result_type(largest.dtype, np.float32))
    return largest if good is None else np.where(sums_of(good, None, blocks) > 0, largest, np.array(np.nan, largest.dtype))


def means_of(sums: Frame, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Sums divided by the numbers of values in them; NaN where there was none."""
    return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)


@lru_cache(maxsize=8)
def good_pixels(shape: tuple[int, int], bad: BadPixels) -> npt.NDArray[np.bool_]:
    """Which pixels of a frame count."""
    good = np.ones(shape, np.bool_)
    return good & ~bad.within((slice(0, shape[0]), slice(0, shape[1])), shape)


@lru_cache(maxsize=16)
def counts_of(shape: tuple[int, int], bad: BadPixels, blocks: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Good pixels of each block."""
    return sums_of(good_pixels(shape, bad), None, blocks)
