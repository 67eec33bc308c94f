"""Arrays that reductions need beside the frames, read from their files once, and anew only when those change."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from wpb_stream.core.corrected import NeedsFiles
from wpb_stream.core.exceptions import FrameBroken, FrameError, FrameNotYet
from wpb_stream.core.needed import FileArray
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.mimetypes import open_frames
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.states import state_of

MAX_AVERAGED = 1_000
"""Frames of a stack; more take too long to be read anew by each reader process."""
KEPT = 4
"""Reducers whose arrays are kept: those of as many runs at a time."""


@runtime_checkable
class Counted(Protocol):
    """Frames of which can be told how many there are."""

    def count(self) -> int:
        """How many indices there are now, where documents tell of no shape."""
        ...


class Bindings:
    """Reducers that need files, with what is in these. Not thread-safe."""

    def __init__(self, roots: DataRoots) -> None:
        self._roots = roots
        self._bound: OrderedDict[Reducer, tuple[list[tuple[int, ...]], Reducer]] = OrderedDict()
        self.read = 0
        """Arrays read since the start."""

    def bound(self, reducer: Reducer) -> Reducer:
        """The reducer, ready to reduce.

        :raises FrameError: a file that it needs cannot be read (yet), or holds something else
        """
        if not isinstance(reducer, NeedsFiles):
            return reducer
        states = [self._state(file) for file in reducer.needs]  # before they are read: what is written meanwhile is read next time
        kept = self._bound.pop(reducer, None)
        if kept is None or kept[0] != states:
            kept = states, reducer.bound({file: self._array(file) for file in reducer.needs})
        self._bound[reducer] = kept
        while len(self._bound) > KEPT:
            self._bound.popitem(last=False)
        return kept[1]

    def _state(self, file: FileArray) -> tuple[int, ...]:
        try:
            return state_of(os.stat(self._roots.path(file.uri)))
        except FrameError as fault:
            raise type(fault)(f"{file.key}: {fault}") from fault
        except (OSError, ValueError) as error:
            raise FrameNotYet(f"{file} is not there (yet): {error}") from error

    def _array(self, file: FileArray) -> npt.NDArray[Any]:
        self.read += 1
        try:
            return read_array(self._roots, file)
        except FrameError as fault:
            raise type(fault)(f"{file.key}: {fault}") from fault
        except Exception as error:  # a damaged file makes HDF5 raise nearly anything
            raise FrameBroken(f"{file} cannot be read: {type(error).__name__}: {error}") from error


def read_array(roots: DataRoots, file: FileArray) -> npt.NDArray[Any]:
    """The one frame in a file; where several are averaged their mean, in float64.

    The frames are added up in their order and divided once: of integers of up to 32 bits, exactly but for that division.

    :returns: shape (rows, columns)
    :raises FrameError: it cannot be read (yet), or has not as many frames as that
    """
    parameters = {} if file.dataset is None else {"dataset": file.dataset}
    frames = open_frames(roots, StreamFile(file.key, file.key, file.mimetype, file.uri, parameters))
    try:
        if not isinstance(frames, Counted):
            raise FrameBroken(f"{file.uri} is of a kind of which nobody can tell how many frames it has")
        count = frames.count()
        if not 0 < count <= (MAX_AVERAGED if file.averaged else 1):
            wanted = f"1 to {MAX_AVERAGED:,} are averaged" if file.averaged else "expected is one"
            raise FrameBroken(f"{file.uri} has {count} frames, and {wanted}")
        if not file.averaged:
            (only,) = [frame.copy() for frame in frames.frames_of(0)]
            return only
        total, added = np.zeros((1, 1)), 0
        for index in range(count):
            for frame in frames.frames_of(index):
                total = total + frame
                added += 1
        return total / added
    finally:
        frames.close()
