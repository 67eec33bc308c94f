"""The runs in progress: which run a document belongs to, and in which order documents can be taken in."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from wpb_stream.core.documents import Document
from wpb_stream.core.events import events_of
from wpb_stream.core.plans import Plans
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.run import Run
from wpb_stream.core.window import FrameRef

log = logging.getLogger(__name__)

MAX_PARKED = 10_000
"""Documents that wait for others, in all; and resources that nothing has pointed at."""
MAX_PARKED_BYTES = 256 * 2**20
"""Of documents that wait for others, in all."""
RESOURCES = ("stream_resource", "resource")
"""Documents that tell of files; both may leave out which run they belong to."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one document did: to which run, and which frames it asks for."""

    run: Run
    document: Document
    frames: list[FrameRef]


def described_first(documents: Iterable[Document]) -> list[Document]:
    """All documents of a run in the order to take them in at once.

    Which detector is meant is then known before its first frame, and the run cannot end before its last one is announced: a run that did,
    whenever it was made anew, would be made anew for ever.
    """
    return sorted(documents, key=lambda document: (document.name != "start", document.name != "descriptor", document.name == "stop"))


class Runs:
    """The runs in progress. Documents that come before the ones they refer to wait for them, within a bound."""

    def __init__(self, recipe_for: Callable[[dict[str, Any]], Recipe | None], max_parked: int = MAX_PARKED) -> None:
        self.plans = Plans()
        self._recipe_for = recipe_for
        self._max_parked = max_parked
        self._runs: dict[str, Run] = {}
        self._owners: dict[str, str] = {}
        self._unclaimed: dict[str, Document] = {}
        self._expected: dict[str, list[str]] = {}
        """By run that is being made anew, its resources in the order they came: one that nothing has pointed at yet may be among them."""
        self._parked: defaultdict[str, list[Document]] = defaultdict(list)
        self.parked = 0
        """Documents waiting for a parent."""
        self.parked_bytes = 0
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
                return self._owners.get(doc["resource"])

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
            run = self._runs[uid] = Run(document.doc, self._recipe_for(document.doc))
            for resource in (*self._expected.pop(uid, ()), *self._unclaimed):
                run.expect(resource)
            if document.task is not None:
                self.plans.began(document.task, run)
        elif document.name in RESOURCES and owner is None:
            owner = self._hold(document)
        if owner is not None:
            run = self._runs[owner]
            applied.append(Applied(run, document, _apply(run, document)))
        if document.name in ("start", "descriptor", *RESOURCES):
            applied.extend(self._release(document.doc["uid"]))
        return applied

    def first_to_wait(self, document: Document) -> str | None:
        """Uid of the document that this one waits for, if it is the first to do so: the one time to ask elsewhere for it."""
        parent = self._missing_parent(document)
        waiting = self._parked.get(parent) if parent is not None else None
        return parent if waiting and waiting[0] is document else None

    def waiting(self, uid: str) -> list[Document]:
        """Documents known to be of a run that wait for others of it: when they were stored, nobody knew whose they are."""
        run = self._runs.get(uid)
        parked = [document for parent in (run.awaited if run else ()) for document in self._parked.get(parent, ())]
        return [document for document in parked if self.owner(document) == uid]

    def anew(self, uid: str, stored: Iterable[Document]) -> list[Document]:
        """Forget a run that is to be made anew; gives its documents in the order to take them in.

        :param stored: all in the catalogue that are known to be of this run, with those that are :meth:`waiting`
        """
        run = self._runs.get(uid)
        for parent in run.awaited if run else ():
            for document in self._unpark(parent):
                if self.owner(document) != uid:
                    self._park(parent, document)
        self.forget(uid)
        ordered = described_first(stored)
        self._expected[uid] = run.resources if run else [document.doc["uid"] for document in ordered if document.name in RESOURCES]
        # Which task of blueapi it is part of is not stored.
        return [replace(document, task=run.plan.task) for document in ordered] if run and run.plan else ordered

    def forget(self, uid: str) -> None:
        """Drop all that is held of a run."""
        run = self._runs.pop(uid, None)
        if run is not None:
            self.plans.forget(run)
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
            case "datum" | "datum_page":
                return self._missing(doc["resource"])
            case _:
                owner = self.owner(document)
                return owner if owner is not None and owner not in self._runs else None

    def _missing(self, uid: str) -> str | None:
        run = self._runs.get(self._owners.get(uid, ""))
        return None if run is not None and run.knows(uid) else uid

    def _claim(self, document: Document) -> list[Applied]:
        """A resource that names no run belongs to the run of the first document that points at it."""
        wanted = self._unclaimed.keys() & _resources_named(document) if self._unclaimed else ()
        if not wanted or self._missing(document.doc["descriptor"]):
            return []
        applied: list[Applied] = []
        for uid in wanted:
            resource = self._unclaimed.pop(uid)
            owner = self._owners[uid] = self._owners[document.doc["descriptor"]]
            run = self._runs[owner]
            applied += [Applied(run, resource, _apply(run, resource)), *self._release(uid)]
        return applied

    def _hold(self, resource: Document) -> str | None:
        """Have a resource that names no run wait for the first document that points at it; gives its run if that has come already."""
        uid = resource.doc["uid"]
        for run in self._runs.values():
            if run.awaits(uid):
                self._owners[uid] = run.uid
                return run.uid
            run.expect(uid)
        self._unclaimed[uid] = resource
        if len(self._unclaimed) > self._max_parked:
            lost = self._unclaimed.pop(next(iter(self._unclaimed)))
            self.dropped += 1
            log.error("resource %s names no run and nothing pointed at it: it was given up, and stays in the catalogue", lost.uid)
        return None

    def _park(self, parent: str, document: Document) -> None:
        while self._parked and (self.parked >= self._max_parked or self.parked_bytes + document.size > MAX_PARKED_BYTES):
            lost = self._unpark(next(iter(self._parked)))
            self.dropped += len(lost)
            log.error("%d documents that waited for others were given up; they are in the catalogue: wpb dead-letters --orphans", len(lost))
        self._parked[parent].append(document)
        if (run := self._runs.get(self.owner(document) or "")) is not None:
            run.awaited.add(parent)
        self.parked += 1
        self.parked_bytes += document.size

    def _release(self, parent: str) -> Iterator[Applied]:
        """Take in what waited for a document that has come."""
        for run in self._runs.values():
            run.awaited.discard(parent)
        for document in self._unpark(parent):
            yield from self.apply(document)

    def _unpark(self, parent: str) -> list[Document]:
        waiting = self._parked.pop(parent, [])
        self.parked -= len(waiting)
        self.parked_bytes -= sum(document.size for document in waiting)
        return waiting


def _resources_named(document: Document) -> set[str]:
    """Uids of the resources that a stream datum, or an event of the older kind, points at."""
    if document.name == "stream_datum":
        return {document.doc["stream_resource"]}
    if document.name in ("event", "event_page"):
        # A datum's id is its resource's uid, a slash, and a number: event_model.compose_resource.
        values = (value for event in events_of(document) for value in event.data.values() if isinstance(value, str))
        return {value.partition("/")[0] for value in values}
    return set()


def _apply(run: Run, document: Document) -> list[FrameRef]:
    """As `Run.apply`; a fault of ours costs this document its effect, not the process its life at every restart."""
    try:
        return run.apply(document)
    except Exception:
        log.exception("run %s: the %s document %s could not be applied", run.uid, document.name, document.uid)
        run.notice("internal", f"wpb itself failed on a {document.name} document of this run; the streaming process's log says how.")
        return []


def replay(documents: Iterable[Document], recipe_for: Callable[[dict[str, Any]], Recipe | None]) -> tuple[Run, list[FrameRef]]:
    """The run its documents tell of, and the frames they announce, in order.

    :raises ValueError: there is no start document among them
    """
    runs = Runs(recipe_for)
    run: Run | None = None
    refs: list[FrameRef] = []
    for document in described_first(documents):
        for applied in runs.apply(document):
            run = applied.run
            refs.extend(applied.frames)
    if run is None:
        raise ValueError("there is no start document among these documents")
    return run, refs
