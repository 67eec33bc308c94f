"""What a plan must become, and the words in which the lists of plans say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scanspec.specs import Spec

from tests.helpers.laboratory import Laboratory
from tests.helpers.plans import Plan, until_over

Along = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class PlanCase:
    """One plan, and what must come of it."""

    name: str
    """Its row in the table of the docs; several cases may be of one row."""
    plan: Callable[[Laboratory], Plan]
    grid: tuple[tuple[str, Along], ...] = ()
    """Each axis, slow axis first: the motor, and its positions in the order of the map; no motor for repetitions. Without any, the frames
    make a line as they come."""
    snaking: tuple[bool, ...] | None = None
    """None for none."""
    extents: tuple[tuple[float, float] | None, ...] | None = None
    """As the map's axes name them; None if they name none."""
    axes: tuple[str, ...] | None = None
    """Their names, if they are not the motors'."""
    points: int | None = None
    """How long a line is, or how many points of a grid have a value, if not all."""
    drive: Callable[[Laboratory, Plan], None] = lambda lab, plan: until_over(lab, plan)
    told: frozenset[str] = frozenset()
    """Codes of the notices, besides `regions_guessed`."""
    status: str = "success"
    detector: str = "camera"
    frames: int = 1
    """Frames an event."""
    course: Spec[str] | None = None
    """Where a fly scan's motors were at each event, as no motor moves in the simulation."""
    nearest: bool = False
    """Whether the motors stood near the positions of the grid, not on them."""
    points_planned: int | None = None
    """How many points there are, if not one for each cell of the grid or each point of a line."""
    label: str = ""
    """What sets it apart from others of its row."""
    grows: bool = field(default=False)
    """Whether its length was not known beforehand."""

    def __str__(self) -> str:
        return f"{self.name}-{self.label}".strip("-")


GRID: tuple[tuple[str, Along], ...] = (("y", np.linspace(0, 2, 3)), ("x", np.linspace(0, 3, 4)))
SPAN = ((0.0, 2.0), (0.0, 3.0))
CUBE: tuple[tuple[str, Along], ...] = (("z", np.linspace(-1, 0, 2)), *GRID)
SNAKED = (False, True)
raster = partial(PlanCase, grid=GRID, snaking=SNAKED, extents=SPAN)
line = partial(PlanCase, axes=("axis 0",))
unknown = partial(PlanCase, axes=("point",), told=frozenset({"shape_guessed"}), grows=True)
RELATIVE = frozenset({"extents_relative"})
BINNED = frozenset({"positions_binned"})
binned = partial(PlanCase, nearest=True, told=BINNED)


def spans(grid: Sequence[tuple[str, Along]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(along[0]), float(along[-1])) for _, along in grid)


def from_first_to_last(motor: str, stood: Along, places: int) -> tuple[str, Along]:
    return motor, np.linspace(min(stood), max(stood), places)
