"""Devices for a real RunEngine: motors, numbers, and detectors that write HDF5 and tell of it in stream resources and stream data.

They do at once what they are told, so that a scan of some hundred points takes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from scanspec.specs import Spec

DATASET = "/entry/data/data"

Pixels = npt.NDArray[Any]


class Done:
    """The status of what is done already."""

    done = success = True

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call it."""
        callback(self)

    def exception(self, timeout: float | None = 0.0) -> None:
        """None was raised."""


class Number:
    """A device of one number, which is read in events."""

    parent = None

    def __init__(self, name: str, value: Callable[[], float], units: str) -> None:
        self.name = name
        self.hints: Mapping[str, Any] = {"fields": [name]}
        self.value = value
        self._units = units

    def trigger(self) -> Done:
        """Nothing is needed."""
        return Done()

    def read(self) -> dict[str, Any]:
        """The number now."""
        return {self.name: {"value": self.value(), "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        """Its units."""
        return {self.name: {"source": f"sim://{self.name}", "dtype": "number", "shape": [], "units": self._units}}

    def read_configuration(self) -> dict[str, Any]:
        """None."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """None."""
        return {}


class Motor(Number):
    """A motor that is where it was sent, but for ``error``: a number of its own for each move."""

    def __init__(self, name: str, units: str = "mm", error: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__(name, lambda: self.position, units)
        self.position = 0.0
        self._error = error

    def set(self, position: float) -> Done:
        """Go there."""
        self.position = float(position) + self._error()
        return Done()


class Stage:
    """Two motors, ``x`` across and ``y`` up."""

    def __init__(self, name: str, units: str = "mm", error: Callable[[], float] = lambda: 0.0) -> None:
        self.x, self.y = Motor(f"{name}-x", units, error), Motor(f"{name}-y", units, error)


class Trajectory:
    """A motion controller that moves a stage along a scanspec."""

    parent = None
    name = "trajectory"

    def __init__(self, stage: Stage) -> None:
        self._motors = {"x": stage.x, "y": stage.y}
        self._at: list[dict[str, float]] = []

    def prepare(self, spec: Spec[str]) -> Done:
        """Learn the way."""
        self._at = list(spec.midpoints())
        return Done()

    def go(self, point: int) -> None:
        """Be at that point of the way."""
        for axis, position in self._at[point].items():
            self._motors[axis].set(position)

    def kickoff(self) -> Done:
        """Begin."""
        return Done()

    def complete(self) -> Done:
        """Arrive."""
        return Done()


class Detector:
    """An area detector, or one of spectra: each frame goes to a file, and numbers beside it to other datasets of it.

    :param shape: of a frame
    :param folder: where the files go; documents call it ``uri``
    :param trajectory: what moves the stage when it flies
    """

    parent = None

    def __init__(self, name: str, shape: tuple[int, int], dtype: str, folder: Path, uri: str, trajectory: Trajectory) -> None:
        self.name = name
        self.hints = {"fields": [name]}
        self.sees: Callable[[], Pixels] = lambda: np.zeros(shape, dtype)
        self.beside: dict[str, Callable[[], float]] = {}
        """By the name of a dataset, a number that is written with each frame."""
        self._shape, self._dtype, self._folder, self._uri, self._trajectory = shape, np.dtype(dtype), folder, uri, trajectory
        self._file: h5py.File | None = None
        self._written = self._told = self._wanted = self._files = 0

    def reshape(self, shape: tuple[int, int], dtype: str) -> None:
        """Write other frames from now on."""
        self._shape, self._dtype = shape, np.dtype(dtype)

    def stage(self) -> list[Any]:
        """Begin a file."""
        self._files += 1
        self._file = h5py.File(self._folder / f"{self._name()}.h5", "x")
        self._file.create_dataset(DATASET, (0, *self._shape), self._dtype, maxshape=(None, *self._shape), chunks=(1, *self._shape))
        for name in self.beside:
            self._file.create_dataset(name, (0,), "f8", maxshape=(None,), chunks=(1024,))
        self._written = self._told = 0
        return [self]

    def unstage(self) -> list[Any]:
        """End the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        return [self]

    def trigger(self) -> Done:
        """Take a frame."""
        assert self._file is not None
        for name, value in {DATASET: self.sees, **self.beside}.items():
            dataset = self._file[name]
            dataset.resize(self._written + 1, axis=0)
            dataset[self._written] = value()
        self._written += 1
        return Done()

    def prepare(self, value: Any) -> Done:
        """Learn how many frames are wanted."""
        self._wanted = value.number_of_events
        return Done()

    def kickoff(self) -> Done:
        """Begin to fly."""
        return Done()

    def complete(self) -> Done:
        """Fly."""
        for point in range(self._wanted):
            self._trajectory.go(point)
            self.trigger()
        return Done()

    def read(self) -> dict[str, Any]:
        """Nothing: the frames are in the file."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What a frame is."""
        told = {"source": f"sim://{self.name}", "dtype": "array", "dtype_numpy": self._dtype.str, "external": "STREAM:"}
        return {self.name: {**told, "shape": [1, *self._shape]}}

    describe_collect = describe

    def read_configuration(self) -> dict[str, Any]:
        """None."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """None."""
        return {}

    def get_index(self) -> int:
        """Frames written."""
        return self._written

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """What was not yet told."""
        uid = self._name()
        if self._written and not self._told:
            where = {"mimetype": "application/x-hdf5", "uri": f"{self._uri}/{uid}.h5", "parameters": {"dataset": DATASET}}
            yield "stream_resource", {"uid": uid, "data_key": self.name, **where}
        if self._told < self._written:
            indices = {"start": self._told, "stop": self._written}
            told = {"uid": f"{uid}/{self._told}", "stream_resource": uid, "descriptor": "", "indices": indices}
            yield "stream_datum", {**told, "seq_nums": {"start": 0, "stop": 0}}
            self._told = self._written

    def _name(self) -> str:
        return f"{self.name}-{self._files}"
