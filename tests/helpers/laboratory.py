"""A laboratory for plans: a real RunEngine, motors, and detectors that write real files and remember what they wrote, and where.

Every detector writes frames that no two exposures have in common, so that a frame on a wrong point shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from bluesky import RunEngine
from ophyd_async.core import PathInfo, init_devices
from ophyd_async.sim import PatternGenerator, SimBlobDetector

from tests.helpers.filekinds import KINDS
from wpb_stream.sim.camera import DATASET, Camera, FrameFile
from wpb_stream.sim.stage import Motor

FRAME = (6, 4)

Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One exposure, as the detector knows it."""

    frame: Frame
    at: Mapping[str, float]
    """Where each motor was, by name."""


@dataclass
class Film:
    """What one detector has written, in order."""

    shots: list[Shot] = field(default_factory=list[Shot])


class Done:
    """The status of what is done already."""

    done = success = True

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def exception(self, timeout: float | None = 0.0) -> None: ...


class Brightness:
    """A number that rises where the x motor goes, for plans that go by what they measure."""

    parent = None
    name = "bright"
    hints: Mapping[str, Any] = {"fields": ["bright"]}

    def __init__(self, motor: Motor) -> None:
        self._motor = motor

    def trigger(self) -> Done:
        return Done()

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": self._motor.position_mm**2, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "sim://bright", "dtype": "number", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class FileStoreCamera:
    """A detector as ophyd's area detectors are: Resource and Datum documents, and a datum's id for each event.

    :param expose: takes one image
    :param images: frames for each event
    """

    parent = None

    def __init__(self, name: str, expose: Callable[[], Frame], path: Callable[[str], PathInfo], images: int = 1) -> None:
        self.name = name
        self.hints = {"fields": [name]}
        self._expose, self._path, self._images = expose, path, images
        self._file: FrameFile | None = None
        self._resource = self._datum_id = ""
        self._points = 0
        self._gain = 1
        self._documents: list[tuple[str, dict[str, Any]]] = []

    def stage(self) -> list[Any]:
        where = self._path(self.name)
        self._file, self._points, self._resource = FrameFile(Path(where.directory_path) / f"{where.filename}.h5", FRAME), 0, str(uuid4())
        self._documents.append(
            (
                "resource",
                {
                    "uid": self._resource,
                    "spec": "AD_HDF5",
                    "root": str(where.directory_path),
                    "resource_path": f"{where.filename}.h5",
                    "resource_kwargs": {"frame_per_point": self._images},
                    "path_semantics": "posix",
                },
            )
        )
        return [self]

    def trigger(self) -> Done:
        assert self._file is not None
        for _ in range(self._images):
            self._file.append(self._expose())
        self._datum_id = f"{self._resource}/{self._points}"
        datum = {"datum_id": self._datum_id, "resource": self._resource, "datum_kwargs": {"point_number": self._points}}
        self._documents.append(("datum", datum))
        self._points += 1
        return Done()

    def unstage(self) -> list[Any]:
        if self._file is not None:
            self._file.close()
            self._file = None
        return [self]

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": self._datum_id, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        shape = [self._images, *FRAME] if self._images > 1 else list(FRAME)
        return {self.name: {"source": f"sim://{self.name}", "dtype": "array", "shape": shape, "external": "FILESTORE:"}}

    def configure(self, gain: int) -> tuple[dict[str, Any], dict[str, Any]]:
        old, self._gain = self.read_configuration(), gain
        return old, self.read_configuration()

    def read_configuration(self) -> dict[str, Any]:
        return {f"{self.name}-gain": {"value": self._gain, "timestamp": 1.0}}

    def describe_configuration(self) -> dict[str, Any]:
        return {f"{self.name}-gain": {"source": "sim", "dtype": "integer", "shape": []}}

    def collect_asset_docs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        documents, self._documents = self._documents, []
        yield from documents


class StreamedCamera:
    """A detector whose frames go to files of any kind, told of by stream resources and stream datums.

    :param write: adds one frame to the files of that name in that folder; gives it as the files have it
    :param resource: the mimetype, what of the path is the URI, and the parameters of the stream resource, for that name
    """

    parent = None

    def __init__(
        self,
        name: str,
        expose: Callable[[Callable[[Frame], Frame]], Frame],
        path: Callable[[str], PathInfo],
        write: Callable[[Path, str, int, Frame], Frame],
        resource: Callable[[str], tuple[str, str, dict[str, Any]]],
    ) -> None:
        self.name = name
        self.hints = {"fields": [name]}
        self._expose, self._path, self._write, self._resource = expose, path, write, resource
        self._documents: list[tuple[str, dict[str, Any]]] = []
        self._where: PathInfo | None = None
        self._uid = ""
        self._written = 0

    def stage(self) -> list[Any]:
        self._where, self._uid, self._written = self._path(self.name), str(uuid4()), 0
        mimetype, beside, parameters = self._resource(self._where.filename)
        resource = {
            "uid": self._uid,
            "data_key": self.name,
            "mimetype": mimetype,
            "uri": f"file://localhost{self._where.directory_path}/{beside}",
            "parameters": parameters,
        }
        self._documents.append(("stream_resource", resource))
        return [self]

    def trigger(self) -> Done:
        where = self._where
        assert where is not None
        self._expose(lambda frame: self._write(Path(where.directory_path), where.filename, self._written, frame))
        datum = {
            "uid": f"{self._uid}/{self._written}",
            "stream_resource": self._uid,
            "descriptor": "",
            "indices": {"start": self._written, "stop": self._written + 1},
            "seq_nums": {"start": 0, "stop": 0},
        }
        self._documents.append(("stream_datum", datum))
        self._written += 1
        return Done()

    def unstage(self) -> list[Any]:
        return [self]

    def read(self) -> dict[str, Any]:
        return {}

    def describe(self) -> dict[str, Any]:
        shape = [1, *FRAME]
        return {self.name: {"source": f"sim://{self.name}", "dtype": "array", "dtype_numpy": "|u1", "shape": shape, "external": "STREAM:"}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        documents, self._documents = self._documents, []
        yield from documents


class FileStoreFlyer(FileStoreCamera):
    """The same camera as a flyer of the older kind: it takes its frames by itself, and its events are collected at the end."""

    def __init__(self, name: str, expose: Callable[[], Frame], path: Callable[[str], PathInfo], points: int) -> None:
        super().__init__(name, expose, path)
        self._wanted = points
        self._events: list[dict[str, Any]] = []

    def kickoff(self) -> Done:
        self.stage()
        return Done()

    def complete(self) -> Done:
        for _ in range(self._wanted):
            self.trigger()
            self._events.append({"time": 1.0, "data": {self.name: self._datum_id}, "timestamps": {self.name: 1.0}})
        self.unstage()
        return Done()

    def describe_collect(self) -> dict[str, Any]:
        return {"primary": self.describe()}

    def collect(self) -> Iterator[dict[str, Any]]:
        events, self._events = self._events, []
        yield from events


class Patterns(PatternGenerator):
    """Writes the images of ophyd-async's simulated detector: each as bright as no other, as fast as it goes."""

    def __init__(self, wrote: Callable[[Frame], None]) -> None:
        super().__init__()
        self._wrote = wrote
        self._brightness = iter(np.random.default_rng(5).permutation(np.arange(100, 1000)) / 1000)

    async def write_images_to_file(self) -> None:
        file = self._get_file()
        for _ in range(self._number_of_frames):
            await asyncio.sleep(0)
            intensity = next(self._brightness)
            file.write_image_to_file(intensity)
            self._wrote(np.floor(file.blob * intensity).astype(np.uint8))
            self._update_images_written(file.image_counter)


class Laboratory:
    """A RunEngine with motors ``x``, ``y``, ``z`` and detectors of every kind, whose documents are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents: list[tuple[str, Mapping[str, Any]]] = []
        self.films: dict[str, Film] = {}
        self.engine = RunEngine({}, context_managers=[])
        self.engine.subscribe(lambda name, doc: self.documents.append((name, doc)))
        self._random = np.random.default_rng(3)
        self._files = count()
        with init_devices():
            self.x, self.y, self.z = Motor(name="x"), Motor(name="y"), Motor(name="z")
            self.camera = Camera(self._exposure("camera"), self._path, FRAME, name="camera")
            self.other = Camera(self._exposure("other"), self._path, FRAME, name="other")
            self.blobs = SimBlobDetector(self._path, Patterns(partial(self._remember, "blobs")), name="blobs")
        self.bright = Brightness(self.x)
        for kind, (write, resource) in KINDS.items():
            setattr(self, kind, StreamedCamera(kind, self._written_exposure(kind), self._path, write, resource))
        self.older = FileStoreCamera("older", self._exposure("older"), self._path)
        self.bursts = FileStoreCamera("bursts", self._exposure("bursts"), self._path, images=3)
        self.flyer = FileStoreFlyer("flyer", self._exposure("flyer"), self._path, points=7)

    @property
    def uid(self) -> str:
        """Of the first run."""
        return next(doc["uid"] for name, doc in self.documents if name == "start")

    def _path(self, datakey_name: str | None = None) -> PathInfo:
        return PathInfo(
            directory_path=self.folder, filename=f"{datakey_name}-{next(self._files)}", directory_uri=f"file://localhost{self.folder}/"
        )

    def _exposure(self, detector: str) -> Callable[[], Frame]:
        def take() -> Frame:
            return self._remember(detector, self._random.integers(1, 255, FRAME, dtype=np.uint8))

        return take

    def _written_exposure(self, detector: str) -> Callable[[Callable[[Frame], Frame]], Frame]:
        """Takes frames that count as their files have them: a JPEG is not what was put into it."""
        return lambda write: self._remember(detector, write(self._random.integers(1, 255, FRAME, dtype=np.uint8)))

    def _remember(self, detector: str, frame: Frame) -> Frame:
        at = {motor.name: motor.position_mm for motor in (self.x, self.y, self.z)}
        self.films.setdefault(detector, Film()).shots.append(Shot(frame, at))
        return frame


__all__ = ["DATASET", "FRAME", "FileStoreCamera", "FileStoreFlyer", "Laboratory", "Shot"]
