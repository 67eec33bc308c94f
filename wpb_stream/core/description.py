"""What clients are told of a run: the run object of the feed's protocol."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from wpb_stream.core.azimuthal import RangeMeans
from wpb_stream.core.corrected import WithFiles
from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo, without_large_values
from wpb_stream.core.narrow import as_integer, as_label
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.run import Run


def describe(run: Run, frame_shape: tuple[int, int] | None = None) -> RunInfo:
    """The run object of the feed's protocol for a run that has no rows yet.

    :param frame_shape: rows, columns of the detector's frames once known, for regions in pixels
    """
    start = run.start
    empty = run.over and not run.measures  # nothing came that a recipe could be for
    recipe, grid = (None, None) if empty else (run.recipe, run.grid)
    return RunInfo(
        uid=run.uid,
        scan_id=as_integer(start.get("scan_id")),
        plan_name=as_label(start.get("plan_name")),
        status="running",  # until the run is over, frames and all: LiveRun.end
        started=iso(start["time"]),
        stopped=None,
        recipe=recipe.name if recipe else None,
        shape=list(grid.shape) if grid else [],
        axes=[AxisInfo(a.name, a.units or run.units(a.name), a.start, a.stop, a.snaking) for a in grid.axes] if grid else [],
        channels=[
            ChannelInfo(
                c.name, c.label, c.units or run.units(c.data_key) or "", c.colour, c.region.describe(frame_shape) if c.region else None
            )
            for c in (recipe.channels if recipe else ())
        ],
        arrays=list(recipe.arrays) if recipe else [],
        points_expected=grid.points if grid and recipe and not recipe.grows else None,
        rows=0,
        metadata=without_large_values(start),
        plan=run.plan,
    )


def beyond(recipe: Recipe, frame_shape: tuple[int, int]) -> str | None:
    """What is to be said of regions that were asked for and of which nothing lies in the frames; None if there are none.

    Of masks in files nothing is known here, and thirds of a frame that is too small for them are nobody's mistake.
    """
    asked = [channel for channel in recipe.channels if channel.region is not None and not channel.region.rows.parts]
    names = [channel.name for channel in asked if channel.region and any(s.start >= s.stop for s in channel.region.resolve(frame_shape))]
    if not names:
        return None
    return f"The detector's frames have {frame_shape[0]} rows and {frame_shape[1]} columns: nothing of them lies in {', '.join(names)}."


def hollow(recipe: Recipe, values: npt.NDArray[np.float64]) -> str | None:
    """What is to be said of ranges of scattering angle that no pixel lies in; None if there are none.

    :param values: of some points, shape (points, channels)
    """
    reducer = recipe.reducer.reducer if isinstance(recipe.reducer, WithFiles) else recipe.reducer
    if not isinstance(reducer, RangeMeans):
        return None
    ranges = len(reducer.ranges)
    counted = values[np.isfinite(values[:, ranges])]  # by their total
    if not len(counted):
        return None
    names = [channel.name for channel, means in zip(recipe.channels[:ranges], counted.T, strict=False) if np.isnan(means).all()]
    return f"No pixel that counts lies in the ranges {', '.join(names)}: nothing is shown of them." if names else None


def iso(time: float) -> str:
    """Seconds since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
