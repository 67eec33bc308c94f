"""Generated deliveries: however documents are interleaved, doubled and reordered within a window, the maps are those of the clean order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.corpus import OLDER_CAMERA, OlderAcquisition
from tests.helpers.documents import CAMERA, MOTOR, Acquisition
from tests.helpers.liverun import BROKEN, NOT_YET, READ, Walk, walk_through
from wpb_stream.core.documents import Document
from wpb_stream.core.window import FrameRef, FrameStatus

NUMBER = {**MOTOR, "external": "STREAM:"}


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    shape: tuple[int, ...]
    """() for a run that tells none."""
    visits: tuple[int, ...]
    """Sequence numbers in the order of their frames: going back is a rewind."""
    files: int
    generation: str
    """``now``, ``before``: stream resources of event-model 1.18 to 1.20, ``older``: resources and datums."""
    names_run: bool
    together: bool
    """Points that follow each other are announced by one datum, as in fly scans."""
    described_again: bool
    """In the middle, as after a change of configuration."""
    side: str
    """What a second stream holds: nothing, another ``camera`` or ``numbers``; it is described later, or, for numbers, earlier."""

    @property
    def files_have_an_order(self) -> bool:
        """Whether a point is in several files, so that it matters which of them is the later one: nothing in any document says."""
        per_file = -(-len(self.visits) // self.files)
        return len({(seq_num, count // per_file) for count, seq_num in enumerate(self.visits)}) > len(set(self.visits))


plans = st.builds(
    Plan,
    shape=st.sampled_from([(), (2, 3), (3, 2), (2, 2, 2), (5,)]),
    visits=st.lists(st.integers(1, 8), min_size=1, max_size=12).map(tuple),
    files=st.integers(1, 3),
    generation=st.sampled_from(["now", "before", "older"]),
    names_run=st.booleans(),
    together=st.booleans(),
    described_again=st.booleans(),
    side=st.sampled_from(["", "camera", "numbers"]),
)


class Acquired(OlderAcquisition):
    """A run as a plan has it."""

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__(plan.shape, uid=f"run{number}", plan_name="generated")
        self._plan = plan
        self._camera = OLDER_CAMERA if plan.generation == "older" else CAMERA
        monitor = self.stream("monitor", current=MOTOR)
        numbers = self.stream("side", side=NUMBER) if plan.side == "numbers" else None
        stream = self.stream(camera=self._camera)
        side = self.stream("side", side=CAMERA) if plan.side == "camera" else numbers
        beside: Any = self.file("side", names_run=plan.names_run) if side else None
        per_file = -(-len(plan.visits) // plan.files)
        for first in range(0, len(plan.visits), per_file):
            source: Any = (self.resource if plan.generation == "older" else self.file)(names_run=plan.names_run)
            for index, seq_num, width in self._steps(plan.visits[first : first + per_file]):
                self._frames(stream, source, index, seq_num, width)
                self.event(monitor, current=float(first + index))
                if side:
                    self.frames(side, beside, first + index, seq_num, width)
            if plan.described_again and first == 0:
                stream = self.stream(camera=self._camera)
        self.stop()
        counted = {"num_events": {"primary": len(set(plan.visits))}}
        self.documents[-1] = Document("stop", {**self.documents[-1].doc, **counted})
        if plan.generation == "before":
            self.documents = [Document(document.name, _as_before(document)) for document in self.documents]

    def _steps(self, visits: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
        """Index, first sequence number and width of each datum of a file."""
        first = 0
        for index in range(1, len(visits) + 1):
            apart = index == len(visits) or visits[index] != visits[index - 1] + 1
            if apart or not self._plan.together or self._plan.generation == "older":
                yield first, visits[first], index - first
                first = index

    def _frames(self, stream: Any, source: Any, index: int, seq_num: int, width: int) -> None:
        if self._plan.generation == "older":
            self.older_event(stream, seq_num, self.datum(source, point_number=index))
        else:
            self.frames(stream, source, index, seq_num, width)


def _as_before(document: Document) -> dict[str, Any]:
    doc = document.doc
    if document.name == "stream_resource":
        spec = {"spec": "AD_HDF5", "root": "/data", "resource_path": "camera.h5", "resource_kwargs": {"path": "/data"}}
        return spec | {key: doc[key] for key in ("uid", "run_start") if key in doc}
    return doc


def documents_of(plan: Plan, number: int) -> list[Document]:
    return Acquired(plan, number).documents


def delivered(runs: list[list[Document]], order: random.Random, window: int, *, files_in_order: bool) -> list[Document]:
    """The runs interleaved, some documents doubled, each at most ``window`` places from where it was.

    :param files_in_order: the documents of files stay in their order
    """
    waiting = [list(documents) for documents in runs]
    together: list[Document] = []
    while any(waiting):
        together.append(order.choice([documents for documents in waiting if documents]).pop(0))
    for document in order.sample(together, len(together) // 3):
        together.insert(order.randrange(together.index(document), len(together) + 1), document)
    places = [place + order.uniform(0, window) for place in range(len(together))]
    shuffled = [document for _, document in sorted(zip(places, together, strict=True), key=lambda pair: pair[0])]
    if not files_in_order:
        return shuffled
    in_order = iter([document for document in together if document.name in ("resource", "stream_resource")])
    return [next(in_order) if document.name in ("resource", "stream_resource") else document for document in shuffled]


def never_late(ref: FrameRef) -> FrameStatus:
    return READ


@settings(deadline=None, max_examples=100)
@given(st.lists(plans, min_size=1, max_size=3), st.sampled_from([0, 3, 12, 40]), st.randoms(use_true_random=False))
def test_any_delivery_ends_in_the_maps_of_the_clean_one(wanted: list[Plan], window: int, order: random.Random) -> None:
    runs = [documents_of(plan, number) for number, plan in enumerate(wanted)]
    clean = Walk(never_late)
    for documents in runs:
        for document in documents:
            clean.take(document, 0.0)
    clean.end(0.0)
    in_order = any(plan.files_have_an_order for plan in wanted)
    walk = walk_through(delivered(runs, order, window, files_in_order=in_order), order)
    assert walk.maps() == clean.maps()
    assert walk.told() == clean.told()
    assert walk.runs.parked == 0
    for live in walk.lives.values():
        assert not live.missing
        assert "internal" not in walk.told()[live.run.uid]
        walk.runs.forget(live.run.uid)
    held = walk.runs
    assert not any((held._runs, held._owners, held._unclaimed, held._parked, held._expected))


@settings(deadline=None, max_examples=100)
@given(plans, st.integers(0, 6), st.randoms(use_true_random=False))
def test_frames_that_never_come_are_missing_and_all_others_are_where_they_belong(plan: Plan, window: int, order: random.Random) -> None:
    lost = {order.randrange(12) for _ in range(3)}

    def status(ref: FrameRef) -> FrameStatus:
        return READ if ref.point not in lost else order.choice([NOT_YET, BROKEN])

    walk = Walk(status)
    documents = documents_of(plan, 0)
    for document in delivered([documents], order, window, files_in_order=True):
        walk.take(document, 0.0)
    walk.end(0.0)
    (live,) = walk.lives.values()
    size = live.run.grid.size if live.run.grid else 0
    visited = {seq_num - 1 for seq_num in plan.visits if seq_num <= size}
    assert live.missing == visited & lost
    assert set(live.reconstruction.table.data["point"].tolist()) == visited - lost


def test_a_run_that_nobody_published_leaves_nothing_behind() -> None:
    run = Acquisition((2, 3))
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1)
    walk = Walk(never_late)
    for document in run.documents[1:]:
        walk.take(document, 0.0)
    assert walk.lives == {}
    assert walk.runs.parked == 3
