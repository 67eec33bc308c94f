"""Plans as people run them, and how an engine is driven through them: paused, stopped, failed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from threading import Thread
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
from bluesky.utils import FailedStatus, Msg, RunEngineInterrupted
from cycler import cycler
from ophyd_async.core import TriggerInfo
from scanspec.specs import Spec

from tests.helpers.laboratory import Laboratory

Plan = Generator[Msg, Any, Any]


# --- how an engine is driven ---


class ShutterStuckError(Exception):
    """What goes wrong in the middle of a scan."""


def until_over(lab: Laboratory, plan: Plan) -> None:
    """Run a plan, and resume it whenever it pauses."""
    with suppress(RunEngineInterrupted):
        lab.engine(plan)
    while lab.engine.state == "paused":
        with suppress(RunEngineInterrupted):
            lab.engine.resume()


def paused_by_somebody(defer: bool) -> Callable[[Laboratory, Plan], None]:
    """Run a plan that another thread pauses during its fifth point, wherever it is then; and resume it."""

    def drive(lab: Laboratory, plan: Plan) -> None:
        somebody = Thread(target=lab.engine.request_pause, kwargs={"defer": defer})

        def at_the_fifth_point(name: str, doc: Any) -> None:
            if name == "event" and doc["seq_num"] == 5 and somebody.ident is None:
                somebody.start()

        lab.engine.subscribe(at_the_fifth_point)
        until_over(lab, plan)
        somebody.join()

    return drive


def until_paused(then: str) -> Callable[[Laboratory, Plan], None]:
    """Run a plan to its first pause, and then end it: ``stop`` or ``abort``."""

    def drive(lab: Laboratory, plan: Plan) -> None:
        with suppress(RunEngineInterrupted):
            lab.engine(plan)
        assert lab.engine.state == "paused"
        getattr(lab.engine, then)()

    return drive


def until_failed(lab: Laboratory, plan: Plan) -> None:
    """Run a plan that fails."""
    with suppress(ShutterStuckError, FailedStatus):
        lab.engine(plan)
        raise AssertionError("the plan did not fail")


# --- steps that something happens in ---


def after_point(number: int, happening: Callable[[], Plan]) -> Callable[..., Plan]:
    """A ``per_step`` in which something happens, once, after the event of a point and before the next checkpoint."""
    points = iter(range(1, 10_000))

    def step(detectors: Any, step: Any, pos_cache: Any, take_reading: Any = None) -> Plan:
        yield from bps.one_nd_step(detectors, step, pos_cache, take_reading)
        if next(points) == number:
            yield from happening()

    return step


def between_trigger_and_event(number: int, happening: Callable[[], Plan]) -> Callable[..., Plan]:
    """A ``per_step`` in which something happens, once, after a detector took its frame and before the event."""
    points = iter(range(1, 10_000))

    def step(detectors: Any, step: Any, pos_cache: Any) -> Plan:
        yield from bps.checkpoint()
        yield from bps.move_per_step(step, pos_cache)
        for detector in detectors:
            yield from bps.trigger(detector, wait=True)
        if next(points) == number:
            yield from happening()
        yield from bps.create("primary")
        for device in (*detectors, *step):
            yield from bps.read(device)
        yield from bps.save()

    return step


def stuck() -> Plan:
    yield from bps.null()
    raise ShutterStuckError


def after_shot(number: int, happening: Callable[[], Plan]) -> Callable[..., Plan]:
    """The same for ``count``, whose steps have no motors."""
    points = iter(range(1, 10_000))

    def shot(detectors: Any) -> Plan:
        yield from bps.one_shot(detectors)
        if next(points) == number:
            yield from happening()

    return shot


# --- plans of our own ---


def fly_spec(lab: Laboratory, spec: Spec[str], per_event: int = 1, **metadata: Any) -> Plan:
    """A fly scan of ophyd-async's detector along a spec, as its documentation has it; the motion is the motion controller's business."""
    points = len(spec.midpoints())

    @bpp.stage_decorator([lab.blobs])
    @bpp.run_decorator(md={"scanspec": spec.serialize()} | metadata)
    def inner() -> Plan:
        yield from bps.prepare(lab.blobs, TriggerInfo(number_of_events=points, collections_per_event=per_event), wait=True)
        yield from bps.declare_stream(lab.blobs, name="primary", collect=True)
        yield from bps.kickoff(lab.blobs, wait=True)
        yield from bps.collect_while_completing([lab.blobs], [lab.blobs], flush_period=0.001, stream_name="primary")

    return (yield from inner())


def step_spec(lab: Laboratory, spec: Spec[str]) -> Plan:
    """A step scan along a spec, with the start document of dodal's ``spec_scan``."""
    cycle = None
    for name, positions in _columns(spec).items():
        one = cycler(getattr(lab, name), positions)
        cycle = one if cycle is None else cycle + one
    metadata = {"plan_name": "spec_scan", "shape": spec.shape(), "plan_args": {"detectors": ["camera"], "spec": repr(spec)}}
    return (yield from bp.scan_nd([lab.camera], cycle, md=metadata))


def _columns(spec: Spec[str]) -> dict[str, list[float]]:
    midpoints = list(spec.midpoints())
    return {name: [float(point[name]) for point in midpoints] for name in spec.axes()}


def declared_fly(lab: Laboratory) -> Plan:
    """``fly`` of an ophyd-async detector: its stream is declared by a preprocessor, as the plan itself has no place for it."""

    def declare_after_open(msg: Msg) -> tuple[Plan | None, Plan | None]:
        if msg.command != "open_run":
            return None, None
        return None, bps.declare_stream(lab.blobs, name="primary", collect=True)

    @bpp.stage_decorator([lab.blobs])
    def inner() -> Plan:
        yield from bps.prepare(lab.blobs, TriggerInfo(number_of_events=9), wait=True)
        yield from bpp.plan_mutator(bp.fly([lab.blobs]), declare_after_open)

    return (yield from inner())


def bursts(lab: Laboratory, per_event: int) -> Plan:
    """A grid whose detector takes several frames at each point."""

    @bpp.stage_decorator([lab.blobs])
    def inner() -> Plan:
        yield from bps.prepare(lab.blobs, TriggerInfo(collections_per_event=per_event), wait=True)
        yield from bpp.msg_mutator(
            bp.grid_scan([lab.blobs], lab.y, 0, 2, 3, lab.x, 0, 3, 4, snake_axes=True),
            # Staging again would forget what was prepared.
            lambda msg: None if msg.command in ("stage", "unstage") and msg.obj is lab.blobs else msg,
        )

    return (yield from inner())


def two_files(lab: Laboratory) -> Plan:
    """One run whose detector begins a new file in the middle, as those with a limited file size do."""

    @bpp.run_decorator(md={"shape": (2, 3), "snaking": (False, True), "motors": ("y", "x"), "extents": [[0, 1], [0, 2]]})
    def inner() -> Plan:
        for y, row in ((0.0, (0, 1, 2)), (1.0, (2, 1, 0))):
            yield from bps.stage(lab.camera, wait=True)
            for x in row:
                yield from bps.mv(lab.y, y, lab.x, float(x))
                yield from bps.trigger_and_read([lab.camera, lab.x, lab.y])
            yield from bps.unstage(lab.camera, wait=True)

    return (yield from inner())


def grid(lab: Laboratory, **options: Any) -> Plan:
    """The grid that most cases vary."""
    detectors = options.pop("detectors", [lab.camera])
    return bp.grid_scan(detectors, lab.y, 0, 2, 3, lab.x, 0, 3, 4, snake_axes=options.pop("snake_axes", True), **options)
