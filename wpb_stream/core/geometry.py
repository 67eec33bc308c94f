"""Where a point of a scan lands in the map.

Words: ``point`` is the index in the scan from 0, ``cell`` the flat C-order index into ``shape`` (slow axis first).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

MAX_CELLS = 16_000_000
"""A map of more cells is refused."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a grid."""

    name: str
    """The motor, as the start document names it."""
    units: str | None = None
    """Units of ``start`` and ``stop``, if the documents say them."""
    start: float | None = None
    """Position of the first point, in ``units``; None if unknown."""
    stop: float | None = None
    """Position of the last point, in ``units``; None if unknown."""
    snaking: bool = False
    """Whether every second pass along this axis runs backwards."""

    def positions(self, points: int) -> npt.NDArray[np.float64]:
        """Where its points are, in ``units``; their numbers from 0, where documents do not tell."""
        if self.start is None or self.stop is None:
            return np.arange(points, dtype=np.float64)
        return np.linspace(self.start, self.stop, points)


@dataclass(frozen=True, slots=True)
class Grid:
    """A rectilinear grid of points, visited with the last axis fastest."""

    shape: tuple[int, ...]
    """Points along each axis, slow axis first."""
    axes: tuple[Axis, ...]
    """One for each dimension of ``shape``."""

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.axes):
            raise ValueError(f"{len(self.axes)} axes for a shape of {len(self.shape)} dimensions")
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"shape {self.shape} has a dimension without points")

    @property
    def size(self) -> int:
        """Number of cells."""
        return prod(self.shape)

    @property
    def points(self) -> int:
        """Number of points that are planned: one a cell, unless they are :class:`Scattered`."""
        return self.size

    def holding(self, points: int, *, exactly: bool = False) -> Grid:
        """This grid with its slow axis as long as so many points ask for, but for ``MAX_CELLS``.

        :param exactly: no longer than they ask for; else at least twice as long as now, so that a growing scan seldom changes its shape
        """
        inner = prod(self.shape[1:])
        wanted = -(-points // inner)
        length = wanted if exactly else max(wanted, 2 * self.shape[0])
        return Grid((max(1, min(length, MAX_CELLS // inner)), *self.shape[1:]), self.axes)

    def cells(self, points: npt.ArrayLike) -> npt.NDArray[np.uint32]:
        """Cell of each point.

        For axis k, with ``d`` the number of steps made along it so far (``point // prod(shape[k+1:])``), the index is
        ``d % n``, or ``n - 1 - d % n`` on every second pass of a snaking axis: scanspec's ``SnakedDimension.extract``.

        :param points: indices in the scan, any shape; each must be in ``0 <= point < size``
        :returns: flat C-order indices, same shape, uint32
        :raises ValueError: a point lies outside the grid
        """
        flat = np.asarray(points, dtype=np.int64)
        if flat.size and not 0 <= int(flat.min()) <= int(flat.max()) < self.size:
            raise ValueError(f"points {flat.min()}..{flat.max()} outside a grid of {self.size}")
        cell = np.zeros_like(flat)
        below = self.size
        for length, axis in zip(self.shape, self.axes, strict=True):
            below //= length
            passes, index = np.divmod(flat // below, length)
            if axis.snaking:
                index = np.where(passes % 2 == 1, length - 1 - index, index)
            cell += index * below
        return cell.astype(np.uint32)


@dataclass(frozen=True, slots=True, eq=False)
class Scattered(Grid):
    """A grid whose points are visited in an order of their own: some cells never, perhaps, and some more than once."""

    cell_of: npt.NDArray[np.uint32] = field(repr=False)
    """Cell of each planned point."""

    def __post_init__(self) -> None:
        # Not super(): it does not find its class where dataclass made a new one for the slots.
        Grid.__post_init__(self)
        if not self.cell_of.size or int(self.cell_of.max()) >= self.size:
            raise ValueError(f"the {self.cell_of.size} points do not lie in a grid of {self.size} cells")

    # Whoever compared shape and axes only would take two ways over one lattice for one.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scattered) and Grid.__eq__(self, other) and np.array_equal(self.cell_of, other.cell_of)

    def __hash__(self) -> int:
        return hash((self.shape, self.axes))

    @property
    def points(self) -> int:
        """See :attr:`Grid.points`."""
        return len(self.cell_of)

    def holding(self, points: int, *, exactly: bool = False) -> Grid:
        """This grid: nobody knows where points would be that were not planned."""
        return self

    def cells(self, points: npt.ArrayLike) -> npt.NDArray[np.uint32]:
        """See :meth:`Grid.cells`.

        :raises ValueError: a point is not planned
        """
        flat = np.asarray(points, dtype=np.int64)
        if flat.size and not 0 <= int(flat.min()) <= int(flat.max()) < self.points:
            raise ValueError(f"points {flat.min()}..{flat.max()} outside a plan of {self.points}")
        return self.cell_of[flat]
