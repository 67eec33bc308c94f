"""The append-only table of points, and the maps that are scattered from it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt


def table_dtype(channels: Sequence[str]) -> np.dtype[np.void]:
    """Layout of one row: ``point`` <u4, ``cell`` <u4, then each channel <f8 (as the feed sends them)."""
    return np.dtype([("point", "<u4"), ("cell", "<u4"), *((name, "<f8") for name in channels)])


class PointTable:
    """One reconstruction of a run: a row for each point placed, in the order of arrival.

    Rows are only ever appended; a row once written never changes. A later row for the same cell replaces an earlier one in the map.
    """

    def __init__(self, channels: Sequence[str], capacity: int = 1024) -> None:
        self.channels = tuple(channels)
        self._data = np.empty(max(capacity, 1), table_dtype(self.channels))
        self._rows = 0

    @classmethod
    def from_array(cls, data: npt.NDArray[np.void]) -> PointTable:
        """The table whose rows are ``data``, a structured array as :attr:`data` gives it."""
        names = data.dtype.names or ()
        if data.dtype != table_dtype(names[2:]):
            raise ValueError(f"not the rows of a point table: {data.dtype}")
        table = cls(names[2:], capacity=0)
        table._data, table._rows = data, len(data)
        return table

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self._rows

    @property
    def data(self) -> npt.NDArray[np.void]:
        """All rows so far, a read-only structured view of shape (rows,)."""
        view = self._data[: self._rows]
        view.flags.writeable = False
        return view

    def append(self, points: npt.ArrayLike, cells: npt.ArrayLike, values: npt.NDArray[np.float64]) -> None:
        """Add rows at the end.

        :param points: shape (n,)
        :param cells: shape (n,)
        :param values: shape (n, channels)
        """
        added = len(values)
        needed = self._rows + added
        if needed > len(self._data):
            # The old array is left as it was: slices handed out before stay true.
            grown = np.empty(max(needed, 2 * len(self._data)), self._data.dtype)
            grown[: self._rows] = self._data[: self._rows]
            self._data = grown
        block = self._data[self._rows : needed]
        block["point"] = points
        block["cell"] = cells
        for column, name in enumerate(self.channels):
            block[name] = values[:, column]
        self._rows = needed

    def maps(self, shape: Sequence[int]) -> dict[str, npt.NDArray[np.float64]]:
        """Each channel scattered into ``shape``: float64, NaN where nothing has been measured."""
        return {name: scatter(self.data["cell"], self.data[name], shape) for name in self.channels}


def scatter(cells: npt.NDArray[np.uint32], values: npt.NDArray[np.float64], shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """Place values in the cells of a map; the last value for a cell wins, cells without one hold NaN.

    :param cells: shape (n,), flat C-order indices into ``shape``
    :param values: shape (n,)
    :returns: float64 of ``shape``
    """
    flat = np.full(prod(shape), np.nan)
    # numpy leaves open which of several assignments to one element wins: keep the last one explicitly.
    last, first_in_reversed = np.unique(cells[::-1], return_index=True)
    flat[last] = values[::-1][first_in_reversed]
    return flat.reshape(tuple(shape))
