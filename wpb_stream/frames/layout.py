"""What one index of a StreamDatum is in a file: the parameter semantics of Bluesky's consolidators (``bluesky.consolidators``)."""

from __future__ import annotations

from wpb_stream.core.window import StreamFile

MAX_FRAMES_PER_INDEX = 2**20
"""Frames an index above this are not believed."""


def entries_per_index(file: StreamFile) -> int:
    """Entries along a dataset's first axis that make one index: the leading F of ``[F, rows, columns]``, or the older ``multiplier``."""
    shape = file.shape or ()
    told = (file.parameters.get("multiplier"), shape[0] if len(shape) == 3 else None)
    return next((number for number in told if type(number) is int and 0 < number <= MAX_FRAMES_PER_INDEX), 1)
