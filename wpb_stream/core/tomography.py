"""Slices of a sample from projections around one axis, by filtered back-projection, projection by projection.

``f(y, x) = pi / n  sum_k q_k(c + x cos a_k - y sin a_k)``, with y (down) and x from the middle of the slice, the column c of the axis, and
q_k the k-th of n projections after its filter ``|frequency|``, on straight lines between its columns: A. C. Kak and M. Slaney, *Principles
of Computerized Tomographic Imaging* (1988), section 3.3, with the ramp sampled in space (equation 61). Angles are even over half a turn.

Each projection is filtered and projected back by itself, and the images are added as :mod:`exactsums` does, which is exact: the slice
depends on which projections there are, never on their order, nor on how they were parted. So it is live what it is in batch, bit for bit.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exactsums import ExactSums

Image = npt.NDArray[np.float64]
Filter = Literal["ramp", "shepp-logan", "hann"]

FILTERS: tuple[Filter, ...] = ("ramp", "shepp-logan", "hann")


class BackProjection:
    """One slice, growing with its projections."""

    def __init__(self, columns: int, centre: float | None = None, filter_name: Filter = "ramp") -> None:
        """Nothing is projected yet.

        :param columns: of a projection; the slice has as many rows and columns
        :param centre: column of the axis, from 0; the one at ``columns // 2`` by default
        """
        self.columns = columns
        self.centre = float(columns // 2) if centre is None else centre
        self.filter_name: Filter = filter_name
        self.projections = 0
        self._sums = ExactSums((columns, columns))

    def add(self, row: npt.ArrayLike, angle: float) -> None:
        """Take account of a projection; it costs the same however many there were.

        :param row: line integrals (:func:`absorption`), shape (columns,)
        :param angle: radians
        :raises ValueError: it has another shape
        """
        values = np.asarray(row, np.float64)
        if values.shape != (self.columns,):
            raise ValueError(f"a projection of {self.columns} columns is needed, not one of shape {values.shape}")
        length = _padded(self.columns)
        filtered = np.fft.irfft(np.fft.rfft(values, length) * _response(length, self.filter_name), length)[: self.columns]
        place = np.arange(self.columns) - self.columns // 2
        at = self.centre + place * np.cos(angle) - place[:, np.newaxis] * np.sin(angle)
        self._sums.add(_between(at, filtered))
        self.projections += 1

    def merge(self, other: BackProjection) -> None:
        """Take account of other projections of the same slice."""
        self._sums.merge(other._sums)
        self.projections += other.projections

    def image(self) -> Image:
        """The slice so far, shape (columns, columns), in absorption by a column's width; NaN before the first projection."""
        if not self.projections:
            return np.full((self.columns, self.columns), np.nan)
        return self._sums.total() * (np.pi / self.projections)


def absorption(row: npt.ArrayLike, flat: npt.ArrayLike = 1.0, dark: npt.ArrayLike = 0.0) -> Image:
    """Line integrals from counts, by Lambert and Beer: ``-ln((row - dark) / (flat - dark))``.

    :param flat: counts without the sample, a number or a row of them
    :param dark: counts without the beam
    :returns: 0 where nothing can be told, as there are no more counts than in the dark
    """
    beam = np.asarray(flat, np.float64) - np.asarray(dark, np.float64)
    passed = np.asarray(row, np.float64) - np.asarray(dark, np.float64)
    known = (passed > 0) & (beam > 0)
    return -np.log(np.divide(passed, beam, out=np.ones(known.shape), where=known))


def _between(at: Image, values: Image) -> Image:
    """On straight lines between values in places 0, 1, 2, ...; 0 beyond the first and the last."""
    # Any, as numpy's stubs leave open what comes out.
    interpolated: Any = np.interp(at, np.arange(len(values)), values, left=0.0, right=0.0)
    return interpolated


def _padded(columns: int) -> int:
    """A power of two, at least twice as long, so that the two ends of a projection do not meet."""
    return max(64, 2 ** int(np.ceil(np.log2(2 * columns))))


@lru_cache(maxsize=8)
def _response(length: int, filter_name: Filter) -> Image:
    """Of the filter to each frequency of a projection that is ``length`` columns long."""
    distance = np.fft.fftfreq(length, 1 / length)  # in columns, both ways
    odd = distance % 2 == 1
    ramp = np.zeros(length)
    ramp[0] = 0.25
    ramp[odd] = -1 / (np.pi * distance[odd]) ** 2
    response = np.fft.rfft(ramp).real
    frequency = np.fft.rfftfreq(length)
    if filter_name == "shepp-logan":
        response *= np.sinc(frequency)
    elif filter_name == "hann":
        response *= (1 + np.cos(2 * np.pi * frequency)) / 2
    return response
