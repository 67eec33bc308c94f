"""Where points were measured, beside where they were planned: readings of the motors, joined as channels or in the run's events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wpb_stream.core.binning import Binned
from wpb_stream.core.companions import Origins
from wpb_stream.core.detectors import stream_of
from wpb_stream.core.documents import Document
from wpb_stream.core.events import events_of
from wpb_stream.core.geometry import Axis
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.run import Run
from wpb_stream.core.scalars import STREAM, number
from wpb_stream.core.table import PointTable

Positions = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Along:
    """One axis: what was planned, and what was measured of it."""

    axis: Axis
    lowest: float
    highest: float
    """Half a step beyond the first and the last planned position, in the axis' units."""
    points: npt.NDArray[np.int64]
    measured: Positions
    """One for each of ``points``, in the axis' units; finite."""

    @property
    def outside(self) -> npt.NDArray[np.int64]:
        """The points that were measured outside the planned extent."""
        return self.points[(self.measured < self.lowest) | (self.measured > self.highest)]


def nothing_to_compare(run: Run) -> str | None:
    """Why the positions of a run cannot be compared with its plan, in a sentence; None if they can, should there be any."""
    if run.grid is None or isinstance(run.grid, Binned):
        return "The points are on the map where they were measured: no extents were planned for them."
    if any(notice.code == "extents_relative" for notice in run.notices):
        return "The plan's positions are relative to where the motors stood: there is nothing to compare the readings with."
    if all(limits(axis, points) is None for axis, points in zip(run.grid.axes, run.grid.shape, strict=True)):
        return "The start document names no extents: there is nothing to compare the readings with."
    return None


def limits(axis: Axis, points: int) -> tuple[float, float] | None:
    """Half a step beyond the ends of an axis; None if it has no positions, or only one."""
    if axis.start is None or axis.stop is None or points < 2 or axis.start == axis.stop:
        return None
    half = abs(axis.stop - axis.start) / (points - 1) / 2
    return min(axis.start, axis.stop) - half, max(axis.start, axis.stop) + half


def measured_along(run: Run, documents: Sequence[Document], table: PointTable) -> list[Along]:
    """The axes whose positions were planned and measured.

    :param table: of the run, in which the readings are channels where the plan asked for that
    """
    assert run.grid is not None
    asked = as_list(as_mapping(run.start.get("wpb")).get("positions")) or []
    names = asked if len(asked) == len(run.grid.axes) else [axis.name for axis in run.grid.axes]
    channels = {channel.data_key: channel.name for channel in (run.recipe.channels if run.recipe else ()) if channel.data_key}
    in_events = _in_events(documents, {str(name) for name in names if name not in channels})
    found: list[Along] = []
    for axis, points, name in zip(run.grid.axes, run.grid.shape, names, strict=True):
        ends = limits(axis, points)
        if ends is None:
            continue
        if name in channels:
            at, read = table.data["point"].astype(np.int64), table.data[channels[name]]
        elif name in in_events:
            at = np.array(list(in_events[name]), np.int64)
            read = np.array(list(in_events[name].values()), np.float64)
        else:
            continue
        known = np.isfinite(read)
        if known.any():
            found.append(Along(axis, *ends, at[known], read[known]))
    return found


def _in_events(documents: Iterable[Document], names: set[str]) -> dict[str, dict[int, float]]:
    """By data key, for each point the newest number in the events of the stream that has it."""
    origins, streams = Origins(), dict[str, str]()
    newest: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}
    for document in documents:
        if document.name == "descriptor":
            origins.see(document.doc)
            streams[document.doc["uid"]] = stream_of(document.doc)
        elif document.name in ("event", "event_page"):
            for event in events_of(document):
                for name in names & event.data.keys():
                    points = newest.setdefault((streams.get(event.descriptor, ""), name), {})
                    if event.seq_num > 0 and (event.seq_num - 1 not in points or points[event.seq_num - 1][0] <= event.time):
                        points[event.seq_num - 1] = event.time, number(event.data[name])
    found: dict[str, dict[int, float]] = {}
    for name in names:
        stream = origins.stream(name, STREAM)
        read = newest.get((stream, name)) if stream else None
        if read:
            found[name] = {point: value for point, (_, value) in read.items()}
    return found
