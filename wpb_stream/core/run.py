"""The documents of a run turned into the frames to read: one state machine a run.

Positions: the point of the scan comes from ``seq_num`` (which is rewound after a pause), the place in the file from ``indices``
(which never is). When a point was measured twice, the later frame wins. Everything is idempotent: buses redeliver.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.datums import Datums, Placed
from wpb_stream.core.derived import derived_of_scalars
from wpb_stream.core.detectors import Detectors, Key, stream_of
from wpb_stream.core.documents import END_OF_TIME, MAX_INDEX, Document
from wpb_stream.core.events import Event, events_of
from wpb_stream.core.geometry import MAX_CELLS, Grid
from wpb_stream.core.join import Join
from wpb_stream.core.messages import PlanInfo
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.reach import Reach
from wpb_stream.core.recipe import Notice, Recipe
from wpb_stream.core.resources import Resources
from wpb_stream.core.scalars import OF_FRAMES, STREAM, Scalars, datasets_of, number, scalars_of, shown_instead
from wpb_stream.core.window import IN_THE_EVENT, FrameRef

ENDED = ("success", "abort", "fail", "lost")
"""What ``status`` may be once a run is over."""
MAX_WIDTH = 2**20
"""Points that one document may announce; more are not believed."""
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
    awaited: set[str] = field(default_factory=set[str])
    """Uids of resources, and descriptors, that documents of this run wait for."""
    _detectors: Detectors = field(init=False)
    _announced: set[Key] = field(default_factory=set[Key])
    """Detectors that have announced frames."""
    _scalars: Scalars | None = None
    """What is shown of events, where no detector writes to files."""
    _datasets: Scalars | None = None
    """What is shown of files, where detectors write numbers to them."""
    _seen: Key | None = None
    """The detector that was looked at for that."""
    join: Join = field(init=False)
    """What becomes of frames, and of the numbers that belong to their points."""
    _reach: Reach = field(init=False)

    def __post_init__(self) -> None:
        self._reach = Reach(self.recipe.grid, self.recipe.grows) if self.recipe else Reach(None, grows=False)
        self._detectors = Detectors(self.recipe.data_key if self.recipe else None)
        limit = 0 if self.recipe is None else MAX_CELLS if self.recipe.grows else self.recipe.grid.points
        self.join = Join(self.recipe.companions if self.recipe else None, STREAM, limit)
        if self.recipe is None:
            told = "No reconstruction fits this run: its start document names no shape a map can have. It is kept and can be reprocessed."
            self.notice("no_recipe", told)
        else:
            for told in self.recipe.notices:
                if told.code not in OF_FRAMES:
                    self.notice(told.code, told.message)

    @property
    def uid(self) -> str:
        """Uid of the start document."""
        return self.start["uid"]

    @property
    def grid(self) -> Grid | None:
        """The recipe's, grown as far as the points have come where the recipe says that it may grow."""
        return self._reach.grid

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
    def measures(self) -> bool:
        """Whether there is anything to reconstruct: a detector that writes to files, or numbers in the events."""
        return self.detector is not None or self._scalars is not None

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing of the documents that came before the stop document; True while there is none."""
        return self.stop is None or (self.lacks is None and not self.join.waiting)

    @property
    def lacks(self) -> str | None:
        """What is known to be missing of the documents, in a sentence; None if nothing is."""
        if self.recipe is None:
            return None
        counts = as_mapping((self.stop or {}).get("num_events"))
        counts = {name: count for name, count in counts.items() if type(count) is int and count > 0}
        chosen = self._detectors.chosen
        if self.awaited:
            return "Documents came that refer to others which did not: their frames are unknown."
        if not counts.keys() <= {stream_of(descriptor) for descriptor in self._descriptors.values()}:
            return "The stop document counts events of streams that were never described: documents were lost on the way."
        stream = STREAM if self._scalars else chosen[0] if chosen and self.detector else None
        if stream is None:
            return None
        awaited = self._datums.awaited() if chosen else ()
        if any((stream_of(self._descriptors[uid]), data_key) == chosen for uid, data_key in awaited):
            return "Events came whose datum did not: their frames are unknown."
        return self._reach.lacks(counts.get(stream, 0))

    def knows(self, uid: str) -> bool:
        """Whether the descriptor or resource of that uid was taken in."""
        return uid in self._descriptors or uid in self._resources

    def expect(self, resource: str) -> None:
        """A resource came that does not say which run it belongs to: this one, perhaps."""
        self._resources.expect(resource)

    @property
    def resources(self) -> list[str]:
        """Uids of the resources that are, or may be, of this run, in the order they came."""
        return self._resources.in_order

    def awaits(self, resource: str) -> bool:
        """Whether an event of this run has named a datum of a resource that has not come yet."""
        return self._datums.awaits(resource)

    @property
    def descriptors(self) -> int:
        """Descriptors taken in so far."""
        return len(self._descriptors)

    def units(self, name: str | None) -> str | None:
        """Units of a motor or other data key, once a descriptor has named them."""
        for descriptor in self._descriptors.values():
            units = as_mapping(descriptor["data_keys"].get(name)).get("units")
            if units:
                return str(units)
        return None

    def origin(self, data_key: str) -> str:
        """Where the numbers of a data key that is joined to the frames are taken from, in words."""
        stream = self.join.stream_of(data_key)
        if stream is None:
            return "no descriptor tells of such a number"
        told = [as_mapping(each["data_keys"].get(data_key)) for each in self._descriptors.values() if stream_of(each) == stream]
        return f"{'files' if any('external' in each for each in told) else 'events'} of the stream {stream}"

    def conclude(self) -> None:
        """No point follows: a grid that grew ahead of the points ends with the last of them."""
        self.over = True
        self._reach.conclude()

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
        chosen = self._detectors.chosen
        self.superseded |= bool(self._announced or self._scalars) and chosen != before
        self.superseded |= self.join.see(descriptor, chosen[0] if chosen else STREAM)
        if guess := self._detectors.guess:
            self.notice("detector_guessed", guess)
        if self.detector is not None:
            self._tell_of_frames()

    def _tell_of_frames(self) -> None:
        """What was guessed of frames, once there are any."""
        for told in self.recipe.notices if self.recipe else ():
            if told.code in OF_FRAMES:
                self.notice(told.code, told.message)

    def _stream_datum(self, datum: dict[str, Any]) -> list[FrameRef]:
        descriptor = self._descriptors.get(datum["descriptor"])
        resource = datum["stream_resource"]
        if descriptor is None or resource not in self._resources:
            self._contradiction(datum, "refers to documents of another run, or of another kind")
            return []
        data_key = self._resources.data_key(resource)
        data_keys = [data_key] if data_key else _older_data_keys(datum, descriptor)
        named = f"({', '.join(data_keys) or 'none is named'})"
        data_keys = [key for key in data_keys if key in descriptor["data_keys"]]
        if not data_keys:
            self._contradiction(datum, f"is of no data key that its descriptor has {named}")
            return []
        first_index, first_point = datum["indices"]["start"], datum["seq_nums"]["start"] - 1
        frames, points = datum["indices"]["stop"] - first_index, datum["seq_nums"]["stop"] - 1 - first_point
        if frames != points:
            self._contradiction(datum, f"has {frames} indices for {points} points: only as many as have both are used")
        width = min(frames, points)
        return self._refs(Placed(resource, datum["descriptor"], key, first_index, first_point, width) for key in data_keys)

    def _contradiction(self, datum: dict[str, Any], told: str) -> None:
        self.notice("documents_contradict", f"Stream datum {datum['uid'][:80]} {told}.")

    def _event(self, event: Event) -> Iterator[FrameRef]:
        self._see(event.time)
        if event.seq_num < 1:
            self.notice("documents_contradict", "An event has the sequence number 0, and they are counted from 1: it is no point.")
            return
        external = as_mapping(self._descriptors[event.descriptor].get("data_keys"))
        for data_key, value in event.data.items():
            if isinstance(value, str) and "external" in external.get(data_key, {}) and event.filled.get(data_key) is not True:
                yield from self._refs(self._datums.refer(event.seq_num, event.descriptor, data_key, value))
        yield from self.join.frames(self._numbers(event))
        yield from self._beside(event)

    def _beside(self, event: Event) -> Iterator[FrameRef]:
        """The points that are whole with the numbers in an event."""
        descriptor = self._descriptors[event.descriptor]
        for data_key, told in as_mapping(descriptor.get("data_keys")).items():
            if (stream_of(descriptor), data_key) in self.join and "external" not in as_mapping(told):
                values = (number(event.data.get(data_key)),)
                yield from self.join.numbers(data_key, [FrameRef(event.seq_num - 1, IN_THE_EVENT, 0, _version_of(event), values)])

    def _numbers(self, event: Event) -> Iterator[FrameRef]:
        """The point that an event is itself, where no detector writes to files."""
        descriptor = self._descriptors[event.descriptor]
        if self.recipe is None or stream_of(descriptor) != STREAM:
            return
        chosen = self._detectors.chosen
        if self._scalars is None and (chosen is None or chosen[0] == STREAM):
            shown = scalars_of(descriptor, self.start, self.recipe.data_key)
            if shown is not None and chosen is not None and self._detectors.writes_files(chosen):
                told = (
                    f"Events of the stream {STREAM} lack {chosen[1]!r}, which it has by another descriptor: they are no points of the map."
                )
                self.notice("documents_contradict", told)
            elif shown is not None:
                self._scalars = shown
                self._show_instead(shown, len(shown.channels))
        if self._scalars is None:
            return
        version = _version_of(event)
        point = event.seq_num - 1
        if self._newest(point, np.array([version])):
            yield FrameRef(point, IN_THE_EVENT, point, version, self._scalars.values(event.data))

    def _show_instead(self, shown: Scalars, own: int) -> None:
        assert self.recipe is not None, "numbers are only shown where there is a recipe"
        self.recipe = shown_instead(self.recipe, shown, own)
        names = [channel.name for channel in self.recipe.channels]
        derived, notices = derived_of_scalars(self.recipe.derived, names, self.recipe.grid)
        for code, told in notices:
            self.notice(code, told)
        self.recipe = replace(self.recipe, derived=derived)
        self.join.want(self.recipe.companions)

    def _refs(self, announced: Iterable[Placed]) -> list[FrameRef]:
        return [ref for placed in announced for ref in self._newer(placed)]

    def _newer(self, placed: Placed) -> list[FrameRef]:
        """Those of the frames that are of the detector, on the grid, and newer than what their points have."""
        descriptor = self._descriptors[placed.descriptor]
        if self.recipe is None or placed.width < 1:
            return []
        key = (stream_of(descriptor), placed.data_key)
        self._announced.add(key)
        self._see_datasets()
        self._tell_of_frames()
        if (key != self._detectors.chosen and key not in self.join) or placed.resource not in self._resources:
            return []
        shape = descriptor["data_keys"].get(placed.data_key, {}).get("shape")
        file = self._resources.file(placed.resource, placed.data_key, shape, placed.dataset)
        order, width = self._resources.order(placed.resource), min(placed.width, MAX_WIDTH)
        if width < placed.width:
            told = f"One document is said to stand for {placed.width} points from {placed.first_point} on: only {MAX_WIDTH} are believed."
            self.notice("documents_contradict", told)
        first = order * MAX_INDEX + placed.first_index

        def refs(steps: Iterable[int]) -> list[FrameRef]:
            return [FrameRef(placed.first_point + step, file, placed.first_index + step, first + step) for step in steps]

        beside = self.join.numbers(placed.data_key, refs(range(width))) if key in self.join else []
        if key != self._detectors.chosen:
            return beside
        return beside + self.join.frames(refs(self._newest(placed.first_point, first + np.arange(width))))

    def _see_datasets(self) -> None:
        """Once anything is announced: have the numbers shown that detectors write, where none of them writes images."""
        chosen = self._detectors.chosen
        if self.recipe is None or self._datasets is not None or chosen in (None, self._seen):
            return
        self._seen = chosen
        descriptor = next(each for each in self._descriptors.values() if stream_of(each) == chosen[0] and chosen[1] in each["data_keys"])
        self._datasets = datasets_of(descriptor, self.start, chosen[1], self.recipe.data_key)
        if self._datasets is not None:
            self._show_instead(self._datasets, 1)

    def _newest(self, first_point: int, versions: npt.NDArray[np.int64]) -> list[int]:
        """Which of the frames of points from the first on are newer than what those have."""
        newer = self._reach.take(first_point, versions)
        if told := self._reach.overrun:
            self.notice("overrun", told)
        return newer


def _version_of(event: Event) -> int:
    """A point that was measured again after a pause has the same number, and a later time."""
    return int(event.time * 1e6) if 0 <= event.time < END_OF_TIME else 0


def _older_data_keys(datum: dict[str, Any], descriptor: dict[str, Any]) -> list[str]:
    """What a datum of event-model 1.18 to 1.20 is of: it says so itself, or there is only one external key."""
    if told := as_list(datum.get("data_keys")):
        return [str(key) for key in told]
    external = [key for key, value in descriptor["data_keys"].items() if "external" in value]
    return external if len(external) == 1 else []
