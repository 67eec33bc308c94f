"""Fly scans and step scans of scanspecs, and what each must become."""

from __future__ import annotations

import numpy as np
from scanspec.specs import Concat, Ellipse, Linspace, Polygon, Spec, Spiral, Squash, Static

from tests.helpers.plan_case import CUBE, GRID, SPAN, Along, PlanCase, binned, from_first_to_last, raster, spans, unknown
from tests.helpers.plans import fly_spec, step_spec

FLOWN = Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 0.0, 3.0, 4)
# What the rule of the docs makes of this spiral: so many places along each axis, reckoned by hand.
SPIRAL = Spiral("x", 0.0, 1.0, 0.2, "y", 0.0)
SPIRAL_GRID = (
    from_first_to_last("y", [point["y"] for point in SPIRAL.midpoints()], 6),
    from_first_to_last("x", [point["x"] for point in SPIRAL.midpoints()], 5),
)
ELLIPSE = Ellipse("x", 0.0, 4.0, 1.0, "y", 1.0, 3.0, 0.5, snake=True)
UNSNAKED = Ellipse("x", 0.0, 4.0, 1.0, "y", 1.0, 3.0, 0.5)
ELLIPSE_GRID: tuple[tuple[str, Along], ...] = (("y", np.linspace(-0.5, 2.5, 7)), ("x", np.linspace(-2, 2, 5)))
MASKED: list[tuple[str, Spec[str], tuple[tuple[str, Along], ...], int]] = [
    ("ellipse", ELLIPSE, ELLIPSE_GRID, 19),
    (
        "vertical ellipse",
        Ellipse("x", 0.0, 4.0, 1.0, "y", 1.0, 3.0, 0.5, snake=True, vertical=True),
        (ELLIPSE_GRID[1], ELLIPSE_GRID[0]),
        19,
    ),
    (
        "polygon",
        Polygon("x", "y", [(0.0, 0.0), (5.0, 0.0), (2.5, 4.0)], 1.0, 1.0, snake=True),
        (("y", np.linspace(0, 3, 4)), ("x", np.linspace(0, 4, 5))),
        13,
    ),
    (
        "concatenated grids",
        Concat(Linspace("y", 0.0, 1.0, 2) * ~Linspace("x", 0.0, 3.0, 4), Linspace("y", 2.0, 3.0, 2) * ~Linspace("x", 1.0, 2.0, 2)),
        (("y", np.linspace(0, 3, 4)), ("x", np.linspace(0, 3, 4))),
        12,
    ),
    (
        "squashed grid",
        Squash(Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 3.0, 0.0, 4)),
        (("y", np.linspace(0, 2, 3)), ("x", np.linspace(0, 3, 4))),
        12,
    ),
]

SPEC_SCANS = [
    raster("fly scan of a scanspec", lambda lab: fly_spec(lab, FLOWN), detector="blobs", course=FLOWN, label="snaked"),
    raster(
        "fly scan of a scanspec",
        lambda lab: fly_spec(lab, FLOWN, motors=["y", "x"], shape=FLOWN.shape()),
        detector="blobs",
        course=FLOWN,
        label="with motors",
    ),
    raster(
        "fly scan of a scanspec",
        lambda lab: fly_spec(lab, FLOWN, per_event=3, motors=["y", "x"]),
        detector="blobs",
        course=FLOWN,
        frames=3,
        label="3 frames an event",
    ),
    PlanCase(
        "fly scan of a scanspec",
        lambda lab: fly_spec(lab, Linspace("z", -1.0, 0.0, 2) * ~(~Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 0.0, 3.0, 4))),
        CUBE,
        (False, True, True),
        ((-1.0, 0.0), *SPAN),
        detector="blobs",
        course=Linspace("z", -1.0, 0.0, 2) * ~(~Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 0.0, 3.0, 4)),
        label="3-D",
    ),
    binned(
        "fly scan of another scanspec",
        lambda lab: fly_spec(lab, SPIRAL),
        SPIRAL_GRID,
        extents=spans(SPIRAL_GRID),
        detector="blobs",
        course=SPIRAL,
        points_planned=20,
        points=20,
        label="spiral",
    ),
    *(
        PlanCase(
            "fly scan of another scanspec",
            lambda lab, spec=spec: fly_spec(lab, spec),
            grid,
            extents=spans(grid),
            detector="blobs",
            course=spec,
            points_planned=points,
            points=points,
            label=label,
        )
        for label, spec, grid, points in MASKED
    ),
    PlanCase(
        "fly scan of another scanspec",
        lambda lab: fly_spec(lab, 2 * UNSNAKED, motors=["top", "side"]),
        (("", [0, 0]), *ELLIPSE_GRID),
        extents=(None, *spans(ELLIPSE_GRID)),
        axes=("axis 0", "top", "side"),
        detector="blobs",
        course=2 * UNSNAKED,
        points_planned=38,
        points=38,
        label="repeated ellipse",
    ),
    PlanCase(
        "fly scan of another scanspec",
        lambda lab: fly_spec(lab, Concat(Linspace("x", 0.0, 1.0, 3), Linspace("x", 2.0, 4.0, 5))),
        (("x", np.linspace(0, 4, 9)),),
        extents=((0.0, 4.0),),
        detector="blobs",
        course=Concat(Linspace("x", 0.0, 1.0, 3), Linspace("x", 2.0, 4.0, 5)),
        points_planned=8,
        points=8,
        label="concatenated lines",
    ),
    unknown(
        "fly scan of an unknown scanspec",
        lambda lab: fly_spec(lab, Linspace("x", 0.0, 1.0, 5), scanspec={"type": "Mask", "spec": {}, "region": {}}),
        detector="blobs",
        points=5,
        told=frozenset({"shape_guessed", "positions_refused"}),
    ),
    raster("spec_scan", lambda lab: step_spec(lab, FLOWN), label="snaked"),
    PlanCase(
        "spec_scan",
        lambda lab: step_spec(lab, Static("z", 1.0, 2) * FLOWN),
        axes=("z", "y", "x"),
        grid=(("", [1.0, 1.0]), *GRID),
        snaking=(False, False, True),
        extents=((1.0, 1.0), *SPAN),
        label="static",
    ),
    PlanCase(
        "spec_scan",
        lambda lab: step_spec(lab, 2 * FLOWN),
        (("", [0, 0]), *GRID),
        (False, False, True),
        (None, *SPAN),
        axes=("axis 0", "y", "x"),
        label="repeated",
    ),
    binned(
        "spec_scan",
        lambda lab: step_spec(lab, SPIRAL),
        SPIRAL_GRID,
        extents=spans(SPIRAL_GRID),
        points_planned=20,
        points=20,
        label="spiral",
    ),
    PlanCase(
        "spec_scan",
        lambda lab: step_spec(lab, ELLIPSE),
        ELLIPSE_GRID,
        extents=spans(ELLIPSE_GRID),
        points_planned=19,
        points=19,
        label="ellipse",
    ),
]
