"""Windows of points that have more than frames: what to read one after the other, and the values that follow.

A generator that asks for what is to be read and is sent the answers, so that the streaming process, which waits for reader processes,
and Dagster, which reads at once, go through the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wpb_stream.core.accumulation import Accumulation
from wpb_stream.core.companions import Companions
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import FrameRef, FrameStatus, WindowResult, carried

_Step = tuple[Sequence[FrameRef], Reducer, Accumulation | None]
Reduce = Callable[[Sequence[FrameRef], Reducer, Accumulation | None], WindowResult]
Steps = Generator[_Step, WindowResult, WindowResult]


@dataclass(slots=True)
class _Beside:
    """The numbers beside the frames of a window, as far as they have been read."""

    values: npt.NDArray[np.float64]
    """Shape (points, data keys)."""
    status: npt.NDArray[np.uint8]
    """For each point what became of all that it needs: a :class:`FrameStatus`."""
    reason: str | None = None
    """Why a point has not all that it needs."""
    unjoined: str | None = None
    """Why one does without a number."""


def steps(refs: Sequence[FrameRef], recipe: Recipe, *, last: bool) -> Steps:
    """Read a window: asks for frames to be reduced, is sent the results, and returns the values of all channels.

    The numbers beside the frames come first: frames, which cost more, are read for those points only whose numbers are there.

    :param last: whether nothing is waited for any more: of what is not there yet, points do without what they need not have
    """
    if recipe.companions is None:
        return carried(refs) or (yield refs, recipe.reducer, recipe.accumulation)
    beside = yield from _read_beside(refs, recipe.companions, last)
    rows: list[int] = np.flatnonzero(beside.status == FrameStatus.READ).tolist()
    whole = [refs[row] for row in rows]
    if not whole:
        return WindowResult(np.full((len(refs), len(recipe.channels)), np.nan), beside.status, None, beside.reason)
    own = carried(whole) or (yield whole, recipe.reducer, recipe.accumulation)
    made = recipe.companions.values(own.values, beside.values[rows])
    values = np.full((len(refs), made.shape[1]), np.nan)
    values[rows], beside.status[rows] = made, own.status
    return replace(own, values=values, status=beside.status, reason=beside.reason or own.reason, unjoined=beside.unjoined)


def read_now(asked: Steps, reduce: Reduce) -> WindowResult:
    """Go through the steps with a function that reads at once."""
    try:
        step = next(asked)
        while True:
            step = asked.send(reduce(*step))
    except StopIteration as done:
        return done.value


def _read_beside(refs: Sequence[FrameRef], companions: Companions, last: bool) -> Generator[_Step, WindowResult, _Beside]:
    made = _Beside(np.full((len(refs), len(companions.data_keys)), np.nan), np.full(len(refs), FrameStatus.READ, np.uint8))
    places: dict[Reducer, list[tuple[int, int, FrameRef]]] = {}
    for row, ref in enumerate(refs):
        for column, (data_key, place) in enumerate(zip(companions.data_keys, ref.beside, strict=True)):
            if isinstance(place, tuple):
                places.setdefault(companions.reducer(data_key), []).append((row, column, FrameRef(ref.point, *place)))
            else:
                made.values[row, column] = place
    for reducer, wanted in places.items():
        result = yield [ref for _, _, ref in wanted], reducer, None
        for (row, column, _), value, status in zip(wanted, result.values[:, 0], result.status, strict=True):
            made.values[row, column] = value
            if status == FrameStatus.READ:
                continue
            if (last or status == FrameStatus.BROKEN) and companions.data_keys[column] not in companions.required:
                made.unjoined = made.unjoined or result.reason
            else:
                made.status[row] = max(made.status[row], status)
                made.reason = made.reason or result.reason
    return made
