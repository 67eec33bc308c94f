"""A beamline for blueapi, which imports it: a stage, a camera that writes HDF5, and a plan that scans one over the other."""

import os
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
from bluesky.utils import MsgGenerator
from dodal.device_manager import DeviceManager
from ophyd_async.core import StandardReadable, StaticPathProvider, UUIDFilenameProvider
from ophyd_async.sim import PatternGenerator, SimBlobDetector, SimMotor, SimStage

devices = DeviceManager()


class Stage(SimStage):
    """The simulated one, whose motors arrive at once."""

    def __init__(self, pattern_generator: PatternGenerator, name: str = "") -> None:
        self.pattern_generator = pattern_generator
        with self.add_children_as_readables():
            self.x = SimMotor(instant=True)
            self.y = SimMotor(instant=True)
        StandardReadable.__init__(self, name=name)


@devices.fixture
def pattern_generator() -> PatternGenerator:
    return PatternGenerator()


@devices.factory()
def stage(pattern_generator: PatternGenerator) -> Stage:
    return Stage(pattern_generator)


@devices.factory()
def camera(pattern_generator: PatternGenerator) -> SimBlobDetector:
    return SimBlobDetector(StaticPathProvider(UUIDFilenameProvider(), Path(os.environ["FRAMES"])), pattern_generator)


def map_sample(camera: SimBlobDetector, stage: Stage, rows: int, columns: int) -> MsgGenerator[None]:
    """Map the sample, row by row, back and forth."""
    yield from bp.grid_scan([camera, stage], stage.y, 0.4, 2.1, rows, stage.x, 0.5, 2.6, columns, snake_axes=True)


def break_down(camera: SimBlobDetector) -> MsgGenerator[None]:
    """Begin a run, and fail in the middle of it."""
    yield from bps.stage(camera, wait=True)
    yield from bps.open_run()
    raise RuntimeError("the shutter is closed")
