"""Numbers that events carry themselves, or that are datasets of their own: the values of runs in which no detector writes images.

Which of them are shown follows from the descriptor: what its devices hint at, as in Bluesky's own live tables, but for the motors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wpb_stream.core.binning import COUNT, Binned
from wpb_stream.core.companions import Companions, is_number
from wpb_stream.core.narrow import as_label, as_list, as_mapping
from wpb_stream.core.recipe import Channel, Recipe
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region

MAX_CHANNELS = 32
"""Each is a column of the table and a map in the viewer."""
STREAM = "primary"
"""Where Bluesky's plans put the points of a scan; monitors have streams of their own, with other numbers of events."""
OF_FRAMES = ("regions_guessed", "channel_unknown")
"""Codes of notices that are of no concern to runs without frames."""
_RESERVED = ("point", "cell")


@dataclass(frozen=True, slots=True)
class Scalars:
    """The data keys that are shown, and the channels they become."""

    data_keys: tuple[str, ...]
    channels: tuple[Channel, ...]

    def values(self, data: Mapping[str, Any]) -> tuple[float, ...]:
        """The value of each channel in one event; NaN for what is there no number."""
        return tuple(number(data.get(name)) for name in self.data_keys)


def scalars_of(descriptor: Mapping[str, Any], start: Mapping[str, Any], wanted: str | None = None) -> Scalars | None:
    """What is shown of a stream; None if it holds no numbers, or tells of files.

    :param wanted: the one data key that was asked for
    """
    data_keys = as_mapping(descriptor["data_keys"])
    if any("external" in as_mapping(told) for told in data_keys.values()):
        return None
    numbers = [name for name, told in data_keys.items() if is_number(as_mapping(told)) and wanted in (None, name)]
    moved = set(_moved(descriptor, start))
    hinted = set(_hinted(descriptor))
    measured = [name for name in numbers if name not in moved]
    shown = [name for name in measured if name in hinted] or measured or numbers
    shown = shown[:MAX_CHANNELS]
    if not shown:
        return None
    return Scalars(tuple(shown), tuple(channels_of(shown, data_keys)))


def datasets_of(descriptor: Mapping[str, Any], start: Mapping[str, Any], first: str, wanted: str | None = None) -> Scalars | None:
    """What is shown of a stream whose detectors write numbers; None if the first of them is no number.

    :param first: the data key that stands in the place of the frames
    :param wanted: the one data key that was asked for
    """
    data_keys = as_mapping(descriptor["data_keys"])
    numbers = [name for name, told in data_keys.items() if "external" in as_mapping(told) and is_number(as_mapping(told))]
    if first not in numbers:
        return None
    hinted, moved = set(_hinted(descriptor)), set(_moved(descriptor, start))
    others = [name for name in numbers if name != first and name not in moved and wanted is None]
    shown = [first, *([name for name in others if name in hinted] or others)][:MAX_CHANNELS]
    return Scalars(tuple(shown), tuple(channels_of(shown, data_keys)))


def shown_instead(recipe: Recipe, shown: Scalars, own: int) -> Recipe:
    """The recipe of a run in which these numbers are the values, and no regions of frames.

    :param own: how many of them, from the first, stand in the place of the frames; the others are joined to them
    """
    asked = recipe.companions or Companions()
    beside = [channel for channel in recipe.channels if channel.data_key is not None and channel.data_key not in shown.data_keys]
    names = channels_of([channel.data_key or "" for channel in beside], {}, [channel.name for channel in shown.channels])
    channels = [*shown.channels, *(replace(channel, name=named.name) for channel, named in zip(beside, names, strict=True))]
    divided: list[int] = []
    for number, data_key in enumerate(shown.data_keys):
        if asked.monitor not in (None, data_key):
            channels[number] = replace(channels[number], units=f"{channels[number].units or '1'}/{asked.monitor}")
            divided.append(number)
    joined = (*shown.data_keys[own:], *(channel.data_key for channel in beside if channel.data_key))
    if isinstance(recipe.grid, Binned):
        count = recipe.channels[-1]
        channels.append(replace(count, name=free_name(COUNT, [channel.name for channel in channels])))
    placed_by = tuple(data_key for data_key in asked.placed_by if data_key in joined)
    companions = Companions(joined, asked.monitor, tuple(divided), asked.averaged, placed_by)
    return replace(
        recipe,
        channels=tuple(channels),
        notices=tuple(notice for notice in recipe.notices if notice.code not in OF_FRAMES),
        reduction=RegionSums(tuple(Region(name) for name in shown.data_keys[:own])),
        accumulation=None,
        companions=companions if companions.data_keys else None,
    )


def channels_of(shown: Sequence[str], data_keys: Mapping[str, Any], taken: Iterable[str] = ()) -> Iterator[Channel]:
    """A channel for each data key, with the units that its descriptor tells, under a name that none of ``taken`` and no other has."""
    names = {*taken}
    for name in shown:
        column = free_name(as_label(name) or "value", names)
        names.add(column)
        units = as_label(as_mapping(data_keys.get(name)).get("units")) or ""
        yield Channel(column, as_label(name) or "value", units, data_key=name)


def free_name(name: str, taken: Collection[str]) -> str:
    """The name of a channel, with as many lines behind it as it takes to be none of ``taken``, nor a column of every table."""
    while name in _RESERVED or name in taken:
        name += "_"
    return name


def number(value: object) -> float:
    """A reading as a number; NaN if it is none."""
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
