"""The documents of a run turned into the frames to read: one state machine a run.

Positions: the point of the scan comes from ``seq_num`` (which is rewound after a pause), the place in the file from ``indices``
(which never is). When a point was measured twice, the later frame wins. Everything is idempotent: buses redeliver.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.datums import Datums, Placed
from wpb_stream.core.detectors import Detectors, Key, stream_of
from wpb_stream.core.documents import END_OF_TIME, MAX_INDEX, Document
from wpb_stream.core.events import Event, events_of
from wpb_stream.core.geometry import Grid
from wpb_stream.core.messages import PlanInfo
from wpb_stream.core.narrow import as_mapping
from wpb_stream.core.recipe import Notice, Recipe
from wpb_stream.core.resources import Resources
from wpb_stream.core.window import FrameRef

ENDED = ("success", "abort", "fail", "lost")
"""What ``status`` may be once a run is over."""
MAX_NOTICES = 20
"""Notices of one code that a run keeps; a scan of a million missing frames must not tell a million sentences."""


@dataclass(slots=True, eq=False)
class Run:
    """One run, as far as its documents have come."""

    start: dict[str, Any]
    recipe: Recipe | None
    """None: the run is tracked and kept, but nothing is reconstructed live."""
    stop: dict[str, Any] | None = None
    notices: list[Notice] = field(default_factory=list[Notice])
    """Grows only: readers hold a position."""
    grid: Grid | None = field(init=False)
    """The recipe's, grown as far as the points have come where the recipe says that it may grow."""
    over: bool = False
    """Whether :meth:`conclude` was called."""
    plan: PlanInfo | None = None
    """The task of blueapi that it is part of."""
    last_time: float = 0.0
    """The largest time in any of its documents, seconds since 1970."""
    superseded: bool = False
    """Frames were announced before the descriptor of the detector that is meant: the run is to be made anew, from all its documents."""
    _told: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    _descriptors: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _resources: Resources = field(default_factory=Resources)
    _datums: Datums = field(default_factory=Datums)
    _detectors: Detectors = field(init=False)
    _announced: set[Key] = field(default_factory=set[Key])
    """Detectors that have announced frames."""
    _latest: npt.NDArray[np.int64] = field(init=False)
    """For each point of the grid the version of its newest frame, plus 1; 0 for a point without one."""
    _beyond: int = 0
    """Points of the grid that have been announced, counted from the first."""
    _overrun: int = 0
    """Points that have been announced beyond the grid."""

    def __post_init__(self) -> None:
        self.grid = self.recipe.grid if self.recipe else None
        self._detectors = Detectors(self.recipe.data_key if self.recipe else None)
        # Zeros cost no memory before they are written: a hostile shape is not believed.
        self._latest = np.zeros(self.grid.size if self.grid else 0, np.int64)
        if self.recipe is None:
            self.notice(
                "no_recipe", "No reconstruction fits this run: its start document names no shape. It is kept, and can be reprocessed."
            )
        else:
            for told in self.recipe.notices:
                self.notice(told.code, told.message)

    @property
    def uid(self) -> str:
        """Uid of the start document."""
        return self.start["uid"]

    @property
    def status(self) -> str:
        """``running``, or how it ended: ``success``, ``abort``, ``fail``."""
        return "running" if self.stop is None else self.stop["exit_status"]

    @property
    def detector(self) -> str | None:
        """Data key that is reconstructed; None while none is described that writes images, and none has announced anything else."""
        chosen = self._detectors.chosen
        return chosen[1] if chosen and (self._detectors.writes_images(chosen) or chosen in self._announced) else None

    @property
    def complete(self) -> bool:
        """Whether as many points were announced as the stop document counts; True while there is nothing to compare."""
        if self.stop is None or self.recipe is None:
            return True
        counts = {name: count for name, count in as_mapping(self.stop.get("num_events")).items() if type(count) is int and count > 0}
        if not counts.keys() <= {stream_of(descriptor) for descriptor in self._descriptors.values()}:
            return False
        chosen = self._detectors.chosen
        if chosen is None or self.detector is None:
            return True
        return int(np.count_nonzero(self._latest)) + self._overrun >= counts.get(chosen[0], 0)

    @property
    def _grows(self) -> bool:
        return self.recipe is not None and self.recipe.grows

    def knows(self, uid: str) -> bool:
        """Whether the descriptor or resource of that uid was taken in."""
        return uid in self._descriptors or uid in self._resources

    def expect(self, resource: str) -> None:
        """A resource came that does not say which run it belongs to: this one, perhaps."""
        self._resources.expect(resource)

    def awaits(self, resource: str) -> bool:
        """Whether an event of this run has named a datum of a resource that has not come yet."""
        return self._datums.awaits(resource)

    @property
    def descriptors(self) -> int:
        """Descriptors taken in so far."""
        return len(self._descriptors)

    def units(self, name: str) -> str | None:
        """Units of a motor or other data key, once a descriptor has named them."""
        for descriptor in self._descriptors.values():
            units = descriptor["data_keys"].get(name, {}).get("units")
            if units:
                return str(units)
        return None

    def conclude(self) -> None:
        """No point follows: a grid that grew ahead of the points ends with the last of them."""
        self.over = True
        if self._grows and self.grid is not None:
            self.grid = self.grid.holding(max(self._beyond, 1), exactly=True)

    def notice(self, code: str, message: str) -> None:
        """Tell the people who watch this run, once for each code and message, and a bounded number of times for each code."""
        told = self._told[code]
        if message in told or len(told) > MAX_NOTICES:
            return
        told.add(message)
        more = len(told) > MAX_NOTICES
        self.notices.append(Notice(code, "There was more of this kind, which is not listed one by one." if more else message))

    def apply(self, document: Document) -> list[FrameRef]:
        """Take in one document of this run whose parents were taken in before.

        :returns: the frames it announces that are to be read, in order; none if it was seen before
        """
        doc = document.doc
        match document.name:
            case "start":
                self._see(doc["time"])
            case "descriptor":
                self._see(doc["time"])
                self._describe(doc)
            case "stream_resource" | "resource":
                self._resources.add(doc)
            case "stream_datum":
                return self._stream_datum(doc)
            case "datum" | "datum_page":
                return self._refs(self._datums.add(doc))
            case "event" | "event_page":
                return [ref for event in events_of(document) for ref in self._event(event)]
            case "stop":
                self._see(doc["time"])
                self.stop = self.stop or doc
                return self._refs(self._datums.flush())
            case _:
                pass
        return []

    def _see(self, time: object) -> None:
        # What was stored by an earlier version may not have been checked as it is today.
        if isinstance(time, (int, float)) and 0 <= time < END_OF_TIME:
            self.last_time = max(self.last_time, float(time))

    def _describe(self, descriptor: dict[str, Any]) -> None:
        self._descriptors.setdefault(descriptor["uid"], descriptor)
        if self.recipe is None:
            return
        before = self._detectors.chosen
        self._detectors.see(descriptor)
        # Frames that were announced for another, or left out because another was chosen, cannot be called back from here.
        self.superseded |= bool(self._announced) and self._detectors.chosen != before
        if guess := self._detectors.guess:
            self.notice("detector_guessed", guess)

    def _stream_datum(self, datum: dict[str, Any]) -> list[FrameRef]:
        descriptor = self._descriptors.get(datum["descriptor"])
        resource = datum["stream_resource"]
        if descriptor is None or resource not in self._resources:
            self.notice("documents_contradict", f"Stream datum {datum['uid']} refers to documents of another run, or of another kind.")
            return []
        data_key = self._resources.data_key(resource) or _older_data_key(datum, descriptor)
        first_index, first_point = datum["indices"]["start"], datum["seq_nums"]["start"] - 1
        width = min(datum["indices"]["stop"] - first_index, datum["seq_nums"]["stop"] - 1 - first_point)
        return self._refs([Placed(resource, datum["descriptor"], data_key, first_index, first_point, width)])

    def _event(self, event: Event) -> Iterator[FrameRef]:
        self._see(event.time)
        external = as_mapping(self._descriptors[event.descriptor].get("data_keys"))
        for data_key, value in event.data.items():
            if isinstance(value, str) and "external" in external.get(data_key, {}) and event.filled.get(data_key) is not True:
                yield from self._refs(self._datums.refer(event.seq_num, event.descriptor, data_key, value))

    def _refs(self, announced: Iterable[Placed]) -> list[FrameRef]:
        return [ref for placed in announced for ref in self._newer(placed)]

    def _newer(self, placed: Placed) -> list[FrameRef]:
        """Those of the frames that are of the detector, on the grid, and newer than what their points have."""
        descriptor = self._descriptors[placed.descriptor]
        if self.recipe is None or placed.width < 1:
            return []
        key = (stream_of(descriptor), placed.data_key)
        self._announced.add(key)
        if key != self._detectors.chosen or placed.resource not in self._resources:
            return []
        file = self._resources.file(placed.resource, placed.data_key, descriptor["data_keys"].get(placed.data_key, {}).get("shape"))
        order = self._resources.order(placed.resource)
        self._make_room(placed.first_point + placed.width)
        width = max(0, min(placed.width, len(self._latest) - placed.first_point))
        versions = order * MAX_INDEX + placed.first_index + 1 + np.arange(width)
        latest = self._latest[placed.first_point : placed.first_point + width]
        newer = np.flatnonzero(versions > latest)
        latest[newer] = versions[newer]
        return [
            FrameRef(placed.first_point + step, file, placed.first_index + step, order * MAX_INDEX + placed.first_index + step)
            for step in newer.tolist()
        ]

    def _make_room(self, points: int) -> None:
        """Grow to so many points where the recipe lets us; else say that they are too many."""
        if points <= self._beyond or self.grid is None:
            return
        if self._grows and points > len(self._latest):
            self.grid = self.grid.holding(points)
            self._latest = np.concatenate([self._latest, np.zeros(self.grid.size - len(self._latest), np.int64)])
        if points > len(self._latest):
            reach = f"{len(self._latest)} points of its shape"
            self._overrun = max(self._overrun, points - len(self._latest))
            self.notice("overrun", f"The scan went on beyond the {reach}; the points after are not on the map.")
        self._beyond = min(points, len(self._latest))


def _older_data_key(datum: dict[str, Any], descriptor: dict[str, Any]) -> str:
    """What a datum of event-model 1.18 to 1.20 is of: it says so itself, or there is only one external key."""
    told = datum.get("data_keys") or [key for key, value in descriptor["data_keys"].items() if "external" in value]
    return str(told[0]) if told else ""
