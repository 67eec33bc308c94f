"""Numbers that events carry themselves: the values of runs in which no detector writes to files.

Which of them are shown follows from the descriptor: what its devices hint at, as in Bluesky's own live tables, but for the motors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wpb_stream.core.narrow import as_label, as_list, as_mapping
from wpb_stream.core.recipe import Channel
from wpb_stream.core.window import StreamFile

MAX_CHANNELS = 32
"""Each is a column of the table and a map in the viewer."""
STREAM = "primary"
"""Where Bluesky's plans put the points of a scan; monitors have streams of their own, with other numbers of events."""
IN_THE_EVENT = StreamFile("", "", "application/x-bluesky-event", "")
"""Stands where a frame has its file."""
_RESERVED = ("point", "cell")


@dataclass(frozen=True, slots=True)
class Scalars:
    """The data keys that are shown, and the channels they become."""

    data_keys: tuple[str, ...]
    channels: tuple[Channel, ...]

    def values(self, data: Mapping[str, Any]) -> tuple[float, ...]:
        """The value of each channel in one event; NaN for what is there no number."""
        return tuple(_number(data.get(name)) for name in self.data_keys)


def scalars_of(descriptor: Mapping[str, Any], start: Mapping[str, Any], wanted: str | None = None) -> Scalars | None:
    """What is shown of a stream; None if it holds no numbers, or tells of files.

    :param wanted: the one data key that was asked for
    """
    data_keys = as_mapping(descriptor["data_keys"])
    if any("external" in as_mapping(told) for told in data_keys.values()):
        return None
    numbers = [name for name, told in data_keys.items() if _is_number(as_mapping(told)) and wanted in (None, name)]
    moved = set(_moved(descriptor, start))
    hinted = set(_hinted(descriptor))
    measured = [name for name in numbers if name not in moved]
    shown = [name for name in measured if name in hinted] or measured or numbers
    shown = shown[:MAX_CHANNELS]
    if not shown:
        return None
    return Scalars(tuple(shown), tuple(_channels(shown, data_keys)))


def _channels(shown: Sequence[str], data_keys: Mapping[str, Any]) -> Iterator[Channel]:
    taken = {*_RESERVED}
    for name in shown:
        column = as_label(name) or "value"
        while column in taken:
            column += "_"
        taken.add(column)
        units = as_label(as_mapping(data_keys[name]).get("units")) or ""
        yield Channel(column, as_label(name) or "value", units)


def _is_number(told: Mapping[str, Any]) -> bool:
    return told.get("dtype") in ("number", "integer", "boolean") and not as_list(told.get("shape"))


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else float("nan")
    except OverflowError:
        return float("inf")


def _hinted(descriptor: Mapping[str, Any]) -> Iterator[str]:
    for hint in as_mapping(descriptor.get("hints")).values():
        yield from map(str, as_list(as_mapping(hint).get("fields")) or [])


def _moved(descriptor: Mapping[str, Any], start: Mapping[str, Any]) -> Iterator[str]:
    """Data keys of the motors: those of the devices the start document lists, and those it names as dimensions of the scan."""
    by_device = as_mapping(descriptor.get("object_keys"))
    for motor in map(str, as_list(start.get("motors")) or []):
        yield motor
        yield from map(str, as_list(by_device.get(motor)) or [])
    for dimension in as_list(as_mapping(start.get("hints")).get("dimensions")) or []:
        fields = as_list(dimension)
        yield from map(str, (as_list(fields[0]) or []) if fields else [])
