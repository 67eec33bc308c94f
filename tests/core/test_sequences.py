"""Generated deliveries: however documents are interleaved, doubled and reordered within a window, the maps are those of the clean order."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.corpus import OLDER_CAMERA, OlderAcquisition
from tests.helpers.documents import CAMERA, MOTOR, Acquisition, maps_of, read
from tests.helpers.liverun import BROKEN, CHANNELS, NOT_YET, READ
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.recipe import PlanDefaults, choose
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import FrameRef, FrameStatus
from wpb_stream.recipes.line import Line
from wpb_stream.recipes.raster import Raster

PACE = Pace(window_frames=5, window_seconds=0.0, frame_deadline_s=3.0, stop_grace_s=5.0)


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    shape: tuple[int, ...]
    """() for a run that tells none."""
    visits: tuple[int, ...]
    """Sequence numbers in the order of their frames: going back is a rewind."""
    files: int
    older: bool
    """Published as resources and datums."""
    names_run: bool


plans = st.builds(
    Plan,
    shape=st.sampled_from([(), (2, 3), (3, 2), (2, 2, 2), (5,)]),
    visits=st.lists(st.integers(1, 8), min_size=1, max_size=12).map(tuple),
    files=st.integers(1, 3),
    older=st.booleans(),
    names_run=st.booleans(),
)


def documents_of(plan: Plan, number: int) -> list[Document]:
    run = OlderAcquisition(plan.shape, uid=f"run{number}", plan_name="generated")
    monitor = run.stream("monitor", current=MOTOR)
    stream = run.stream(camera=OLDER_CAMERA if plan.older else CAMERA)
    per_file = -(-len(plan.visits) // plan.files)
    source: Any = None
    for count, seq_num in enumerate(plan.visits):
        if count % per_file == 0:
            source = run.resource(names_run=plan.names_run) if plan.older else run.file(names_run=plan.names_run)
        if plan.older:
            run.older_event(stream, seq_num, run.datum(source, point_number=count % per_file))
        else:
            run.frames(stream, source, count % per_file, seq_num)
        run.event(monitor, current=float(count))
    points = len(set(plan.visits))
    run.stop()
    run.documents[-1] = Document("stop", {**run.documents[-1].doc, "num_events": {"primary": points}})
    return run.documents


def delivered(runs: list[list[Document]], order: random.Random, window: int) -> list[Document]:
    """The runs interleaved, some documents doubled, each at most ``window`` places from where it was.

    The resources of a run stay in their order: which of two files is the later one, nothing in any document says.
    """
    waiting = [list(documents) for documents in runs]
    together: list[Document] = []
    while any(waiting):
        together.append(order.choice([documents for documents in waiting if documents]).pop(0))
    for document in order.sample(together, len(together) // 3):
        together.insert(order.randrange(together.index(document), len(together) + 1), document)
    places = [place + order.uniform(0, window) for place in range(len(together))]
    shuffled = [document for _, document in sorted(zip(places, together, strict=True), key=lambda pair: pair[0])]
    in_order = iter([document for document in together if document.name in ("resource", "stream_resource")])
    return [next(in_order) if document.name in ("resource", "stream_resource") else document for document in shuffled]


class Walk:
    """The core driven as the pipeline drives it, by a clock that is told."""

    def __init__(self, status: Any) -> None:
        self.runs = Runs(lambda start: choose(start, [Raster(), Line()], PlanDefaults()))
        self.lives: dict[str, LiveRun] = {}
        self._seen: set[tuple[str, str]] = set()
        self._status = status

    def take(self, document: Document, now: float) -> None:
        if (document.name, document.uid) in self._seen:
            return  # the catalogue lets each through once
        self._seen.add((document.name, document.uid))
        together = self.runs.apply(document)
        for applied in together:
            if applied.document.name == "start":
                self.lives[applied.run.uid] = LiveRun.begin(applied.run, "live", PACE, now)
        for applied in together:
            self.lives[applied.run.uid].add(applied.frames, now)

    def read(self, now: float) -> None:
        for live in self.lives.values():
            while window := live.take(now):
                live.place(window, read(window, CHANNELS, self._status), now)

    def end(self, now: float) -> None:
        for live in self.lives.values():
            steps = 0
            while not live.finished(now):
                steps += 1
                assert steps < 1000, "a run that never ends"
                if window := live.take(now):
                    live.place(window, read(window, CHANNELS, self._status), now)
                else:
                    now += max(live.due_in(now), 1e-6)  # a clock goes on
            live.end()

    def maps(self) -> dict[str, tuple[list[int], dict[str, bytes]]]:
        return {uid: (live.reconstruction.run.shape, maps_of(live)) for uid, live in self.lives.items()}


def never_late(ref: FrameRef) -> FrameStatus:
    return READ


@settings(deadline=None, max_examples=300)
@given(st.lists(plans, min_size=1, max_size=3), st.integers(0, 12), st.randoms(use_true_random=False))
def test_any_delivery_ends_in_the_maps_of_the_clean_one(wanted: list[Plan], window: int, order: random.Random) -> None:
    runs = [documents_of(plan, number) for number, plan in enumerate(wanted)]
    clean = Walk(never_late)
    for documents in runs:
        for document in documents:
            clean.take(document, 0.0)
    clean.end(0.0)
    late: dict[int, int] = {}

    def sometimes_late(ref: FrameRef) -> FrameStatus:
        tries = late.setdefault(hash((ref.file, ref.index)), order.choice([0, 0, 0, 1, 3]))
        late[hash((ref.file, ref.index))] = max(0, tries - 1)
        return NOT_YET if tries else READ

    walk = Walk(sometimes_late)
    now = 0.0
    for document in delivered(runs, order, window):
        walk.take(document, now)
        if order.random() < 0.3:
            walk.read(now)
        now += order.choice([0.0, 0.01, 0.2])
    walk.end(now)
    assert walk.maps() == clean.maps()
    assert walk.runs.parked == 0
    for live in walk.lives.values():
        assert not live.missing
        assert "internal" not in {notice.code for notice in live.run.notices}
        walk.runs.forget(live.run.uid)
    assert not any((walk.runs._runs, walk.runs._owners, walk.runs._unclaimed, walk.runs._parked))


@settings(deadline=None, max_examples=100)
@given(plans, st.integers(0, 6), st.randoms(use_true_random=False))
def test_frames_that_never_come_are_missing_and_all_others_are_where_they_belong(plan: Plan, window: int, order: random.Random) -> None:
    lost = {order.randrange(12) for _ in range(3)}

    def status(ref: FrameRef) -> FrameStatus:
        return READ if ref.point not in lost else order.choice([NOT_YET, BROKEN])

    walk = Walk(status)
    documents = documents_of(plan, 0)
    for document in delivered([documents], order, window):
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
