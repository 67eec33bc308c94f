"""What is believed of a file before anything of it is decoded: a few bytes of header can declare terabytes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from wpb_stream.core.exceptions import FrameBroken

FRAME_LIMIT_BYTES = 2**30
"""Largest frame, and largest chunk, that is read."""
MAX_AXES = 8


def check_numbers(dtype: np.dtype[Any] | None, what: str = "it") -> None:
    """Frames are numbers that reductions can add up.

    :param what: has that type, for the error
    :raises FrameBroken: these are not
    """
    if dtype is None or dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype.subdtype:
        raise FrameBroken(f"{what} has the type {dtype}; frames are integers or floating-point numbers of at most 64 bits")


def check_size(shape: tuple[int, ...], dtype: np.dtype[Any] | None, what: str = "it") -> None:
    """One image, or whatever is read at once, must have pixels and a size that is believed.

    :param what: has that shape, for the error
    :raises FrameBroken: it has not
    """
    pixels = prod(shape)
    if dtype is None or pixels <= 0 or len(shape) > MAX_AXES or pixels * dtype.itemsize > FRAME_LIMIT_BYTES:
        raise FrameBroken(f"{what} has shape {shape} of {dtype}; frames must have pixels and be at most 1 GiB")
