"""The older way to tell of frames: events hold the ids of Datum documents, which point into a Resource.

A Datum may come after the event that names it. Where datums count frames (``frame`` in their ``datum_kwargs``), one event may stand for
all frames since the one before, as Bluesky's TiledWriter has it; such events are placed in the order of their ``seq_num``, and when the
stop document has come, in the order in which they come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any, TypeGuard

from wpb_stream.core.documents import MAX_INDEX
from wpb_stream.core.narrow import as_mapping


@dataclass(frozen=True, slots=True)
class Placed:
    """Frames of a resource, and the points of the scan they are."""

    resource: str
    descriptor: str
    data_key: str
    first_index: int
    first_point: int
    width: int = 1
    dataset: str | None = None
    """Where in the file it is, if the datum says so and not its resource: several detectors may share one."""


@dataclass(frozen=True, slots=True, order=True)
class _Reference:
    """An event's word for a frame."""

    seq_num: int
    descriptor: str
    data_key: str
    datum_id: str
    frame: int = 0
    """The last of the frames it stands for, once its datum has told."""


@dataclass(slots=True)
class _Counter:
    """How far the frames of one data key have been counted."""

    next_seq_num: int = 1
    next_frame: int = 0
    resource: str = ""
    """The one they are of."""
    carried: int = 0
    """Points of the files before."""
    waiting: list[_Reference] = field(default_factory=list[_Reference])
    """A heap of references that an earlier event has to come before."""


@dataclass(slots=True)
class Datums:
    """The datums of one run, and the events that wait for theirs."""

    _datums: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict[str, tuple[str, Mapping[str, Any]]])
    _awaited: dict[str, _Reference] = field(default_factory=dict[str, _Reference])
    _counters: defaultdict[tuple[str, str], _Counter] = field(default_factory=lambda: defaultdict[tuple[str, str], _Counter](_Counter))

    def add(self, doc: Mapping[str, Any]) -> Iterator[Placed]:
        """Take in a Datum or a DatumPage; yields the frames of events that waited for it."""
        for datum_id, kwargs in _datums_of(doc):
            if datum_id in self._datums:
                continue
            self._datums[datum_id] = (doc["resource"], kwargs)
            reference = self._awaited.pop(datum_id, None)
            if reference is not None:
                yield from self._place(reference)

    def refer(self, seq_num: int, descriptor: str, data_key: str, datum_id: str) -> Iterator[Placed]:
        """An event names a datum; yields its frames, or nothing while it waits."""
        reference = _Reference(seq_num, descriptor, data_key, datum_id)
        if datum_id in self._datums:
            yield from self._place(reference)
        else:
            self._awaited[datum_id] = reference

    def awaited(self) -> Iterator[tuple[str, str]]:
        """Descriptor and data key of each event's word whose datum has not come."""
        return ((reference.descriptor, reference.data_key) for reference in self._awaited.values())

    def awaits(self, resource: str) -> bool:
        """Whether events wait for datums of this resource: a datum's id is its resource's uid, a slash, and a number."""
        return any(datum_id.partition("/")[0] == resource for datum_id in self._awaited)

    def flush(self) -> Iterator[Placed]:
        """No event is expected any more: what waited for an earlier one goes ahead without it."""
        for counter in self._counters.values():
            while counter.waiting:
                yield from self._count(counter, heappop(counter.waiting))

    def _place(self, reference: _Reference) -> Iterator[Placed]:
        resource, kwargs = self._datums[reference.datum_id]
        frame = kwargs.get("frame")
        if not _is_index(frame):
            index = next((kwargs[name] for name in ("point_number", "index") if _is_index(kwargs.get(name))), reference.seq_num - 1)
            yield Placed(resource, reference.descriptor, reference.data_key, index, reference.seq_num - 1, dataset=_dataset(kwargs))
            return
        counter = self._counters[reference.descriptor, reference.data_key]
        heappush(counter.waiting, replace(reference, frame=frame))
        while counter.waiting and counter.waiting[0].seq_num <= counter.next_seq_num:
            yield from self._count(counter, heappop(counter.waiting))

    def _count(self, counter: _Counter, reference: _Reference) -> Iterator[Placed]:
        """The frames since the last one counted, up to and including the reference's."""
        frame, (resource, kwargs) = reference.frame, self._datums[reference.datum_id]
        if resource != counter.resource or frame + 1 < counter.next_frame:  # the next file counts from 0 again
            counter.carried += counter.next_frame
            counter.next_frame, counter.resource = 0, resource
        first, width = counter.next_frame, frame + 1 - counter.next_frame
        counter.next_frame = frame + 1
        rewound = reference.seq_num < counter.next_seq_num
        counter.next_seq_num = max(counter.next_seq_num, reference.seq_num + 1)
        if width == 1 or rewound:
            yield Placed(resource, reference.descriptor, reference.data_key, frame, reference.seq_num - 1, 1, _dataset(kwargs))
        elif width > 0:
            yield Placed(resource, reference.descriptor, reference.data_key, first, counter.carried + first, width, _dataset(kwargs))


def _dataset(kwargs: Mapping[str, Any]) -> str | None:
    found = kwargs.get("dataset") or kwargs.get("path")
    return found if isinstance(found, str) else None


def _is_index(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < MAX_INDEX


def _datums_of(doc: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Id and arguments of each datum in a Datum or a DatumPage, whose arguments are columns."""
    if isinstance(doc["datum_id"], str):
        yield doc["datum_id"], as_mapping(doc["datum_kwargs"])
        return
    for row, datum_id in enumerate(doc["datum_id"]):
        yield str(datum_id), {name: column[row] for name, column in as_mapping(doc["datum_kwargs"]).items()}
