"""Runs that are well-formed and odd, as real beamlines publish them, and the frames that their maps must be made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from event_model import compose_resource

from tests.helpers.documents import CAMERA, MOTOR, Acquisition, raster_run, visited_run
from wpb_stream.core.documents import Document

Expected = dict[int, tuple[str, int]]
"""For each point the file's name and the index in it of the frame that counts."""

OLDER_CAMERA = {"source": "PV:cam", "shape": [30, 40], "dtype": "array", "external": "FILESTORE:"}


@dataclass(frozen=True)
class Case:
    """One run, and what its map must be made of."""

    documents: list[Document]
    expected: Expected
    notices: frozenset[str] = frozenset()
    """Codes that must be told, besides guesses."""
    ordered: bool = False
    """Whether its documents have to come in their order: datums that count frames mean what they do by it."""


class OlderAcquisition(Acquisition):
    """A run as it was published before stream resources: resources, datums, and events that hold datum ids."""

    def resource(self, spec: str = "AD_HDF5", path: str = "camera.h5", *, names_run: bool = True, **kwargs: Any) -> Any:
        bundle = compose_resource(spec=spec, root="/data", resource_path=path, resource_kwargs=kwargs, start=self._run.start_doc)
        doc = dict(bundle.resource_doc)
        self._add("resource", doc if names_run else {key: value for key, value in doc.items() if key != "run_start"})
        return bundle

    def datum(self, resource: Any, **kwargs: Any) -> str:
        doc = dict(resource.compose_datum(datum_kwargs=kwargs, validate=False))
        self._add("datum", doc)
        return doc["datum_id"]

    def older_event(self, stream: Any, seq_num: int, datum_id: str, **data: Any) -> None:
        doc = {
            "uid": f"{self.uid}-{len(self.documents)}",
            "descriptor": stream.descriptor_doc["uid"],
            "seq_num": seq_num,
            "time": 1.0,
            "data": {"camera": datum_id, **data},
            "timestamps": {"camera": 1.0, **dict.fromkeys(data, 1.0)},
            "filled": {"camera": False},
        }
        self._add("event", doc)


def in_order(points: Iterable[int], file: str = "camera.h5") -> Expected:
    """Each point has the frame of its own number."""
    return {point: (file, point) for point in points}


def _changed(documents: list[Document], name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Document]:
    return [Document(document.name, change(document.doc)) if document.name == name else document for document in documents]


def _older_generation(documents: list[Document], **more: Any) -> list[Document]:
    """Stream resources as event-model had them from 1.18 to 1.20."""

    def older(doc: dict[str, Any]) -> dict[str, Any]:
        return {
            "uid": doc["uid"],
            "spec": "AD_HDF5_SWMR_STREAM",
            "root": "/data",
            "resource_path": "camera.h5",
            "resource_kwargs": {"path": "/entry/data/data", "swmr": True},
            "path_semantics": "posix",
            "run_start": doc["run_start"],
            **more,
        }

    return _changed(documents, "stream_resource", older)


def _older_step_scan(points: int = 6, *, names_run: bool = True, datum_first: bool = True, **kwargs: Any) -> list[Document]:
    run = OlderAcquisition((2, 3))
    stream, resource = run.stream(camera=OLDER_CAMERA), run.resource(names_run=names_run, **kwargs)
    for point in range(points):
        datum_id = run.datum(resource)
        run.older_event(stream, point + 1, datum_id)
        if not datum_first:
            run.documents[-2:] = run.documents[:-3:-1]
    run.stop()
    return run.documents


def _counted(frames: list[int], seq_nums: list[int], names: list[str] | None = None) -> list[Document]:
    """Datums that say up to which frame of their file the event stands."""
    run = OlderAcquisition((2, 3))
    stream, resources = run.stream(camera=OLDER_CAMERA), {}
    for number, (frame, seq_num) in enumerate(zip(frames, seq_nums, strict=True)):
        name = names[number] if names else "camera.h5"
        resources.setdefault(name, None)
        resources[name] = resources[name] or run.resource(path=name)
        run.older_event(stream, seq_num, run.datum(resources[name], frame=frame))
    run.stop()
    return run.documents


def _pages(documents: list[Document], halves: bool = False) -> list[Document]:
    """The same run with its datums as one page and its events as one, or as two halves of it and once more as a whole."""
    datums = [document.doc for document in documents if document.name == "datum"]
    events = [document.doc for document in documents if document.name == "event"]
    page = {
        "resource": datums[0]["resource"],
        "datum_id": [doc["datum_id"] for doc in datums],
        "datum_kwargs": {name: [doc["datum_kwargs"][name] for doc in datums] for name in datums[0]["datum_kwargs"]},
    }
    rest = [document for document in documents if document.name not in ("datum", "event", "stop")]
    middle = len(events) // 2
    chunks = [events[:middle], events[middle:], events] if halves else [events]
    return [*rest, Document("datum_page", page), *map(_event_page, chunks), documents[-1]]


def _event_page(events: list[dict[str, Any]]) -> Document:
    columns = {name: {key: [doc[name][key] for doc in events] for key in events[0][name]} for name in ("data", "timestamps", "filled")}
    lists = {name: [doc[name] for doc in events] for name in ("uid", "time", "seq_num")}
    return Document("event_page", {"descriptor": events[0]["descriptor"], **lists, **columns})


def _with_streams() -> list[Document]:
    run = Acquisition((2, 3))
    base = run.stream("baseline", camera=CAMERA, x=MOTOR)
    run.frames(base, run.file(), 0, 1)
    monitor = run.stream("current_monitor", current=MOTOR)
    stream, file = run.stream(), run.file()
    for point in range(6):
        run.event(monitor, current=float("nan"))
        run.frames(stream, file, point, point + 1)
    run.frames(base, run.documents and file, 6, 2)
    run.stop()
    return run.documents


def _two_cameras_in_two_streams() -> list[Document]:
    """The one whose stream was described first is meant, whichever document comes first; it is described again later on."""
    run = Acquisition((2, 3))
    stream, other = run.stream(), run.stream("other", side=CAMERA)
    file, side = run.file(), run.file("side")
    for point in range(3):
        run.frames(other, side, point, point + 1)
        run.frames(stream, file, point, point + 1)
    again = run.stream()
    for point in range(3, 6):
        run.frames(other, side, point, point + 1)
        run.frames(again, file, point, point + 1)
    run.stop()
    return run.documents


def _numbers_before_images() -> list[Document]:
    """A stream of numbers has announced some before the camera's stream is described."""
    run = Acquisition((2, 3))
    encoder = run.stream("encoder", position={**MOTOR, "external": "STREAM:"})
    positions = run.file("position")
    run.frames(encoder, positions, 0, 1, 2)
    stream, file = run.stream(), run.file()
    for point in range(6):
        run.frames(stream, file, point, point + 1)
    run.frames(encoder, positions, 2, 3, 4)
    run.stop()
    return run.documents


def _camera_in_baseline_too() -> list[Document]:
    run = Acquisition((2, 3), wpb={"data_key": "camera"})
    base, before = run.stream("baseline", camera=CAMERA), run.file(name="before.h5")
    run.frames(base, before, 0, 1)
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1, 6)
    run.frames(base, before, 1, 2)
    run.stop()
    return run.documents


def _described_again() -> list[Document]:
    run = Acquisition((2, 3))
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1, 3)
    run.frames(run.stream(), file, 3, 4, 3)
    run.stop()
    return run.documents


def _reserved_names() -> list[Document]:
    run = Acquisition((1, 2))
    stream, file = run.stream(camera=CAMERA, time=MOTOR, seq_num=MOTOR), run.file()
    run.frames(stream, file, 0, 1, 2)
    run.event(stream, time=1.0, seq_num=2.0)
    run.stop()
    return run.documents


def _camera(documents: list[Document], **changed: Any) -> list[Document]:
    return _changed(documents, "descriptor", lambda doc: {**doc, "data_keys": {"camera": {**CAMERA, **changed}}})


def _without(documents: list[Document], name: str, *keys: str) -> list[Document]:
    return _changed(documents, name, lambda doc: {key: value for key, value in doc.items() if key not in keys})


def _with_nulls(documents: list[Document]) -> list[Document]:
    nulls = {
        "start": ("scan_id", "sample", "hints"),
        "descriptor": ("name", "hints", "configuration", "object_keys"),
        "stream_resource": ("run_start",),
        "stop": ("reason", "num_events"),
    }
    return [Document(document.name, {**document.doc, **dict.fromkeys(nulls.get(document.name, ()))}) for document in documents]


def _large_event() -> list[Document]:
    run = Acquisition((1, 2))
    stream, file = run.stream(camera=CAMERA, trace={**MOTOR, "shape": [1_000_000], "dtype": "array"}), run.file()
    run.frames(stream, file, 0, 1, 2)
    run._add(
        "event",
        {**stream.compose_event(data={"trace": 0.0}, timestamps={"trace": 1.0}, validate=False), "data": {"trace": [0.5] * 1_100_000}},
    )
    run.stop()
    return run.documents


def corpus() -> dict[str, Case]:
    """The cases by name; composed anew, with uids of their own."""
    plain = raster_run((2, 3))
    six = in_order(range(6))
    start, *rest = plain
    return {
        "a step scan": Case(plain, six),
        "a fly scan, many points a datum": Case(raster_run((2, 3), frames_per_datum=4), six),
        "a run that was aborted": Case(_ended(raster_run((2, 3), points=4), "abort"), in_order(range(4))),
        "a run that failed": Case(_ended(raster_run((2, 3), points=1), "fail"), in_order(range(1))),
        "a run stopped early, which is a success": Case(raster_run((2, 3), points=3), in_order(range(3))),
        "a run that is never stopped": Case(plain[:-1], six),
        "a run that goes on beyond its shape": Case(raster_run((2, 3), points=9), six, frozenset({"overrun"})),
        "a run of unknown length": Case(raster_run((), points=150), in_order(range(150))),
        "a point that was measured again": Case(
            visited_run([1, 2, 3, 2, 3, 4], (2, 3)), {k: ("camera.h5", i) for k, i in enumerate((0, 3, 4, 5))}
        ),
        "a scan over two files": Case(visited_run([1, 2, 3, 4], (2, 2), files=2), {k: ("camera.h5", k % 2) for k in range(4)}),
        "points that were skipped": Case(visited_run([1, 3, 6], (2, 3)), {p: ("camera.h5", i) for i, p in enumerate((0, 2, 5))}),
        "the stop document before the last points": Case([*plain[:-3], plain[-1], *plain[-3:-1]], six),
        "documents before their start": Case([*rest[:-1], start, rest[-1]], six),
        "everything backwards": Case(plain[::-1], six),
        "everything twice": Case([document for document in plain for _ in range(2)], six),
        "everything, and then everything again": Case([*plain, *plain], six),
        "datums before the resource they point into": Case([*plain[:2], *plain[3:-1], plain[2], plain[-1]], six),
        "a resource that names no run": Case(raster_run((2, 3), names_run=False), six),
        "a resource whose run is an empty text": Case(_changed(plain, "stream_resource", lambda doc: {**doc, "run_start": ""}), six),
        "a resource after its datums that names no run": Case(_late_resource(), six),
        "a stream described again after a change of configuration": Case(_described_again(), six),
        "two cameras in two streams": Case(_two_cameras_in_two_streams(), six, frozenset({"detector_guessed"})),
        "numbers that come before the images are described": Case(_numbers_before_images(), six),
        "the camera that was asked for is in the baseline too": Case(_camera_in_baseline_too(), six),
        "baseline with a camera, a monitor, NaN in events": Case(_with_streams(), six),
        "data keys called time and seq_num": Case(_reserved_names(), in_order(range(2))),
        "a descriptor without object keys, hints and configuration": Case(
            _without(plain, "descriptor", "object_keys", "hints", "configuration"), six
        ),
        "a structured dtype_numpy": Case(_camera(plain, dtype_numpy=[["a", "<u2"], ["b", "<f8"]]), six),
        "an old name of the dtype": Case(_camera(plain, dtype_str="|u1"), six),
        "null wherever nothing was said": Case(_with_nulls(plain), six),
        "a shape that is null": Case(_camera(plain, shape=None), six),
        "a shape that may vary": Case(_camera(plain, shape=[None, 30, 40]), six),
        "a shape of zeros, as a real run has it": Case(_camera(plain, shape=[1, 0, 0]), six),
        "external without a word": Case(_camera(plain, external=""), six),
        "NaN and infinity in the metadata": Case(
            _changed(plain, "start", lambda doc: {**doc, "energy": float("nan"), "limits": [float("-inf"), float("inf")]}), six
        ),
        "an event of ten megabytes": Case(_large_event(), in_order(range(2))),
        "stream resources of the generation before": Case(_older_generation(plain), six),
        "stream resources of event-model 1.20": Case(_older_generation(plain, data_key="camera"), six),
        "stream resources of event-model 1.18": Case(_older_generation(plain, stream_names=["primary"]), six),
        "stream resources of the generation before, from Windows": Case(
            _older_generation(plain, root="C:\\data", resource_path="run 1\\camera.h5", path_semantics="windows"), six
        ),
        "resources, datums and events that name them": Case(_older_step_scan(), six),
        "datums after the events that name them": Case(_older_step_scan(datum_first=False), six),
        "a resource of the older kind that names no run": Case(_older_step_scan(names_run=False), six),
        "pages of datums and events": Case(_pages(_older_step_scan()), six),
        "pages that were cut in halves by the publisher, and came whole as well": Case(_pages(_older_step_scan(), halves=True), six),
        "datums that count frames": Case(_counted(list(range(6)), list(range(1, 7))), six, ordered=True),
        "datums of which each stands for several frames": Case(_counted([1, 3, 5], [1, 2, 3]), six, ordered=True),
        "frame counts that begin again with the next file": Case(
            _counted([2, 2], [1, 2], ["a.h5", "b.h5"]), {k: ("ab"[k // 3] + ".h5", k % 3) for k in range(6)}, ordered=True
        ),
        "a point measured again, counted": Case(
            _counted([0, 1, 2, 3], [1, 2, 2, 3]), {0: ("camera.h5", 0), 1: ("camera.h5", 2), 2: ("camera.h5", 3)}, ordered=True
        ),
        "filled is the datum's id": Case(
            _changed(_older_step_scan(), "event", lambda doc: {**doc, "filled": {"camera": doc["data"]["camera"]}}), six
        ),
    }


def _late_resource() -> list[Document]:
    documents = raster_run((2, 3), names_run=False)
    return [*documents[:2], *documents[3:-1], documents[2], documents[-1]]


def _ended(documents: list[Document], exit_status: str) -> list[Document]:
    return _changed(documents, "stop", lambda doc: {**doc, "exit_status": exit_status, "reason": "the beam went away"})
