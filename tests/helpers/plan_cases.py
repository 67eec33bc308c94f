"""Plans as people run them, and what each must become: one list for the tests and for ``docs/reference/plans.md``.

What a map must be follows from where the motors stood at each exposure, or from the fly scan's own spec, never from the scan's metadata.
"""

from __future__ import annotations

from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.plan_patterns import outer_product, spiral, spiral_fermat

from tests.helpers.filekinds import KINDS
from tests.helpers.laboratory import Laboratory
from tests.helpers.plan_case import (
    BINNED,
    CUBE,
    GRID,
    RELATIVE,
    SNAKED,
    SPAN,
    Along,
    PlanCase,
    binned,
    from_first_to_last,
    line,
    raster,
    spans,
    unknown,
)
from tests.helpers.plans import (
    Plan,
    after_point,
    after_shot,
    between_trigger_and_event,
    bursts,
    declared_fly,
    grid,
    paused_by_somebody,
    stuck,
    two_files,
    until_failed,
    until_paused,
)
from tests.helpers.spec_cases import SPEC_SCANS


def _cube(lab: Laboratory, snake_axes: Any) -> Plan:
    return bp.grid_scan([lab.camera], lab.z, -1, 0, 2, lab.y, 0, 2, 3, lab.x, 0, 3, 4, snake_axes=snake_axes)


def _moved(lab: Laboratory, plan: Plan) -> Plan:
    """From somewhere else than zero, for relative scans."""
    yield from bps.mv(lab.x, 10.0, lab.y, -5.0, lab.z, 1.0)
    yield from plan


LISTED: tuple[tuple[str, Along], ...] = (("y", [2.0, 1.0, 0.0]), ("x", [0.0, 1.0, 2.0, 3.0]))
# What the rule of the docs makes of these spirals: so many places along each axis, reckoned by hand.
RINGS = list(spiral("x", "y", 0, 0, 2, 3, 0.5, 3))
RINGS_GRID = (
    from_first_to_last("y", [point["y"] for point in RINGS], 5),
    from_first_to_last("x", [point["x"] for point in RINGS], 4),
)
FERMAT_RINGS = list(spiral_fermat("x", "y", 0, 0, 4, 2, 0.5, 1, tilt=0.2))
FERMAT = (
    from_first_to_last("y", [point["y"] for point in FERMAT_RINGS], 3),
    from_first_to_last("x", [point["x"] for point in FERMAT_RINGS], 5),
)

STEP_SCANS = [
    PlanCase("scan", lambda lab: bp.scan([lab.camera], lab.x, -1, 1, 5), (("x", np.linspace(-1, 1, 5)),), extents=((-1.0, 1.0),)),
    PlanCase(
        "scan",
        lambda lab: bp.scan([lab.camera], lab.x, 1, -1, lab.y, 0, 3, 5),
        (("x", np.linspace(1, -1, 5)),),
        extents=((1.0, -1.0),),
        label="two motors",
    ),
    PlanCase(
        "rel_scan",
        lambda lab: _moved(lab, bp.rel_scan([lab.camera], lab.x, -1, 1, 5)),
        (("x", np.linspace(9, 11, 5)),),
        extents=((-1.0, 1.0),),
        told=RELATIVE,
    ),
    PlanCase("log_scan", lambda lab: bp.log_scan([lab.camera], lab.x, 0, 2, 5), (("x", np.logspace(0, 2, 5)),)),
    PlanCase(
        "list_scan",
        lambda lab: bp.list_scan([lab.camera], lab.x, [1, 2, 4], lab.y, [3, 3, 3]),
        (("x", [1.0, 2.0, 4.0]),),
        told=frozenset({"positions_uneven"}),
    ),
    PlanCase(
        "list_scan",
        lambda lab: bp.list_scan([lab.camera], lab.x, [3, 2, 1]),
        (("x", [3.0, 2.0, 1.0]),),
        extents=((3.0, 1.0),),
        label="evenly",
    ),
    PlanCase(
        "rel_list_scan",
        lambda lab: _moved(lab, bp.rel_list_scan([lab.camera], lab.x, [1, 2, 3])),
        (("x", [11.0, 12.0, 13.0]),),
        extents=((1.0, 3.0),),
        told=RELATIVE,
    ),
    PlanCase(
        "x2x_scan",
        lambda lab: _moved(lab, bp.x2x_scan([lab.camera], lab.x, lab.y, -1, 1, 5)),
        (("x", np.linspace(9, 11, 5)),),
        extents=((-1.0, 1.0),),
        told=RELATIVE,
    ),
    line("scan_nd", lambda lab: bp.scan_nd([lab.camera], outer_product([lab.y, 0, 2, 3, lab.x, 0, 3, 4, True])), points=12),
    line("count", lambda lab: bp.count([lab.camera], num=5), points=5),
    binned(
        "spiral",
        lambda lab: bp.spiral([lab.camera], lab.x, lab.y, 0, 0, 2, 3, 0.5, 3),
        RINGS_GRID,
        extents=spans(RINGS_GRID),
        points_planned=13,
        points=11,
    ),
    binned(
        "rel_spiral",
        lambda lab: _moved(lab, bp.rel_spiral([lab.camera], lab.x, lab.y, 2, 3, 0.5, 3)),
        (("y", np.array(RINGS_GRID[0][1]) - 5), ("x", np.array(RINGS_GRID[1][1]) + 10)),
        extents=spans(RINGS_GRID),
        points_planned=13,
        points=11,
        told=BINNED | RELATIVE,
    ),
    binned(
        "spiral_fermat",
        lambda lab: bp.spiral_fermat([lab.camera], lab.x, lab.y, 0, 0, 4, 2, 0.5, 1, tilt=0.2),
        FERMAT,
        extents=spans(FERMAT),
        points_planned=9,
        points=9,
    ),
    PlanCase(
        "spiral_square",
        lambda lab: bp.spiral_square([lab.camera], lab.x, lab.y, 0, 0, 2, 3, 3, 4),
        (("y", np.linspace(-1.5, 1.5, 4)), ("x", np.linspace(-1, 1, 3))),
        extents=((-1.5, 1.5), (-1.0, 1.0)),
    ),
]

GRID_SCANS = [
    raster("grid_scan", lambda lab: grid(lab), label="snaked"),
    raster("grid_scan", lambda lab: grid(lab, snake_axes=False), snaking=None, label="not snaked"),
    raster("grid_scan", lambda lab: grid(lab, snake_axes=[lab.x]), label="named axis"),
    PlanCase(
        "grid_scan",
        lambda lab: bp.grid_scan([lab.camera], lab.y, 2, 0, 3, lab.x, 3, 0, 4, snake_axes=True),
        (("y", np.linspace(2, 0, 3)), ("x", np.linspace(3, 0, 4))),
        SNAKED,
        ((2.0, 0.0), (3.0, 0.0)),
        label="downwards",
    ),
    PlanCase("grid_scan", lambda lab: _cube(lab, True), CUBE, (False, True, True), ((-1.0, 0.0), *SPAN), label="3-D snaked"),
    PlanCase("grid_scan", lambda lab: _cube(lab, False), CUBE, None, ((-1.0, 0.0), *SPAN), label="3-D not snaked"),
    PlanCase("grid_scan", lambda lab: _cube(lab, [lab.y]), CUBE, (False, True, False), ((-1.0, 0.0), *SPAN), label="3-D one axis"),
    PlanCase("grid_scan", lambda lab: _cube(lab, [lab.x]), CUBE, (False, False, True), ((-1.0, 0.0), *SPAN), label="3-D fast axis"),
    PlanCase(
        "rel_grid_scan",
        lambda lab: _moved(lab, bp.rel_grid_scan([lab.camera], lab.y, -1, 1, 3, lab.x, -2, 2, 5, snake_axes=True)),
        (("y", np.linspace(-6, -4, 3)), ("x", np.linspace(8, 12, 5))),
        SNAKED,
        ((-1.0, 1.0), (-2.0, 2.0)),
        told=RELATIVE,
    ),
    PlanCase(
        "list_grid_scan",
        lambda lab: bp.list_grid_scan([lab.camera], lab.y, [2, 1, 0], lab.x, [0, 1, 2, 3], snake_axes=True),
        LISTED,
        SNAKED,
        ((2.0, 0.0), (0.0, 3.0)),
        label="snaked",
    ),
    PlanCase(
        "list_grid_scan",
        lambda lab: bp.list_grid_scan([lab.camera], lab.y, [2, 1, 0], lab.x, [0, 1, 5]),
        (("y", [2.0, 1.0, 0.0]), ("x", [0.0, 1.0, 5.0])),
        None,
        ((2.0, 0.0), None),
        told=frozenset({"positions_uneven"}),
        label="uneven",
    ),
    PlanCase(
        "list_grid_scan",
        lambda lab: bp.list_grid_scan([lab.camera], lab.z, [0, 1, 2], lab.y, [2, 1, 0], lab.x, [0, 1, 2, 3], snake_axes=[lab.x]),
        (("z", [0.0, 1.0, 2.0]), *LISTED),
        (False, False, True),
        ((0.0, 2.0), (2.0, 0.0), (0.0, 3.0)),
        label="named axis",
    ),
    PlanCase(
        "rel_list_grid_scan",
        lambda lab: _moved(lab, bp.rel_list_grid_scan([lab.camera], lab.y, [0, 1, 2], lab.x, [0, 1], snake_axes=[lab.x])),
        (("y", [-5.0, -4.0, -3.0]), ("x", [10.0, 11.0])),
        SNAKED,
        ((0.0, 2.0), (0.0, 1.0)),
        told=RELATIVE,
    ),
]

OPEN_ENDED = [
    unknown(
        "count without a number",
        lambda lab: bp.count([lab.camera], num=None, per_shot=after_shot(70, bps.pause)),
        drive=until_paused("stop"),
        points=70,
    ),
    unknown("fly", lambda lab: bp.fly([lab.flyer]), detector="flyer", points=7, label="older flyer"),
    unknown("fly", declared_fly, detector="blobs", points=9, label="ophyd-async"),
    unknown(
        "adaptive_scan",
        lambda lab: bp.adaptive_scan([lab.camera, lab.bright], "bright", lab.x, 0, 5, 0.1, 1, 0.5, True),
        axes=("point",),
    ),
]

ACCIDENTS = [
    raster("paused and resumed", lambda lab: grid(lab, per_step=after_point(6, bps.pause))),
    raster(
        "paused and resumed",
        lambda lab: grid(lab, per_step=after_point(6, bps.pause), detectors=[lab.older]),
        detector="older",
        label="older",
    ),
    raster(
        "paused and resumed",
        lambda lab: grid(lab, per_step=between_trigger_and_event(6, bps.pause), detectors=[lab.older]),
        detector="older",
        label="older in mid-point",
    ),
    raster(
        "paused and resumed",
        lambda lab: grid(lab, detectors=[lab.older]),
        detector="older",
        drive=paused_by_somebody(False),
        label="at once",
    ),
    raster("paused and resumed", lambda lab: grid(lab), drive=paused_by_somebody(True), label="at a checkpoint"),
    raster("stopped", lambda lab: grid(lab, per_step=after_point(7, bps.pause)), drive=until_paused("stop"), points=7),
    raster("aborted", lambda lab: grid(lab, per_step=after_point(5, bps.pause)), drive=until_paused("abort"), points=5, status="abort"),
    raster("failed", lambda lab: grid(lab, per_step=after_point(8, stuck)), drive=until_failed, points=8, status="fail"),
]

VARIATIONS = [
    raster(
        "two detectors",
        lambda lab: grid(lab, detectors=[lab.other, lab.camera]),
        detector="other",
        told=frozenset({"detector_guessed"}),
        label="first one",
    ),
    raster("two detectors", lambda lab: grid(lab, detectors=[lab.other, lab.camera], md={"wpb": {"data_key": "camera"}}), label="named"),
    raster(
        "baseline and monitors", lambda lab: bpp.baseline_wrapper(bpp.monitor_during_wrapper(grid(lab), [lab.x.readback]), [lab.z, lab.y])
    ),
    raster(
        "configured in mid-scan",
        lambda lab: grid(lab, detectors=[lab.older], per_step=after_point(5, lambda: bps.configure(lab.older, gain=2))),
        detector="older",
        label="older",
    ),
    raster(
        "configured in mid-scan",
        lambda lab: grid(lab, detectors=[lab.camera, lab.older], per_step=after_point(5, lambda: bps.configure(lab.older, gain=2))),
        told=frozenset({"detector_guessed"}),
        label="ophyd-async",
    ),
    raster("several frames an event", lambda lab: bursts(lab, 3), detector="blobs", frames=3, label="ophyd-async"),
    raster("several frames an event", lambda lab: grid(lab, detectors=[lab.bursts]), detector="bursts", frames=3, label="older"),
    *(
        raster("files of another kind", lambda lab, kind=kind: grid(lab, detectors=[getattr(lab, kind)]), detector=kind, label=kind)
        for kind in KINDS
    ),
    raster("resource and datum documents", lambda lab: grid(lab, detectors=[lab.older]), detector="older"),
    PlanCase("new file in mid-run", two_files, (("y", [0.0, 1.0]), ("x", [0.0, 1.0, 2.0])), SNAKED, ((0.0, 1.0), (0.0, 2.0))),
]

PLANS = [*STEP_SCANS, *GRID_SCANS, *SPEC_SCANS, *OPEN_ENDED, *ACCIDENTS, *VARIATIONS]

THROUGH_THE_BUS = [
    next(case for case in PLANS if str(case) == wanted)
    for wanted in (
        "grid_scan-3-D snaked",
        "rel_grid_scan",
        "spiral",
        "fly scan of a scanspec-3 frames an event",
        "paused and resumed",
        "paused and resumed-older",
        "count without a number",
        "fly-older flyer",
        "aborted",
        "configured in mid-scan-ophyd-async",
        *(f"files of another kind-{kind}" for kind in KINDS),
    )
]
"""Those that go through Kafka and the running process too."""


# --- plans with two runs ---

OUTER = PlanCase("outer", grid, GRID, SNAKED, SPAN, detector="camera")
INNER = line("inner", lambda lab: bp.count([lab.other], num=5), detector="other")


def interleaved(lab: Laboratory) -> Plan:
    """Two runs at once, one message of each in turn; without checkpoints, which no run may set while another one takes a point."""
    plans = [
        bpp.msg_mutator(
            bpp.set_run_key_wrapper(case.plan(lab), case.name),
            lambda msg: None if msg.command in ("checkpoint", "clear_checkpoint") else msg,
        )
        for case in (OUTER, INNER)
    ]
    answers: list[Any] = [None, None]
    while plans:
        for number, plan in reversed(list(enumerate(plans))):
            try:
                answers[number] = yield plan.send(answers[number])
            except StopIteration:
                del plans[number], answers[number]


def nested(lab: Laboratory) -> Plan:
    """A run that is begun and ended at a point of another."""
    inner = bpp.set_run_key_wrapper(INNER.plan(lab), "inner")
    yield from grid(lab, per_step=after_point(4, lambda: inner))
