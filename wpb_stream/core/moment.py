"""A run as it is when its arrays are made: what it goes on to change meanwhile is held as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.accumulation import Tally
from wpb_stream.core.derived import Derived, grid_of
from wpb_stream.core.geometry import Grid
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable


@dataclass(frozen=True, slots=True)
class Made:
    """The arrays of a run, as far as they could be made."""

    arrays: Mapping[str, npt.NDArray[Any]]
    notices: tuple[Notice, ...] = ()
    """What is to be told of those that could not."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What arrays are made of."""

    tally: Tally | None
    """What is accumulated: no window may be placed before the arrays are made."""
    derived: tuple[Derived, ...]
    info: RunInfo
    grid: Grid | None
    table: PointTable

    def made(self) -> Made:
        """What is accumulated, and made of the maps. Takes a while where fits are made; may be called in a thread."""
        made = self.tally.arrays() if self.tally is not None else {}
        if not self.derived or self.grid is None or not self.info.axes:
            return Made(made)
        grid = replace(self.grid, axes=grid_of(self.info).axes)  # with their units, which descriptors told
        maps = self.table.maps(grid.shape)
        notices: list[Notice] = []
        for derived in self.derived:
            try:
                made |= {name: np.asarray(values, np.float64) for name, values in derived.arrays(maps, grid).items()}
            except Exception as error:  # a facility's own must not cost what else is made
                reason = error if isinstance(error, ValueError) else repr(error)
                notices.append(Notice("arrays_failed", f"{', '.join(derived.names)} could not be made of the maps: {reason}."))
        return Made(made, tuple(notices))
