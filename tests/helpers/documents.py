"""Documents of runs for tests, composed by event-model itself, and values as a detector would have given them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np
from event_model import compose_run

from wpb_stream.core.accumulation import Accumulation, Tally
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun
from wpb_stream.core.recipe import PlanDefaults, Recipe, choose
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import FrameRef, FrameStatus, WindowResult
from wpb_stream.recipes.raster import Raster

CAMERA = {"source": "sim", "shape": [1, 30, 40], "dtype": "array", "dtype_numpy": "|u1", "external": "STREAM:"}
MOTOR = {"source": "sim", "shape": [], "dtype": "number", "units": "mm"}
FRAME_SHAPE = (30, 40)


class Acquisition:
    """A run while it is acquired: each step appends the documents that Bluesky would send."""

    def __init__(self, shape: Sequence[int] = (3, 4), *, uid: str | None = None, **metadata: Any) -> None:
        planned = {"shape": list(shape), "snaking": [False, *[True] * (len(shape) - 1)]} if shape else {}
        self._run = compose_run(uid=uid, metadata={"plan_name": "grid_scan", "scan_id": 7, **planned, **metadata}, validate=False)
        self.uid: str = self._run.start_doc["uid"]
        self.documents: list[Document] = []
        self._add("start", self._run.start_doc)

    def _add(self, name: str, doc: Any) -> None:
        self.documents.append(Document(name, dict(doc)))

    def stream(self, name: str = "primary", **data_keys: Any) -> Any:
        """Declare a stream; by default one with a camera.

        :returns: event-model's bundle of the stream's composers
        """
        bundle = self._run.compose_descriptor(name=name, data_keys=data_keys or {"camera": CAMERA}, validate=False)
        self._add("descriptor", bundle.descriptor_doc)
        return bundle

    def file(self, data_key: str = "camera", *, name: str | None = None, names_run: bool = True, **parameters: Any) -> Any:
        """Announce a file that a detector writes.

        :param name: of the file, if not the detector's
        :param names_run: whether the document says which run it belongs to; Bluesky's own documents need not
        """
        bundle = self._run.compose_stream_resource(
            mimetype="application/x-hdf5",
            uri=f"file://localhost/data/{name or data_key + '.h5'}",
            data_key=data_key,
            parameters={"dataset": "/entry/data/data", **parameters},
            validate=False,
        )
        doc = dict(bundle.stream_resource_doc)
        self._add("stream_resource", doc if names_run else {key: value for key, value in doc.items() if key != "run_start"})
        return bundle

    def frames(self, stream: Any, file: Any, index: int, seq_num: int, width: int = 1) -> None:
        """The detector wrote ``width`` frames, from ``index`` in the file on, for the points from ``seq_num`` (from 1) on."""
        datum = file.compose_stream_datum(
            indices={"start": index, "stop": index + width},
            seq_nums={"start": seq_num, "stop": seq_num + width},
            descriptor=stream.descriptor_doc,
            validate=False,
        )
        self._add("stream_datum", datum)

    def event(self, stream: Any, **data: float) -> None:
        """One event with the values of a step."""
        self._add("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 1.0), validate=False))

    def stop(self, exit_status: str = "success", reason: str = "") -> None:
        """The run is over."""
        self._add("stop", self._run.compose_stop(exit_status=exit_status, reason=reason, validate=False))


def raster_run(
    shape: Sequence[int] = (3, 4), *, points: int | None = None, frames_per_datum: int = 1, names_run: bool = True, **metadata: Any
) -> list[Document]:
    """A whole raster scan with one camera: one frame a point, in order."""
    run = Acquisition(shape, **metadata)
    stream, file = run.stream(), run.file(names_run=names_run)
    total = prod(shape) if points is None else points
    for first in range(0, total, frames_per_datum):
        run.frames(stream, file, first, first + 1, min(frames_per_datum, total - first))
    run.stop()
    return run.documents


def visited_run(seq_nums: Sequence[int], shape: Sequence[int] = (3, 4), *, files: int = 1) -> list[Document]:
    """A scan that visits the points of these sequence numbers one after the other: going back means that it was rewound.

    :param files: the frames are spread over so many files, one after the other
    """
    run = Acquisition(shape)
    stream = run.stream()
    per_file = -(-len(seq_nums) // files)
    for count, seq_num in enumerate(seq_nums):
        if count % per_file == 0:
            file = run.file()
        run.frames(stream, file, count % per_file, seq_num)
    run.stop()
    return run.documents


def recipe_for(start: dict[str, Any]) -> Recipe | None:
    """The recipe without any settings."""
    return choose(start, [Raster()], PlanDefaults())


def apply_all(documents: Iterable[Document], runs: Runs | None = None) -> list[FrameRef]:
    """The frames that these documents ask for, in order."""
    runs = runs or Runs(recipe_for)
    return [ref for document in documents for applied in runs.apply(document) for ref in applied.frames]


def frames_by_run(documents: Iterable[Document], runs: Runs) -> dict[str, list[FrameRef]]:
    """The frames that are asked for in the end, by run: a run that is superseded is made anew, as the pipeline does it."""
    refs: dict[str, list[FrameRef]] = {}
    taken: dict[str, list[Document]] = {}

    def take(document: Document) -> None:
        together = runs.apply(document)
        for applied in together:
            refs.setdefault(applied.run.uid, []).extend(applied.frames)
            taken.setdefault(applied.run.uid, []).append(applied.document)
        for uid in {applied.run.uid for applied in together if applied.run.superseded}:
            refs[uid] = []
            for known in runs.anew(uid, [*taken.pop(uid), *runs.waiting(uid)]):
                take(known)

    for document in documents:
        take(document)
    return refs


def winners(refs: Iterable[FrameRef]) -> dict[int, tuple[str, int]]:
    """For each point the frames that count in the end: file, index."""
    latest: dict[int, FrameRef] = {}
    for ref in refs:
        if ref.point not in latest or latest[ref.point].version < ref.version:
            latest[ref.point] = ref
    return {point: (ref.file.uid, ref.index) for point, ref in latest.items()}


def read(
    refs: Sequence[FrameRef],
    channels: int,
    status: Callable[[FrameRef], FrameStatus] = lambda _: FrameStatus.READ,
    accumulation: Accumulation | None = None,
) -> WindowResult:
    """A reader's answer: values that no two frames have in common; NaN for what ``status`` says was not read."""
    statuses = [status(ref) for ref in refs]
    values = np.full((len(refs), channels), np.nan)
    tally = Tally(accumulation) if accumulation else None
    for row, (ref, became) in enumerate(zip(refs, statuses, strict=True)):
        if became == FrameStatus.READ:
            base = int.from_bytes(ref.file.uid.encode()[:3]) * 1000.0 + ref.index
            values[row] = [base + channel / 64 for channel in range(channels)]
            if tally:
                tally.take(ref.point, np.array([[base, base / 7]]))
                tally.take_last(ref.point, np.array([[base, base / 7]]))
    reason = None if all(became == FrameStatus.READ for became in statuses) else "Some frames are not there."
    return WindowResult(values, np.array(statuses, np.uint8), FRAME_SHAPE, reason, tally)


def maps_of(live: LiveRun) -> dict[str, bytes]:
    """The bits of each map."""
    maps = live.reconstruction.table.maps(live.reconstruction.run.shape)
    return {name: values.tobytes() for name, values in maps.items()}


def as_msgpack(name: str, doc: Any) -> bytes:
    """A message as bluesky-kafka sends it, without numpy arrays."""
    return msgspec.msgpack.encode([name, doc])


def as_json(name: str, doc: Any) -> bytes:
    """A message as blueapi sends it."""
    return msgspec.json.encode({"name": name, "doc": doc, "task_id": "t"})
