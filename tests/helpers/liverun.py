"""A live run driven step by step, without any server: documents in, windows read by a function, rows out."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from tests.helpers.documents import apply_all, maps_of, read, recipe_for
from wpb_stream.core.accumulation import Kind
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun, Pace, reconstruct
from wpb_stream.core.reading import read_now, steps
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import FrameRef, FrameStatus
from wpb_stream.recipes import chooser

READ, NOT_YET, BROKEN = FrameStatus.READ, FrameStatus.NOT_YET, FrameStatus.BROKEN
CHANNELS = 4
PACE = Pace(window_frames=5, window_seconds=0.0, frame_deadline_s=3.0, stop_grace_s=5.0)


def begin(start: Document, pace: Pace | None = None) -> tuple[Runs, LiveRun]:
    runs = Runs(recipe_for)
    (applied,) = runs.apply(start)
    return runs, LiveRun.begin(applied.run, "live", pace or Pace(), 0.0)


def feed(runs: Runs, live: LiveRun, document: Document, now: float) -> None:
    for applied in runs.apply(document):
        live.add(applied.frames, now)


def drain(live: LiveRun, now: float = 0.0, status: Callable[[FrameRef], FrameStatus] = lambda _: READ) -> float:
    """Read until nothing more can come; returns the time it is then."""
    while not live.finished(now):
        if live.shows(now):
            live.show(live.moment().made(), now + 1.0)
        window = live.take(now)
        if window:
            live.place(window, read(window, CHANNELS, status), now)
        else:
            wait = live.due_in(now)
            assert wait > 0, "woken although there is nothing to do"
            now += wait
    return now


def live_of(documents: list[Document], pace: Pace | None = None, status: Callable[[FrameRef], FrameStatus] = lambda _: READ) -> LiveRun:
    runs, live = begin(documents[0], pace)
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    drain(live, status=status)
    return live


def batch_of(documents: list[Document], status: Callable[[FrameRef], FrameStatus] = lambda _: READ) -> LiveRun:
    """As Dagster does it: all documents first, each once."""
    runs = Runs(recipe_for)
    once = list({(document.name, document.uid): document for document in documents}.values())
    refs = apply_all(once, runs)
    (run,) = runs._runs.values()
    live = LiveRun.begin(run, "batch", Pace(), 0.0)
    reconstruct(live, refs, lambda refs, reducer, accumulation: read(refs, reducer.size, status, accumulation))
    return live


def codes(live: LiveRun) -> Counter[str]:
    return Counter(notice.code for notice in live.reconstruction.notices if not notice.code.endswith("_guessed"))


def drain_ready(live: LiveRun, now: float) -> None:
    """Read and place all that is to be read at once."""
    while window := live.take(now + 1.0):
        live.place(window, read(window, len(live.reconstruction.table.channels)), now)


class Walk:
    """The core driven as the pipeline drives it, by a clock that is told."""

    def __init__(self, status: Callable[[FrameRef], FrameStatus] = lambda _: READ) -> None:
        self.runs = Runs(chooser(lambda _: PlanDefaults(wpb={"arrays": list(Kind)})))
        self.lives: dict[str, LiveRun] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._stored: defaultdict[str, list[Document]] = defaultdict(list)
        self._status = status

    def take(self, document: Document, now: float) -> None:
        if (document.name, document.uid) in self._seen:
            return  # the catalogue lets each through once
        self._seen[document.name, document.uid] = len(self._seen)
        owner = self.runs.owner(document)
        if owner is not None:
            self._stored[owner].append(document)
        self._apply(document, now, stored_with_owner=owner is not None)

    def _adopt(self, uid: str, documents: list[Document]) -> None:
        """As the catalogue does: what is of a run comes out in the order it came."""
        self._stored[uid] += [document for document in documents if document not in self._stored[uid]]
        self._stored[uid].sort(key=lambda document: self._seen[document.name, document.uid])

    def _apply(self, document: Document, now: float, *, stored_with_owner: bool = True) -> None:
        together = self.runs.apply(document)
        for applied in together:
            if applied.document.name == "start":
                self.lives[applied.run.uid] = LiveRun.begin(applied.run, "live", PACE, now)
        for applied in together:
            self.lives[applied.run.uid].add(applied.frames, now)
            if applied.document is not document or not stored_with_owner:
                self._adopt(applied.run.uid, [applied.document])
        for uid in {applied.run.uid for applied in together}:
            if self.lives[uid].outdated:
                self._adopt(uid, self.runs.waiting(uid))
                for known in self.runs.anew(uid, list(self._stored[uid])):
                    self._apply(known, now)

    def read(self, now: float) -> None:
        for live in self.lives.values():
            while window := live.take(now):
                self._place(live, window, now)

    def _place(self, live: LiveRun, window: list[FrameRef], now: float) -> None:
        assert live.run.recipe is not None
        result = read_now(
            steps(window, live.run.recipe, last=live.last_look), lambda *asked: read(asked[0], asked[1].size, self._status, asked[2])
        )
        live.place(window, result, now)

    def end(self, now: float) -> None:
        for live in self.lives.values():  # each by a clock of its own, as they go side by side
            steps, clock = 0, now
            while not live.finished(clock):
                steps += 1
                assert steps < 1000, "a run that never ends"
                if live.shows(clock):
                    live.show(live.moment().made(), clock + 1.0)
                if window := live.take(clock):
                    self._place(live, window, clock)
                else:
                    clock += max(live.due_in(clock), 1e-6)
            live.end()

    def told(self) -> dict[str, set[str]]:
        """Codes of the notices of each run."""
        return {uid: {notice.code for notice in live.run.notices} for uid, live in self.lives.items()}

    def maps(self) -> dict[str, tuple[list[int], dict[str, bytes]]]:
        return {uid: (live.reconstruction.run.shape, maps_of(live) | arrays_of(live)) for uid, live in self.lives.items()}


def arrays_of(live: LiveRun) -> dict[str, bytes]:
    """The bits of what was accumulated: of every frame that counts once, and of no other."""
    return {name: array.tobytes() for name, array in live.moment().made().arrays.items()}


def walk_through(documents: Sequence[Document], order: random.Random) -> Walk:
    """Take documents in this order, while time goes by and frames are read now and then, some of them late; then to the end."""
    late: dict[int, int] = {}

    def sometimes_late(ref: FrameRef) -> FrameStatus:
        tries = late.setdefault(hash((ref.file, ref.index)), order.choice([0, 0, 0, 1, 3]))
        late[hash((ref.file, ref.index))] = max(0, tries - 1)
        return NOT_YET if tries else READ

    walk = Walk(sometimes_late)
    now = 0.0
    for document in documents:
        walk.take(document, now)
        if order.random() < 0.3:
            walk.read(now)
        now += order.choice([0.0, 0.01, 0.2])
    walk.end(now)
    return walk
