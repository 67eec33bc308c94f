"""A run's maps as a NeXus file, as h5web and silx open it: the default plot is the map, with its axes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.recipe import Channel
from wpb_stream.wholefile import whole_file


def write_nexus(
    path: Path,
    *,
    start: Mapping[str, Any],
    maps: Mapping[str, npt.NDArray[np.floating[Any]]],
    grid: Grid,
    channels: Sequence[Channel],
    stop: Mapping[str, Any] | None = None,
    composite: npt.NDArray[np.uint8] | None = None,
    revision: str | None = None,
    notices: Sequence[str] = (),
    arrays: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Path:
    """Write one reconstruction of a run, all or nothing: the file appears under its name once it is complete and on the disk.

    ``/entry/maps`` is an NXdata: its signal is the channel ``total`` (else the last one), the others its auxiliary signals, its axes the
    motors.

    :param path: where; the folder must exist, a file of that name is replaced
    :param start: the run's start document; kept whole, as JSON, in ``/entry/start_document``
    :param maps: one of ``grid.shape`` for each channel, by name; NaN where nothing was measured
    :param stop: the run's stop document, for the end time and how it ended
    :param composite: RGB picture of shape ``(*grid.shape, 3)``, for two-dimensional grids
    :param revision: name of this reconstruction
    :param notices: what was guessed or lost, one sentence each
    :param arrays: what was accumulated, or made of the maps, by name: each an NXdata in ``/entry/arrays``
    :returns: ``path``
    :raises ValueError: a map is missing or has another shape than the grid
    :raises OSError: it cannot be written
    """
    for channel in channels:
        if channel.name not in maps or maps[channel.name].shape != grid.shape:
            raise ValueError(f"channel {channel.name!r} needs a map of shape {grid.shape}; maps: {[(k, v.shape) for k, v in maps.items()]}")
    with whole_file(path) as unfinished, h5py.File(unfinished, "w", libver="v110", track_order=True) as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": "wpb", "file_name": path.name})
        entry = _group(file, "entry", "NXentry", default="maps")
        _describe(entry, start, stop, revision, notices)
        _write_maps(entry, maps, grid, channels)
        if composite is not None:
            _write_composite(entry, composite, grid)
        if arrays:
            _write_arrays(entry, arrays)
    return path


def _describe(
    entry: h5py.Group, start: Mapping[str, Any], stop: Mapping[str, Any] | None, revision: str | None, notices: Sequence[str]
) -> None:
    entry["title"] = str(start.get("title") or f"{start.get('plan_name', 'run')} {start.get('scan_id', '')}".strip())
    entry["program_name"] = "wpb"
    fields = {
        "entry_identifier_uuid": start.get("uid"),
        "entry_identifier": start.get("scan_id"),
        "start_time": _iso((start or {}).get("time")),
        "end_time": _iso((stop or {}).get("time")),
        "exit_status": (stop or {}).get("exit_status"),
        "revision": revision,
    }
    for name, value in fields.items():
        if value is not None:
            entry[name] = str(value)
    note = _group(entry, "start_document", "NXnote")
    note["type"] = "application/json"
    note["data"] = json.dumps(start, default=str)
    if notices:
        _group(entry, "notices", "NXnote")["data"] = "\n".join(notices)


def _write_maps(entry: h5py.Group, maps: Mapping[str, npt.NDArray[np.floating[Any]]], grid: Grid, channels: Sequence[Channel]) -> None:
    names = _unique([channel.name for channel in channels] + [axis.name for axis in grid.axes])
    signals, axes = names[: len(channels)], names[len(channels) :]
    main = next((k for k, channel in enumerate(channels) if channel.name == "total"), len(channels) - 1)
    data = _group(entry, "maps", "NXdata", signal=signals[main], axes=axes)
    data.attrs["auxiliary_signals"] = [name for k, name in enumerate(signals) if k != main]
    for name, channel in zip(signals, channels, strict=True):
        field = data.create_dataset(name, data=maps[channel.name])
        field.attrs.update({"long_name": channel.label, "units": channel.units})
        if channel.colour:
            field.attrs["colour"] = channel.colour
    _write_axes(data, axes, grid)


def _write_composite(entry: h5py.Group, composite: npt.NDArray[np.uint8], grid: Grid) -> None:
    if composite.shape != (*grid.shape, 3):
        raise ValueError(f"the composite has shape {composite.shape}, not {(*grid.shape, 3)}")
    axes = _unique(["rgb"] + [axis.name for axis in grid.axes])[1:]
    data = _group(entry, "composite", "NXdata", signal="rgb", axes=[*axes, "."])
    data.create_dataset("rgb", data=composite).attrs["interpretation"] = "rgb-image"
    _write_axes(data, axes, grid)


def _write_arrays(entry: h5py.Group, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    collection = _group(entry, "arrays", "NXcollection")
    for name, (given, values) in zip(_unique(list(arrays)), arrays.items(), strict=True):
        data = _group(collection, name, "NXdata", signal="data")
        data.create_dataset("data", data=values).attrs["long_name"] = given


def _write_axes(data: h5py.Group, names: Sequence[str], grid: Grid) -> None:
    for position, (name, axis, length) in enumerate(zip(names, grid.axes, grid.shape, strict=True)):
        data.attrs[f"{name}_indices"] = position
        field = data.create_dataset(name, data=_positions(axis, length))
        field.attrs["long_name"] = f"{axis.name} ({axis.units})" if axis.units else axis.name
        if axis.units:
            field.attrs["units"] = axis.units


def _positions(axis: Axis, length: int) -> npt.NDArray[Any]:
    """Motor positions along an axis, or indices where the documents did not say them."""
    if axis.start is None or axis.stop is None:
        return np.arange(length)
    return np.linspace(axis.start, axis.stop, length)


def _group(parent: h5py.Group, name: str, kind: str, **attributes: Any) -> h5py.Group:
    group = parent.create_group(name, track_order=True)
    group.attrs.update({"NX_class": kind, **attributes})
    return group


def _unique(names: Sequence[str]) -> list[str]:
    """Names that NeXus allows, all different; the real ones stay in ``long_name``."""
    allowed: list[str] = []
    for name in names:
        base = candidate = re.sub(r"\W", "_", name, flags=re.ASCII) or "axis"
        while candidate in allowed:
            candidate = f"{base}_{len(allowed)}"
        allowed.append(candidate)
    return allowed


def _iso(time: object) -> str | None:
    """Seconds since 1970 as ISO 8601; None for what is no time a calendar has."""
    if not isinstance(time, int | float):
        return None
    try:
        return datetime.fromtimestamp(time, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
