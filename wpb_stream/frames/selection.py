"""The parameters ``slice`` and ``squeeze`` of a stream resource: a part of what a dataset holds, as Tiled's HDF5 adapter takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken

_PART = re.compile(r"\s*(-?\d+)?\s*(?:(:)\s*(-?\d+)?\s*(?::\s*(-?\d+)?)?)?\s*")


@dataclass(frozen=True, slots=True)
class Selection:
    """A slice of each axis, and whether axes of length 1 go."""

    parts: tuple[int | slice, ...] = ()
    """For the axes after the first, which holds the indices and is taken whole."""
    squeeze: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Selection:
        """The selection in a resource's parameters: ``slice`` as numpy writes it (``":,0,10:20"``), ``squeeze`` true or false.

        :raises FrameBroken: the slice is none, or cuts the first axis
        """
        text = parameters.get("slice")
        return cls(_parts(text) if text else (), parameters.get("squeeze") is True)

    def shape(self, dataset: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that is left of a dataset's."""
        if not self.parts and not self.squeeze:
            return dataset
        if len(self.parts) >= len(dataset):
            raise FrameBroken(f"the stream resource takes a slice of {len(self.parts) + 1} axes of a dataset of shape {dataset}")
        return dataset[0], *self.entry(np.broadcast_to(np.uint8(0), dataset[1:])).shape

    def entry(self, entry: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What is taken of one entry along the first axis.

        :raises FrameBroken: the slice lies outside of it
        """
        if not self.parts and not self.squeeze:
            return entry
        try:
            part = entry[self.parts]
        except IndexError as error:
            raise FrameBroken(f"the stream resource's slice lies outside of the data: {error}") from error
        return part.squeeze() if self.squeeze else part


def _parts(text: object) -> tuple[int | slice, ...]:
    if not isinstance(text, str) or len(text) > 200:
        raise FrameBroken(f'the stream resource\'s slice {str(text)[:80]!r} is not of the form ":,0,10:20"')
    parts = [_part(part, text) for part in text.strip("()[] ").split(",") if part.strip()]
    if parts and parts[0] is Ellipsis:
        raise FrameBroken("a slice that begins with ... is not read: name the first axis")
    if parts and parts[0] != slice(None):
        raise FrameBroken(f"the stream resource's slice {text!r} cuts the first axis, which the indices of its documents count")
    return tuple(part for part in parts[1:] if isinstance(part, (int, slice)))


def _part(part: str, text: str) -> Any:
    if part.strip() == "...":
        return Ellipsis
    found = _PART.fullmatch(part)
    if found is None or not part.strip():
        raise FrameBroken(f'the stream resource\'s slice {text!r} is not of the form ":,0,10:20"')
    start, colon, stop, step = found.groups()
    numbers = [None if number is None else int(number) for number in (start, stop, step)]
    return slice(*numbers) if colon else numbers[0]
