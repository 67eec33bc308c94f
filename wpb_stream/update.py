"""What a client knows of a run at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from wpb_stream.core.limits import Limits
from wpb_stream.core.messages import RunInfo, RunStopped
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, slots=True)
class Update:
    """All that is known of the watched run at one moment."""

    run: RunInfo
    revision: str
    table: PointTable
    """Every row so far."""
    first_new: int
    """The first row that was not in the update before."""
    notices: tuple[Notice, ...] = ()
    stopped: RunStopped | None = None
    """How the run ended, once it has and all its rows are here."""
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict[str, npt.NDArray[Any]])
    """The latest version of each array that came: ``mean_frame``, ``sum_spectrum``, ...; ``run.arrays`` names those that may come."""
    limits: Mapping[str, Limits] = field(default_factory=dict[str, Limits])
    """Of each channel, as the server tells them with the rows: lowest and highest value, and percentiles."""

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self.table.rows

    @property
    def new(self) -> npt.NDArray[np.void]:
        """The rows that came with this update, a structured array."""
        return self.table.data[self.first_new :]

    def map(self, channel: str) -> npt.NDArray[np.float64]:
        """One channel as a map of the run's shape; NaN where nothing has been measured."""
        return self.table.maps(self.run.shape)[channel]

    def headline(self) -> str:
        """Which run it is, and how far it has come, in a line."""
        run = self.run
        status = self.stopped.exit_status if self.stopped else run.status
        of = f" of {run.points_expected} ({100 * self.rows // run.points_expected} %)" if run.points_expected else ""
        revision = "" if self.revision == "live" else f" revision {self.revision}"
        return f"run {run.uid if run.scan_id is None else run.scan_id} {run.plan_name or ''} {status}{revision}: {self.rows}{of} points"

    def to_xarray(self) -> xarray.Dataset:
        """All channels as variables over the axes, with units and ``long_name``; the ``attrs`` tell of the run.

        A dimension has the name of its axis, or that with ``_axis`` behind it where a channel has the name already, and coordinates if the
        documents tell its positions. Values are as those of :meth:`map`.

        :raises ImportError: xarray is not installed
        """
        try:
            import xarray  # takes as long as all the rest
        except ImportError:
            raise ImportError("to_xarray needs xarray: pip install 'websockets-plotting-blue[xarray]'") from None
        dims = self._dims()
        described = {channel.name: {"units": channel.units, "long_name": channel.label} for channel in self.run.channels}
        maps = self.table.maps(self.run.shape)
        variables = {name: (dims, values, described[name]) for name, values in maps.items()}
        coordinates = {
            dim: (dim, np.linspace(axis.start, axis.stop, points), {"long_name": axis.name} | ({"units": axis.units} if axis.units else {}))
            for dim, axis, points in zip(dims, self.run.axes, self.run.shape, strict=True)
            if axis.start is not None and axis.stop is not None
        }
        return xarray.Dataset(variables, coordinates, self._attributes())

    def _dims(self) -> list[str]:
        """The name of each dimension; all differ from each other and from the channels'."""
        dims: list[str] = []
        for axis in self.run.axes:
            name = axis.name
            while name in dims or name in self.table.channels:
                name += "_axis"
            dims.append(name)
        return dims

    def _attributes(self) -> dict[str, str | int]:
        """Of the run, in types that every file format can hold; what is not known is left out."""
        run = self.run
        told = {
            "uid": run.uid,
            "scan_id": run.scan_id,
            "plan_name": run.plan_name,
            "status": run.status,
            "reason": self.stopped and self.stopped.reason,
            "started": run.started,
            "stopped": run.stopped,
            "recipe": run.recipe,
            "revision": self.revision,
            "rows": self.rows,
            "points_expected": run.points_expected,
            "notices": "\n".join(notice.message for notice in self.notices),
            "start_document": msgspec.json.encode(run.metadata).decode(),
        }
        return {name: value for name, value in told.items() if value not in (None, "")}
