"""What tells whether a file is still what was opened, and whether what it holds was ever written."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt


def state_of(found: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is replaced or written to."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def all_fill(part: npt.NDArray[Any], fill: Any) -> bool:
    """Whether a part of an array holds nothing but the fill value, as it does before it is written."""
    if part[(0,) * part.ndim] != fill and not np.isnan(fill):
        return False
    return bool(np.array_equal(part, np.broadcast_to(fill, part.shape), equal_nan=True))
