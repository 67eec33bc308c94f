"""A live run driven step by step, without any server: documents in, windows read by a function, rows out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.helpers.documents import apply_all, read, recipe_for
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun, Pace, reconstruct
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import FrameRef, FrameStatus

READ, NOT_YET, BROKEN = FrameStatus.READ, FrameStatus.NOT_YET, FrameStatus.BROKEN
CHANNELS = 4


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
            live.show(live.arrays(), now + 1.0)
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
    reconstruct(live, refs, lambda window: read(window, CHANNELS, status))
    return live


def codes(live: LiveRun) -> Counter[str]:
    return Counter(notice.code for notice in live.reconstruction.notices if not notice.code.endswith("_guessed"))


def drain_ready(live: LiveRun, now: float) -> None:
    """Read and place all that is to be read at once."""
    while window := live.take(now + 1.0):
        live.place(window, read(window, len(live.reconstruction.table.channels)), now)
