"""Runs with numbers beside their frames, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.helpers.documents import CAMERA, Acquisition, read
from tests.helpers.liverun import READ, Walk
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun
from wpb_stream.core.window import FrameRef

NUMBER = {"source": "sim", "shape": [], "dtype": "number", "units": "V"}
DATASET = {"source": "sim", "shape": [1], "dtype": "number", "external": "STREAM:", "units": "A"}
BY_I0 = {"normalise": {"by": "i0"}}
VISITS = (1, 2, 3, 2, 3, 4, 5, 6)
"""Sequence numbers of a scan of 2 x 3 points that was rewound once."""
SOURCES = ("primary", "counters", "dataset")


class Scan(Acquisition):
    """A run with one camera and one number a point, from wherever the number comes."""

    def __init__(self, wpb: Mapping[str, Any], visits: tuple[int, ...] = VISITS, *, uid: str = "run", source: str = "primary") -> None:
        super().__init__((2, 3), uid=uid, wpb=dict(wpb))
        here, there = {"i0": NUMBER} if source == "primary" else {}, {"i0": DATASET if source == "dataset" else NUMBER}
        self.primary = self.stream(camera=CAMERA, **here)
        self.other = self.primary if source == "primary" else self.stream("counters", **there)
        camera, counters = self.file(), self.file("i0") if source == "dataset" else None
        self.wanted: dict[int, tuple[float, float]] = {}
        """By point the counts of its frame and its number: those of its last visit."""
        for index, seq_num in enumerate(visits):
            self.frames(self.primary, camera, index, seq_num)
            if counters is not None:
                self.frames(self.other, counters, index, seq_num)
            else:
                self.number(self.other, seq_num, float(index + 1), 100.0 + index)
            number = answer(counters, index) if counters else float(index + 1)
            self.wanted[seq_num - 1] = (answer(camera, index), number)
        self.stop()
        counted = {"num_events": {"primary": len(set(visits)), **({"counters": len(set(visits))} if source != "primary" else {})}}
        self.documents[-1] = Document("stop", {**self.documents[-1].doc, **counted})

    def number(self, stream: Any, seq_num: int, value: Any, time: float) -> None:
        doc = stream.compose_event(data={"i0": value}, timestamps={"i0": time}, seq_num=seq_num, time=time, validate=False)
        self._add("event", doc)


def answer(file: Any, index: int) -> float:
    """What the reader of these tests says of an index."""
    return float(read([FrameRef(0, _File(file.stream_resource_doc["uid"]), index)], 1).values[0, 0])  # type: ignore[arg-type]


@dataclass
class _File:
    uid: str


def walked(documents: list[Document], status: Any = lambda _: READ) -> LiveRun:
    walk = Walk(status)
    for document in documents:
        walk.take(document, 0.0)
        walk.read(0.0)
    walk.end(0.0)
    (live,) = walk.lives.values()
    return live


def by_point(live: LiveRun, channel: str) -> dict[int, float]:
    data = live.reconstruction.table.data
    return dict(zip(data["point"].tolist(), data[channel].tolist(), strict=True))


def codes(live: LiveRun) -> set[str]:
    return {notice.code for notice in live.run.notices} - {"regions_guessed"}


def told(live: LiveRun, code: str) -> str:
    return " ".join(notice.message for notice in live.run.notices if notice.code == code)
