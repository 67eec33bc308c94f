"""The camera: a detector that writes its frames to HDF5 in SWMR mode while the scan runs.

One file a run, opened when the run first needs it and closed when the detector is unstaged. Every frame is a chunk of its own, flushed
before the documents that announce it are made: whoever reads the documents finds the frame.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from ophyd_async.core import (
    DetectorAcquireLogic,
    DetectorDataLogic,
    DetectorTriggerLogic,
    PathProvider,
    StandardDetector,
    StreamResourceDataProvider,
    StreamResourceInfo,
    soft_signal_r_and_setter,
)

DATASET = "/entry/data/data"
MIMETYPE = "application/x-hdf5"

Exposure = Callable[[], npt.NDArray[np.uint8]]
"""Takes one image: uint8, shape (rows, columns)."""


class FrameFile:
    """A new HDF5 file that one process writes and others read at the same time."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        # "x": an old run's frames are never overwritten.
        self._file = h5py.File(path, "x", libver="latest")
        entry = self._file.create_group("entry")
        data = entry.create_group("data")
        entry.attrs["NX_class"], data.attrs["NX_class"], data.attrs["signal"] = "NXentry", "NXdata", "data"
        self._frames = data.create_dataset("data", shape=(0, *shape), maxshape=(None, *shape), chunks=(1, *shape), dtype=np.uint8)
        self._file.swmr_mode = True
        self.written = 0

    def append(self, image: npt.NDArray[np.uint8]) -> None:
        """Write one frame of the file's shape and make it visible to readers."""
        self._frames.resize(self.written + 1, axis=0)
        # The image is the chunk: no selection, no conversion, half the time of an assignment.
        self._frames.id.write_direct_chunk((self.written, 0, 0), np.ascontiguousarray(image).tobytes())
        self._frames.flush()
        self.written += 1

    def close(self) -> None:
        """Close the file; it is then an ordinary HDF5 file."""
        self._file.close()


class Exposures:
    """Takes the frames at their due times and writes them: what the detector's three logics share."""

    def __init__(self, take: Exposure, shape: tuple[int, int], rate: float | None) -> None:
        self.shape = shape
        self.written, self._set_written = soft_signal_r_and_setter(int, 0)
        self._take = take
        self._period_s = 1 / rate if rate else 0.0
        self._began = 0.0
        self._file: FrameFile | None = None
        self._one_at_a_time = asyncio.Lock()
        self._hurry = asyncio.Event()

    async def open(self, path: Path) -> None:
        """Begin a run's file at ``path``; its folder is made if need be."""
        await self.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = FrameFile(path, self.shape)
        self._set_written(0)
        self._hurry.clear()

    async def expose(self) -> None:
        """Take and write one frame, not before it is due.

        Frames are due on an absolute schedule that begins with the run's first one: a late frame does not delay those after it.
        """
        async with self._one_at_a_time:
            if self._file is None:
                raise RuntimeError("the camera was triggered after it was stopped")
            if not self._file.written:
                self._began = time.monotonic()
            wait_s = self._began + self._file.written * self._period_s - time.monotonic()
            if wait_s > 0:
                try:
                    await asyncio.wait_for(self._hurry.wait(), wait_s)
                except TimeoutError:
                    pass
            self._file.append(self._take())
            self._set_written(self._file.written)

    def hurry(self) -> None:
        """Take this run's frames without waiting for their due times from now on. To be called in the event loop."""
        self._hurry.set()

    async def close(self) -> None:
        """End the exposure that is under way, if any, and close the file."""
        self.hurry()
        async with self._one_at_a_time:
            if self._file is not None:
                self._file.close()
                self._file = None


class _Trigger(DetectorTriggerLogic):
    """The exposures' timing is the camera's own; asked for it, any number will do."""

    async def prepare_internal(self, num: int, livetime: float, deadtime: float) -> None: ...


class _Acquire(DetectorAcquireLogic):
    def __init__(self, exposures: Exposures) -> None:
        self._exposures = exposures

    async def start_acquiring(self) -> None:
        await self._exposures.expose()

    async def wait_for_idle(self) -> None: ...

    async def ensure_stopped(self) -> None:
        await self._exposures.close()


class _Data(DetectorDataLogic):
    def __init__(self, exposures: Exposures, paths: PathProvider) -> None:
        self._exposures = exposures
        self._paths = paths

    async def prepare_unbounded(self, datakey_name: str) -> StreamResourceDataProvider:
        where = self._paths(datakey_name)
        await self._exposures.open(Path(where.directory_path) / f"{where.filename}.h5")
        return StreamResourceDataProvider(
            uri=f"{where.directory_uri}{where.filename}.h5",
            resources=[
                StreamResourceInfo(
                    data_key=datakey_name,
                    shape=self._exposures.shape,
                    chunk_shape=(1, *self._exposures.shape),
                    dtype_numpy=np.dtype(np.uint8).str,
                    parameters={"dataset": DATASET},
                )
            ],
            mimetype=MIMETYPE,
            collections_written_signal=self._exposures.written,
        )

    async def stop(self) -> None:
        await self._exposures.close()

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [datakey_name]


class Camera(StandardDetector):
    """A camera that looks at the sample through ``take``.

    :param take: takes one image of ``shape``; called in the RunEngine's event loop
    :param paths: where each run's file goes
    :param shape: rows, columns
    :param rate: frames a second at most; None for as fast as triggered
    """

    def __init__(self, take: Exposure, paths: PathProvider, shape: tuple[int, int], rate: float | None = None, name: str = "") -> None:
        self._exposures = exposures = Exposures(take, shape, rate)
        self.add_detector_logics(_Trigger(), _Acquire(exposures), _Data(exposures, paths))
        super().__init__(name=name)

    def hurry(self) -> None:
        """Take this run's frames without waiting for their due times from now on. To be called in the event loop."""
        self._exposures.hurry()
