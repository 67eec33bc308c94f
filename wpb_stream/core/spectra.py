"""X-ray fluorescence: the counts of each element in the spectra of a point, over windows of channels, with the background taken off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from wpb_stream.core.masks import NO_BAD_PIXELS, BadPixels, area_of
from wpb_stream.core.reduction import area_sums, as_exact, shape_of
from wpb_stream.core.regions import Interval, Region


@dataclass(frozen=True, slots=True)
class ElementWindow:
    """Where an element's line lies in a spectrum, in channels."""

    name: str
    window: Interval
    background: tuple[Interval, ...] = ()
    """Windows beside it, one or two, without lines of their own; none if nothing is taken off."""


@dataclass(frozen=True, slots=True)
class ElementCounts:
    """The net counts of each element, and all counts of the point, summed over the elements of the detector.

    A frame has one row for each element of the detector and one column for each channel of its spectrum. With the gross counts G in
    the n values of the window, and the sums B1 and B2 of the backgrounds of m1 and m2 values,

    ``net = G - n (B1 / m1 + B2 / m2) / 2``, or ``G - n B1 / m1`` with one background:

    the net area of a peak on a background that is a straight line between the two (G. Gilmore, Practical Gamma-ray Spectrometry,
    2nd edition, 2008, section 5.4). Values that are bad count in neither n nor m: a detector element is switched off by naming its
    channels, and what is left of it does not unbalance the background. Net counts may be negative, where chance has it so.

    For integers G, B1 and B2 are exact, and so are net counts without a background; with one, each operation is rounded once.
    NaN for an element whose window, or one of whose backgrounds, has no value.
    """

    elements: tuple[ElementWindow, ...]
    bad: BadPixels = NO_BAD_PIXELS

    @property
    def size(self) -> int:
        """See :class:`wpb_stream.core.reducers.Reducer`: the elements in their order, then the total."""
        return len(self.elements) + 1

    @property
    def regions(self) -> tuple[Region, ...]:
        """See :class:`wpb_stream.core.corrected.Masked`: no masks, but windows of channels."""
        return ()

    def masked(self, regions: tuple[Region, ...], bad: BadPixels) -> ElementCounts:
        """See :class:`wpb_stream.core.corrected.Masked`."""
        return ElementCounts(self.elements, bad)

    def values(self, frames: Iterable[npt.NDArray[Any]]) -> Sequence[float]:
        """See :class:`wpb_stream.core.reducers.Reducer`.

        :raises FrameBroken: there are more than 2**53 counts, or the frames have no numbers
        """
        regions = [region for element in self.elements for region in _regions(element)]
        regions.append(Region("total"))
        sums: list[int | float] = [0] * len(regions)
        pixels = [0] * len(regions)
        for frame in frames:
            areas = [area_of(region, shape_of(frame), self.bad) for region in regions]
            sums = [before + found for before, found in zip(sums, area_sums(frame, areas), strict=True)]
            pixels = [before + area.pixels for before, area in zip(pixels, areas, strict=True)]
        tallies = iter([(as_exact(total, region), n) for total, n, region in zip(sums, pixels, regions, strict=True)])
        values = [_net(next(tallies), [next(tallies) for _ in element.background]) for element in self.elements]
        return [*values, next(tallies)[0]]


def _regions(element: ElementWindow) -> Iterable[Region]:
    for channels in (element.window, *element.background):
        yield Region(element.name, columns=channels)


def _net(window: tuple[float, int], background: Sequence[tuple[float, int]]) -> float:
    gross, n = window
    if not n or not all(m for _, m in background):
        return float("nan")
    if not background:
        return gross
    return gross - n * (sum(total / m for total, m in background) / len(background))
