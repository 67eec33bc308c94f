"""Mean intensities over ranges of scattering angle: azimuthal integration of diffraction patterns by pyFAI, which is an optional extra."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.masks import NO_BAD_PIXELS, BadPixels, area_of
from wpb_stream.core.reduction import area_sums, as_exact, shape_of
from wpb_stream.core.regions import Interval, Region

METHOD = ("bbox", "csr", "cython")
"""Of pyFAI: each pixel is shared out over the bins that its bounding box covers. Each bin is summed by one thread, in the order of the
pixels, so that neither how often it is called nor how many threads there are changes a bit."""
MAX_MARGIN = 100_000
"""Bins beside the span, at most; a pixel wider than that many lies in no detector."""
FINEST = 1_000
"""Bins that a pixel covers, at most; what is integrated over finer ones means nothing."""
MAX_SHARES = 2**27
"""Of pixels in bins: pyFAI takes 8 bytes for each, and twice that while it reckons them."""
KEPT = 4
"""Integrators that are kept, of some hundred MB for a frame of a few megapixels: to make one costs a second."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the detector stands, as a PONI file has it; in metres and radians."""

    dist: float
    poni1: float
    poni2: float
    rot1: float
    rot2: float
    rot3: float
    pixel1: float
    pixel2: float
    wavelength: float | None
    """Needed where the unit is one of q."""


@dataclass(frozen=True, slots=True)
class RangeMeans:
    """The mean intensity in each range, and the counts of the whole frame, over the pixels of the region that are not bad.

    The radial pattern of ``npt`` equal bins over ``span`` is that of pyFAI's ``integrate1d_ng`` (J. Kieffer, V. Valls, N. Blanc,
    C. Hennig, J. Synchrotron Rad. 27 (2020) 558), with its correction for the solid angle and without one for polarisation. With the
    signal S and the normalisation N of each bin (pyFAI's ``sum_signal`` and ``sum_normalization``) the value of a range is
    ``sum(S) / sum(N)`` over its bins, and over the frames of the point: NaN where no pixel is. The bins are continued beyond the span by
    the width of a pixel, as pyFAI counts a pixel whole that lies across the end of what it integrates.

    Pixels are taken as float32, as pyFAI does, and those that are no finite number are left out. The total is that of the region's sum.
    """

    geometry: Geometry
    unit: str
    span: tuple[float, float]
    npt: int
    ranges: tuple[Interval, ...]
    """In bins."""
    region: Region
    bad: BadPixels = NO_BAD_PIXELS

    @property
    def size(self) -> int:
        """See :class:`wpb_stream.core.reducers.Reducer`: the ranges in their order, then the total."""
        return len(self.ranges) + 1

    @property
    def regions(self) -> tuple[Region, ...]:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return (self.region,)

    def masked(self, regions: tuple[Region, ...], bad: BadPixels) -> RangeMeans:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return replace(self, region=regions[0], bad=bad)

    def values(self, frames: Iterable[npt.NDArray[Any]]) -> Sequence[float]:
        """See :class:`wpb_stream.core.reducers.Reducer`.

        :raises FrameBroken: pyFAI is not installed or cannot do it, the bins are too fine for the frames' pixels, there are more than 2**53
            counts, or the frames have no numbers
        """
        signal, normalisation = np.zeros(len(self.ranges)), np.zeros(len(self.ranges))
        total: int | float = 0
        for frame in frames:
            shape = shape_of(frame)
            total += area_sums(frame, [area_of(self.region, shape, self.bad)])[0]
            integrator = _integrator(self, shape)
            if isinstance(integrator, FrameBroken):
                raise FrameBroken(str(integrator))
            signals, normalisations = integrator.integrate(frame)
            for k, bins in enumerate(self.ranges):
                signal[k] += signals[bins.start : bins.stop].sum()
                normalisation[k] += normalisations[bins.start : bins.stop].sum()
        means = np.divide(signal, normalisation, out=np.full(len(self.ranges), np.nan), where=normalisation != 0)
        return [*means.tolist(), as_exact(total, self.region)]


class _Integrator:
    """pyFAI's integrator for frames of one shape."""

    def __init__(self, asked: RangeMeans, shape: tuple[int, int]) -> None:
        try:
            from pyFAI.detectors import Detector  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
            from pyFAI.integrator.azimuthal import (  # pyright: ignore[reportMissingTypeStubs]
                AzimuthalIntegrator,  # pyright: ignore[reportUnknownVariableType]
            )
        except ImportError as error:
            told = "pip install 'websockets-plotting-blue[azimuthal]'"
            raise FrameBroken(f'"reduction": "azimuthal" needs pyFAI, which is not installed here ({error}): {told}') from error
        geometry = asked.geometry
        detector: Any = Detector(geometry.pixel1, geometry.pixel2, max_shape=shape)
        self._pyfai: Any = AzimuthalIntegrator(
            geometry.dist, geometry.poni1, geometry.poni2, geometry.rot1, geometry.rot2, geometry.rot3,
            detector=detector, wavelength=geometry.wavelength,
        )  # fmt: skip
        area = area_of(asked.region, shape, asked.bad)
        left_out = np.ones(shape, np.int8)
        left_out[area.box] = 0 if area.mask is None else ~area.mask
        (low, high), npt = asked.span, asked.npt
        step = (high - low) / npt
        with _told():
            centre, reach = (self._pyfai.array_from_unit(shape, kind, asked.unit) for kind in ("center", "delta"))
            margin = min(ceil(2 * float(reach.max()) / step), MAX_MARGIN)
        self._within = slice(margin, margin + npt)
        self._npt = npt + 2 * margin
        self._options = {
            "unit": asked.unit,
            "radial_range": (low - margin * step, high + margin * step),
            "mask": left_out if left_out.any() else None,
            "method": METHOD,
        }
        _check(asked, np.where(left_out, np.nan, centre), reach, margin)
        self.integrate(np.zeros(shape, np.float32))  # pyFAI shares out the pixels at the first frame, and fails then if it cannot

    def integrate(self, frame: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Signal and normalisation of each bin of the span.

        :raises FrameBroken: pyFAI cannot do it
        """
        with _told(), np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and is left out
            found = self._pyfai.integrate1d_ng(frame, self._npt, **self._options)
        return found.sum_signal[self._within], found.sum_normalization[self._within]


@contextmanager
def _told() -> Generator[None]:
    """What pyFAI cannot do, because of a geometry that no detector has, perhaps, as a fault of the frames."""
    try:
        yield
    except Exception as error:
        raise FrameBroken(f"pyFAI cannot integrate frames with wpb.geometry as it is: {type(error).__name__}: {error}") from error


def _check(asked: RangeMeans, centre: npt.NDArray[np.float64], reach: npt.NDArray[np.float64], margin: int) -> None:
    """Bins so fine that pyFAI would take gigabytes to share out the pixels over them are refused.

    :param centre: of each pixel, in the unit; NaN for one that is left out
    :param reach: how far it reaches to either side
    """
    (low, high), bins = asked.span, asked.npt
    step = (high - low) / bins
    widest = 2 * float(reach[(centre + reach > low) & (centre - reach < high)].max(initial=0))
    told = f"wpb.npt: {bins:,} bins from {low:g} to {high:g}, of {step:.3g} {asked.unit}, are too fine for these frames"
    if widest > FINEST * step:
        raise FrameBroken(f"{told}, in which a pixel covers {widest:.3g}, more than {FINEST:,} bins: fewer are needed")
    beside = margin * step
    shares = 2 * float(reach[(centre + reach > low - beside) & (centre - reach < high + beside)].sum()) / step
    if shares > MAX_SHARES:
        raise FrameBroken(f"{told}: their pixels have {shares:,.0f} shares in them, more than {MAX_SHARES:,}: fewer bins are needed")


@lru_cache(maxsize=KEPT)
def _integrator(asked: RangeMeans, shape: tuple[int, int]) -> _Integrator | FrameBroken:
    """The integrator, or why there is none, which is not tried again with each frame."""
    try:
        return _Integrator(asked, shape)
    except FrameBroken as error:
        if isinstance(error.__cause__, MemoryError):
            raise  # there may be enough in a moment
        return FrameBroken(str(error))  # without the arrays that a traceback holds
