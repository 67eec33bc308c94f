"""The documents of a run turned into the frames to read; one state machine a run, and the runs in progress.

Positions: the point of the scan comes from ``seq_num`` (which is rewound after a pause), the place in the file from ``indices``
(which never is). When a point was measured twice, the later frame wins. Everything is idempotent: buses redeliver.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from wpb_stream.core.documents import MAX_INDEX, Document
from wpb_stream.core.recipe import Notice, Recipe
from wpb_stream.core.window import FrameRef, StreamFile

ENDED = ("success", "abort", "fail", "lost")
"""What ``status`` may be once a run is over."""
MAX_NOTICES = 20
"""Notices of one code that a run keeps; a scan of a million missing frames must not tell a million sentences."""
MAX_FRAMES_PER_POINT = 2**20
"""Frames a point above this are not believed."""


@dataclass(slots=True)
class Run:
    """One run, as far as its documents have come."""

    start: dict[str, Any]
    recipe: Recipe | None
    """None: the run is tracked and kept, but nothing is reconstructed live."""
    stop: dict[str, Any] | None = None
    notices: list[Notice] = field(default_factory=list[Notice])
    """Grows only: readers hold a position."""
    _told: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    _descriptors: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _files: dict[str, tuple[int, StreamFile]] = field(default_factory=dict[str, tuple[int, StreamFile]])
    _detector: tuple[str, str] | None = None
    _latest: dict[int, int] = field(default_factory=dict[int, int])

    def __post_init__(self) -> None:
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

    def knows(self, uid: str) -> bool:
        """Whether the descriptor or stream resource of that uid was taken in."""
        return uid in self._descriptors or uid in self._files

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
            case "descriptor":
                self._descriptors.setdefault(doc["uid"], doc)
                self._choose_detector(doc)
            case "stream_resource":
                if doc["uid"] not in self._files:
                    file = StreamFile(doc["uid"], doc["data_key"], doc["mimetype"], doc["uri"], doc["parameters"])
                    self._files[doc["uid"]] = (len(self._files), file)
            case "stream_datum":
                return self._frames(doc)
            case "stop":
                self.stop = self.stop or doc
            case _:
                pass
        return []

    def _choose_detector(self, descriptor: dict[str, Any]) -> None:
        if self._detector is not None or self.recipe is None:
            return
        images = [key for key, value in descriptor["data_keys"].items() if _is_image(value)]
        wanted = self.recipe.data_key
        if wanted is not None and wanted not in descriptor["data_keys"]:
            return
        if wanted is None and not images:
            return
        key = wanted or images[0]
        self._detector = (descriptor.get("name", "primary"), key)
        if wanted is None and len(images) > 1:
            self.notice("detector_guessed", f"Several detectors write images ({', '.join(images)}); the maps are made from {key!r}.")

    def _frames(self, datum: dict[str, Any]) -> list[FrameRef]:
        descriptor = self._descriptors.get(datum["descriptor"])
        order, file = self._files.get(datum["stream_resource"], (0, None))
        if descriptor is None or file is None:
            self.notice("documents_contradict", f"Stream datum {datum['uid']} refers to documents of another run, or of another kind.")
            return []
        if self.recipe is None or self._detector != (descriptor.get("name", "primary"), file.data_key):
            return []
        per_index = _frames_per_index(descriptor["data_keys"].get(file.data_key, {}), file.parameters)
        first_index, first_point = datum["indices"]["start"], datum["seq_nums"]["start"] - 1
        width = min(datum["indices"]["stop"] - first_index, datum["seq_nums"]["stop"] - 1 - first_point)
        refs: list[FrameRef] = []
        for step in range(min(width, self.recipe.grid.size - first_point)):
            point, index = first_point + step, first_index + step
            version = order * MAX_INDEX + index
            if self._latest.get(point, -1) < version:
                self._latest[point] = version
                refs.append(FrameRef(point, file, index * per_index, per_index, version))
        if first_point + width > self.recipe.grid.size:
            self.notice(
                "overrun", f"The scan went on beyond the {self.recipe.grid.size} points of its shape; the points after are not on the map."
            )
        return refs


def _is_image(data_key: dict[str, Any]) -> bool:
    shape = data_key.get("shape") or ()
    return str(data_key.get("external", "")).startswith("STREAM:") and len(shape) >= 2


def _frames_per_index(data_key: dict[str, Any], parameters: dict[str, Any]) -> int:
    """Frames in the file for each index: the leading 1 of ``[F, rows, columns]``, or the older ``multiplier``."""
    shape = data_key.get("shape") or ()
    told = (parameters.get("multiplier"), shape[0] if len(shape) == 3 else None)
    return next((number for number in told if type(number) is int and 0 < number <= MAX_FRAMES_PER_POINT), 1)


@dataclass(frozen=True, slots=True)
class Applied:
    """What one document did: to which run, and which frames it asks for."""

    run: Run
    document: Document
    frames: list[FrameRef]


class Runs:
    """The runs in progress. Documents that come before the ones they refer to wait for them, within a bound."""

    def __init__(self, recipe_for: Callable[[dict[str, Any]], Recipe | None], max_parked: int = 10_000) -> None:
        self._recipe_for = recipe_for
        self._max_parked = max_parked
        self._runs: dict[str, Run] = {}
        self._owners: dict[str, str] = {}
        self._unclaimed: dict[str, Document] = {}
        self._parked: defaultdict[str, list[Document]] = defaultdict(list)
        self.parked = 0
        """Documents waiting for a parent."""
        self.dropped = 0
        """Documents that had waited longest when the bound was reached; they stay in the catalogue."""

    def __contains__(self, uid: str) -> bool:
        return uid in self._runs

    def owner(self, document: Document) -> str | None:
        """Uid of the run a document belongs to; None if only a document that has not come yet could tell."""
        doc = document.doc
        match document.name:
            case "start":
                return doc["uid"]
            case "stop":
                return doc["run_start"]
            case "descriptor" | "stream_resource" | "resource":
                owner = doc.get("run_start")
                # Whoever named it first keeps it: a document of the same uid from elsewhere must not steal its children.
                return self._owners.setdefault(doc["uid"], owner) if owner else self._owners.get(doc["uid"])
            case "event" | "event_page" | "stream_datum":
                return self._owners.get(doc["descriptor"])
            case _:
                return self._owners.get(doc.get("resource", ""))

    def apply(self, document: Document) -> list[Applied]:
        """Take in one document, and those that waited for it."""
        applied = self._claim(document)
        missing = self._missing_parent(document)
        if missing is not None:
            self._park(missing, document)
            return applied
        owner = self.owner(document)
        if document.name == "start":
            uid = document.doc["uid"]
            if uid in self._runs:
                return []
            self._runs[uid] = Run(document.doc, self._recipe_for(document.doc))
        elif document.name == "stream_resource" and owner is None:
            self._unclaimed[document.doc["uid"]] = document
            if len(self._unclaimed) > self._max_parked:
                del self._unclaimed[next(iter(self._unclaimed))]
                self.dropped += 1
        if owner is not None:
            run = self._runs[owner]
            applied.append(Applied(run, document, run.apply(document)))
        if document.name in ("start", "descriptor", "stream_resource"):
            for waiting in self._unpark(document.doc["uid"]):
                applied.extend(self.apply(waiting))
        return applied

    def forget(self, uid: str) -> None:
        """Drop all that is held of a run."""
        self._runs.pop(uid, None)
        # With it goes what was held for runs that never began and of which nothing waits any more.
        self._owners = {child: owner for child, owner in self._owners.items() if owner in self._runs or owner in self._parked}

    def _missing_parent(self, document: Document) -> str | None:
        """Uid of a document that must come first, or None if this one can be applied."""
        doc = document.doc
        match document.name:
            case "start":
                return None
            case "stream_datum":
                return self._missing(doc["descriptor"]) or self._missing(doc["stream_resource"])
            case "event" | "event_page":
                return self._missing(doc["descriptor"])
            case _:
                owner = self.owner(document)
                return owner if owner is not None and owner not in self._runs else None

    def _missing(self, uid: str) -> str | None:
        run = self._runs.get(self._owners.get(uid, ""))
        return None if run is not None and run.knows(uid) else uid

    def _claim(self, document: Document) -> list[Applied]:
        """A resource that names no run belongs to the run of the first datum that points at it."""
        doc = document.doc
        if document.name != "stream_datum" or doc["stream_resource"] not in self._unclaimed or self._missing(doc["descriptor"]):
            return []
        resource = self._unclaimed.pop(doc["stream_resource"])
        owner = self._owners[resource.doc["uid"]] = self._owners[doc["descriptor"]]
        run = self._runs[owner]
        return [Applied(run, resource, run.apply(resource))]

    def _park(self, parent: str, document: Document) -> None:
        if self.parked >= self._max_parked:
            lost = self._parked.pop(next(iter(self._parked)))
            self.dropped += len(lost)
            self.parked -= len(lost)
        self._parked[parent].append(document)
        self.parked += 1

    def _unpark(self, parent: str) -> Iterable[Document]:
        waiting = self._parked.pop(parent, [])
        self.parked -= len(waiting)
        return waiting
