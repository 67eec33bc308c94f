"""Planned positions as cells of a map.

Positions of masked or concatenated grids lie on a lattice with even steps: each position has a cell of its own, and cells that the plan
leaves out stay empty. Others (spirals) are put into the nearest cell of a lattice that has about as many cells as there are points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, floor, log, log10, prod

import numpy as np
import numpy.typing as npt

from wpb_stream.core.geometry import MAX_CELLS, Axis, Scattered

Positions = npt.NDArray[np.float64]

SAME = 1e-6
"""Lengths that differ by less than this part are one: positions are the planned ones, computed and not measured."""
TOLERANCE = 1e-4
"""How far a position may be from its place on a lattice, as a part of a step."""
MOST_GAPS = 4
"""An axis has a lattice of its own if no more than this many of its places come on each position."""
MOST_EMPTY = 100
"""A lattice is exact if no more than this many cells come on each point; a few small grids far from one another are binned."""
FARTHEST = 1e100
"""Positions beyond are none; between them one can reckon without overflow."""
MAX_MOVING = 8
"""Axes of a map, at most."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The cells of a plan's points."""

    grid: Scattered
    binned: bool
    """Whether positions were put into the nearest cell; else each position has a cell of its own."""
    repeated: bool
    """Whether more than one point is in some cell."""


@dataclass(frozen=True, slots=True)
class _Steps:
    """Evenly spaced places along one axis."""

    start: float
    stop: float
    length: int

    def index(self, positions: Positions) -> npt.NDArray[np.int64]:
        """The place nearest to each position; the lower one in the middle between two, whatever rounding has left."""
        if self.length == 1:
            return np.zeros(len(positions), np.int64)
        step = (self.stop - self.start) / (self.length - 1)
        return np.clip(np.rint((positions - self.start) / step - 1e-9), 0, self.length - 1).astype(np.int64)


def place(positions: Mapping[str, Positions]) -> Placed:
    """The map of a plan whose motors are at these positions.

    Axes that stand still make no dimension, and of those that move together only the first does.

    :param positions: of each axis, slow one first, its position at each point; all of one length
    :raises ValueError: there are none, they are not finite, or too many axes move
    """
    points = min((len(along) for along in positions.values()), default=0)
    if not points or not all(np.abs(along).max() < FARTHEST for along in positions.values()):
        raise ValueError("the plan has no positions, or they are not finite")
    moving = _independent(positions)
    if len(moving) > MAX_MOVING:
        raise ValueError(f"{len(moving)} axes move independently, more than {MAX_MOVING}")
    exact = {name: _even(along) for name, along in moving.items()}
    lattice = {name: steps for name, steps in exact.items() if steps is not None}
    binned = len(lattice) < len(moving) or prod(steps.length for steps in lattice.values()) > min(MAX_CELLS, MOST_EMPTY * points)
    if binned:
        lattice = _bins(moving, lattice, points)
    shape = tuple(lattice[name].length for name in moving)
    cells = np.ravel_multi_index(tuple(lattice[name].index(along) for name, along in moving.items()), shape).astype(np.uint32)
    axes = tuple(Axis(name, None, lattice[name].start, lattice[name].stop) for name in moving)
    return Placed(Scattered(shape, axes, cells), binned, len(np.unique(cells)) < points)


def _independent(positions: Mapping[str, Positions]) -> dict[str, Positions]:
    """The axes that move, each in a way of its own; the first one if none moves."""
    kept: dict[str, Positions] = {}
    for name, along in positions.items():
        if np.ptp(along) > max(1 / FARTHEST, SAME * SAME * np.abs(along).max()) and not any(
            _follows(along, other) for other in kept.values()
        ):
            kept[name] = along
    return kept or dict(list(positions.items())[:1])


def _follows(along: Positions, leader: Positions) -> bool:
    """Whether an axis is at a fixed ratio to another all the time."""
    first, last = int(leader.argmin()), int(leader.argmax())
    slope = (along[last] - along[first]) / (leader[last] - leader[first])
    off = np.abs(along - along[first] - slope * (leader - leader[first])).max()
    return bool(off <= SAME * np.ptp(along))


def _even(along: Positions) -> _Steps | None:
    """The lattice that all positions of an axis lie on, if its steps are not much finer than what is between them."""
    places = np.unique(along)
    span = float(places[-1] - places[0])
    distinct = places[np.diff(places, prepend=-np.inf) > SAME * span / len(places)] - places[0]
    if len(distinct) == 1:
        return _Steps(float(places[0]), float(places[0]), 1)
    gaps = np.sort(np.diff(distinct))
    finest = span / (MOST_GAPS * len(distinct))
    step = float(gaps[0])
    for gap in gaps[np.diff(gaps, prepend=0.0) > SAME * gaps].tolist():
        step = _common(step, gap, finest / 10)
        if step < finest * (1 - SAME):
            return None
    length = round(span / step) + 1
    counted = distinct * ((length - 1) / span)
    if np.abs(counted - np.rint(counted)).max() > TOLERANCE:
        return None
    digits = 9 - floor(log10(span / (length - 1)))  # without what adding up steps has left
    return _Steps(round(float(places[0]), digits), round(float(places[-1]), digits), length)


def _common(first: float, second: float, least: float) -> float:
    """The greatest common measure of two lengths; what is left below ``least`` is rounding."""
    while second > least:
        first, second = second, abs(first - second * round(first / second))
    return first


def _bins(moving: Mapping[str, Positions], exact: Mapping[str, _Steps], points: int) -> dict[str, _Steps]:
    """Places from the first to the last position of each axis, as far apart along all of them, about as many in all as there are points.

    Axes with a lattice keep it where one position of theirs comes on several points (a spiral at each of three heights).
    """
    kept = dict(exact) if len(exact) < len(moving) and prod(steps.length for steps in exact.values()) <= points else {}
    rest = [name for name in moving if name not in kept]
    share = max(1.0, points / prod(steps.length for steps in kept.values()))
    spans = {name: float(np.ptp(moving[name])) for name in rest}
    side = exp((sum(log(span) for span in spans.values()) - log(share)) / len(rest))
    lengths = {name: min(max(2, round(min(span / side, 1e9)) + 1), max(2, points)) for name, span in spans.items()}
    while prod(lengths.values()) * prod(steps.length for steps in kept.values()) > MAX_CELLS:
        longest = max(lengths, key=lambda name: lengths[name])
        lengths[longest] = (lengths[longest] + 1) // 2
    binned = {name: _Steps(float(moving[name].min()), float(moving[name].max()), lengths[name]) for name in rest}
    return {name: kept.get(name) or binned[name] for name in moving}
