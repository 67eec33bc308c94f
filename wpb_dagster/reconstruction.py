"""A finished run reconstructed from its documents and files, by the code that reconstructed it live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from wpb_dagster.scan_frames import ScanFrames, reduce_frames
from wpb_stream.core.accumulation import Accumulation
from wpb_stream.core.board import Versioned
from wpb_stream.core.live import LiveRun, Pace, reconstruct
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.run import Run
from wpb_stream.core.runs import replay as replay
from wpb_stream.core.table import PointTable
from wpb_stream.core.window import FrameRef, WindowResult


class Values(msgspec.Struct, frozen=True):
    """One reconstruction of a run: its table is in ``file``, this is what is to be said of it."""

    info: RunInfo
    revision: str
    file: str
    """The rows, below the results folder."""
    announced: int
    """Points whose frames the documents announced."""
    missing: list[int]
    """Those of them whose frame could not be read."""
    notices: list[Notice]


@dataclass(frozen=True, slots=True)
class Maps:
    """The maps of one revision: each channel as float64 of the scan's shape, NaN where nothing was measured."""

    info: RunInfo
    revision: str
    notices: list[Notice]
    channels: dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """What :func:`reconstruct_run` made."""

    info: RunInfo
    table: PointTable
    missing: list[int]
    notices: list[Notice]
    arrays: dict[str, Versioned]
    """What is accumulated of all frames, and made of the maps."""


def code_version_of(run: Run) -> str:
    """Which code makes a run that has a recipe."""
    assert run.recipe is not None, "frames are only announced where there is a recipe"
    return run.recipe.code_version


def reconstruct_run(run: Run, frames: ScanFrames, *, window_frames: int, ended: bool, produced_by: str, revision: str) -> Reconstructed:
    """Read and reduce all frames of a run, as the streaming process did.

    :param window_frames: frames read at a time; never changes a value
    :param ended: whether the run is over; False if someone asks while it still streams
    """
    assert run.recipe is not None, "frames are only announced where there is a recipe"
    live = LiveRun.begin(run, revision, Pace(window_frames=window_frames), 0.0, produced_by)

    def reduce(refs: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None) -> WindowResult:
        return reduce_frames(refs, reducer, frames.roots, accumulation)

    reconstruct(live, frames.refs, reduce)
    if ended:
        live.end()
    live.show(live.moment().made(), 0.0)
    made = live.reconstruction
    return Reconstructed(made.run, made.table, sorted(live.missing), list(made.notices), made.arrays)
