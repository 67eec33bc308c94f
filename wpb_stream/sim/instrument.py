"""The simulated instrument: a real RunEngine that scans a stage before a camera."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bluesky import RunEngine
from bluesky.plan_stubs import one_nd_step
from bluesky.plans import grid_scan
from bluesky.utils import Msg, RequestAbort
from ophyd_async.core import init_devices

from wpb_stream.core.regions import thirds
from wpb_stream.sim import sample
from wpb_stream.sim.camera import Camera
from wpb_stream.sim.stage import Field, Stage
from wpb_stream.sim.storage import INSTRUMENT, FrameStore

logger = logging.getLogger(__name__)

STEP_MM = 0.05
"""Distance between two points of the scan."""

Callback = Callable[[str, Mapping[str, Any]], None]


class Beamline:
    """A RunEngine, a stage and a camera.

    :param data: folder for the frames and the scan counter
    :param shape: points of a scan, slow axis (y) first
    :param frame: rows, columns of a frame
    :param rate: points a second at most; None for as fast as it goes
    :param seed: of the noise
    :param keep: scans whose frame files are kept
    """

    def __init__(
        self,
        data: Path,
        shape: tuple[int, int] = (24, 24),
        frame: tuple[int, int] = (256, 320),
        rate: float | None = None,
        seed: int = 0,
        keep: int = 20,
    ) -> None:
        self.shape = shape
        self.frame = frame
        self.keep = keep
        self.stopping = threading.Event()
        """Set once :meth:`stop` was called: no further scan begins."""
        self._store = FrameStore(data)
        self._rng = np.random.default_rng(seed)
        self._field = Field(width_mm=(shape[1] - 1) * STEP_MM, height_mm=(shape[0] - 1) * STEP_MM)
        # No context managers: signals belong to the process, not to the RunEngine.
        self._engine = RunEngine({}, context_managers=[], scan_id_source=self._store.next_scan_id)
        with init_devices():
            self.stage = Stage(name="stage")
            self.camera = Camera(self._look, self._store, frame, rate, name="camera")

    def subscribe(self, callback: Callback) -> None:
        """Have every document given to ``callback(name, document)``, in the RunEngine's thread."""
        self._engine.subscribe(callback)

    def scan(self) -> None:
        """Take one raster scan; returns when it is over, or was stopped.

        :raises Exception: whatever made the scan fail
        """
        self._store.prune(self.keep - 1)
        self._engine(self._plan())
        if self.stopping.is_set():
            logger.info("scan %d was stopped", self._store.scan_id)

    def stop(self) -> None:
        """End the scan that is under way cleanly, after the point being measured, and begin no other.

        The scan ends as aborted, or as a success if that point was its last. Returns at once; not to be called in a signal handler: it
        takes locks that the interrupted thread may hold.
        """
        # Not the RunEngine's abort: it unstages the camera beside a trigger that has begun, which then fails for want of a file, and
        # with it the run and this process.
        self.stopping.set()
        self._engine.loop.call_soon_threadsafe(self.camera.hurry)

    def _look(self) -> npt.NDArray[np.uint8]:
        return sample.frame(*self._field.normalised(self.stage), self.frame, self._rng)

    def _plan(self) -> Generator[Msg, Any, None]:
        # Asked inside the plan: a stop that came before it began leaves no run behind.
        if self.stopping.is_set():
            return
        rows, columns = self.shape
        yield from grid_scan(
            [self.camera],
            self.stage.y,
            *self._field.y,
            rows,
            self.stage.x,
            *self._field.x,
            columns,
            snake_axes=True,
            per_step=self._step,
            md=self._metadata(),
        )

    def _step(
        self, detectors: Sequence[Any], step: Mapping[Any, Any], pos_cache: dict[Any, Any], take_reading: Any = None
    ) -> Generator[Msg, Any, None]:
        """One point, unless the scan is to end: between two points nothing is under way."""
        if self.stopping.is_set():
            raise RequestAbort("the beamline was stopped")
        yield from one_nd_step(detectors, step, pos_cache, take_reading)

    def _metadata(self) -> dict[str, Any]:
        regions = {region.name: {"rows": list(region.rows.resolve(self.frame[0]))} for region in thirds()}
        return {
            "instrument": INSTRUMENT,
            "instrument_session": "cm00000-1",
            "data_session": "cm00000-1",
            "sample": "ring, flower and dendrite",
            "wpb": {"recipe": "raster", "regions": regions, "arrays": ["mean_frame", "last_frame"]},
        }
