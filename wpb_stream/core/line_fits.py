"""Fits of the lines of maps, as arrays: one fit for each pass along the fast axis, or one for a scan of one axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from wpb_stream.core.derived import Map
from wpb_stream.core.fit_memory import REMEMBERED_LINES, FitMemory
from wpb_stream.core.geometry import Grid
from wpb_stream.core.line_models import Line, LineFit, LineModel

MAX_FITS = REMEMBERED_LINES
"""Of a run, lines times channels: of more, each would be forgotten before it is asked for again."""

_remembered = FitMemory()


@dataclass(frozen=True, slots=True)
class LineFits:
    """``fit.CHANNEL.PARAMETER``, of the shape of the slow axes ((1,) for a scan of one axis), and ``fit.CHANNEL.curve``, of the map's.

    What they are is told by :attr:`LineModel.told`; NaN where a line could not be fitted.
    """

    model: LineModel
    channels: tuple[str, ...]
    """What is fitted."""
    named: bool = True
    """Whether the plan named the channels; else they follow from what there is."""

    key: ClassVar[str] = "wpb.fit.channels"

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`Derived`."""
        return tuple(name_of(channel, told) for channel in self.channels for told in (*self.model.told, "curve"))

    def of(self, channels: tuple[str, ...], grid: Grid) -> tuple[LineFits, str | None]:
        """See :class:`wpb_stream.core.derived.OfChannels`: the first of them, so that there are no more than ``MAX_FITS`` fits."""
        lines = prod(grid.shape[:-1])
        kept, left = channels[: MAX_FITS // lines], channels[MAX_FITS // lines :]
        told = f"wpb.fit: {lines:,} lines of {len(channels)} channels are more than {MAX_FITS:,} fits; not fitted are {', '.join(left)}."
        return replace(self, channels=kept), told if left else None

    def arrays(
        self, maps: Mapping[str, Map], grid: Grid, fit: Callable[[LineModel, Line, Line], LineFit | None] = _remembered
    ) -> dict[str, Map]:
        """See :class:`Derived`.

        :param fit: what fits a line, or remembers how it was fitted
        """
        x = grid.axes[-1].positions(grid.shape[-1])
        onwards = slice(None, None, -1 if x[0] > x[-1] else 1)  # fits want ascending positions
        made: dict[str, Map] = {}
        for channel in self.channels:
            told = np.full((len(self.model.told), *(grid.shape[:-1] or (1,))), np.nan)
            curve = np.full(grid.shape, np.nan)
            for line in np.ndindex(*grid.shape[:-1]) if channel in maps else ():
                found = fit(self.model, x[onwards], maps[channel][line][onwards])
                if found is not None:
                    told[(slice(None), *(line or (0,)))] = found.told
                    curve[line] = found.at(x)
            made |= {name_of(channel, name): values for name, values in zip(self.model.told, told, strict=True)}
            made[name_of(channel, "curve")] = curve
        return made


def name_of(channel: str, told: str) -> str:
    """What the array of one parameter is called."""
    return f"fit.{channel}.{told}"
