"""What lies beside the frames of a point: other datasets of the same file, at the same index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.entries import EntryFrames
from wpb_stream.frames.mimetypes import Frames

Opened = Callable[[StreamFile], Frames]
_OF_THE_FRAMES = ("dataset", "path", "slice", "squeeze", "multiplier", "join_method")
"""Parameters that say how the frames lie in their own dataset."""


def beside(opened: Opened, file: StreamFile, datasets: tuple[str, ...], index: int) -> npt.NDArray[np.float64]:
    """One quantity at an index: a number for each row of the frames of that index, in their order.

    :param opened: gives the frames of a file
    :param datasets: one with the numbers of all rows of an entry, or one for each row
    :raises FrameError: it cannot be read (yet)
    """
    frames = opened(file)
    if not isinstance(frames, EntryFrames) or not {"dataset", "path"} & set(file.parameters):
        raise FrameBroken(f"{file.uri} is of a kind ({file.mimetype}) that has nothing beside its frames")
    entries = frames.per_index
    parameters = {name: value for name, value in file.parameters.items() if name not in _OF_THE_FRAMES}
    shape = (entries, frames.frame_shape[0]) if len(datasets) == 1 else (entries,)
    found: list[npt.NDArray[Any]] = []
    for dataset in datasets:
        other = replace(file, parameters={**parameters, "dataset": dataset}, shape=shape)
        found.append(np.concatenate([frame.ravel() for frame in opened(other).frames_of(index)]).astype(np.float64))
    return found[0] if len(datasets) == 1 else np.stack(found, axis=-1).ravel()
