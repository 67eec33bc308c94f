"""Whether a map is whole, and if not, why not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wpb_dagster.reconstruction import Values
from wpb_stream.core.table import PointTable


@dataclass(frozen=True, slots=True)
class Completeness:
    """What there is of the points that were planned."""

    planned: int | None
    """None: nobody knew beforehand how many there would be."""
    measured: int
    """Points that have a value."""
    unread: list[int]
    """Points whose frames were announced, and could not be read."""
    last: int
    """The last point that was announced, or measured; -1 if there is none."""

    @property
    def whole(self) -> bool:
        """Whether each planned point has a value; of a scan of unknown length, each that was announced."""
        return not self.unread and (self.planned is None or self.measured >= self.planned)

    @property
    def not_reached(self) -> int:
        """Planned points after the last that was announced."""
        return 0 if self.planned is None else max(0, self.planned - self.last - 1)

    @property
    def skipped(self) -> int:
        """Planned points up to the last one for which no document announced anything."""
        return 0 if self.planned is None else max(0, self.planned - self.measured - len(self.unread) - self.not_reached)


def completeness_of(values: Values, table: PointTable) -> Completeness:
    """What there is of a run's points."""
    points = np.unique(table.data["point"])
    planned = values.info.points_expected
    if planned is not None:
        points = points[points < planned]
    last = max(int(points[-1]) if points.size else -1, max(values.missing, default=-1))
    return Completeness(planned, len(points), values.missing, last)


def told_of(found: Completeness, status: str, reason: str) -> str:
    """What is to be said of a map that is not whole.

    :param status: how the run ended
    :param reason: what its stop document says of that
    """
    told = [] if found.planned is None else [f"{found.planned - found.measured} of {found.planned} planned points have no value."]
    if found.not_reached:
        why = f": {reason.rstrip('.')}" if reason else ""
        how = {"lost": "no stop document came", "success": "though it ended as a success", "running": "it goes on"}.get(
            status, status + why
        )
        told.append(f"The run ended after point {found.last + 1} ({how}), and the last {found.not_reached} were not measured.")
    if found.skipped:
        told.append(f"For {found.skipped} no document announced anything: look whether documents were lost on the way (`wpb doctor`).")
    if found.unread:
        told.append(f"{len(found.unread)} could not be read: see the check all_frames_found.")
    return " ".join(told)
