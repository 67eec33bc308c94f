"""A reconstruction as a file to take away: its rows as CSV, its maps as NumPy's ``.npz``, as NeXus, or as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from wpb_stream.core.board import Reconstruction
from wpb_stream.core.derived import grid_of
from wpb_stream.core.recipe import Channel
from wpb_stream.frames.nexus import write_nexus
from wpb_stream.pictures import draw, thumbnail


def as_csv(made: Reconstruction) -> bytes:
    """A row for each point in the order they were placed: its number, where it is along each axis, and the value of each channel.

    Along an axis whose positions are unknown it is told by its index, from 0. Numbers are told in full, so that they are read back as
    they were.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    data, axes = made.table.data, made.run.axes
    units = {channel.name: channel.units for channel in made.run.channels}
    named = [f"{axis.name} ({axis.units})" if axis.units else axis.name for axis in axes]
    writer.writerow(["point", *named, *(f"{name} ({units[name]})" if units.get(name) else name for name in made.table.channels)])
    places = np.unravel_index(data["cell"].astype(np.int64), tuple(made.run.shape)) if axes else ()
    grid = grid_of(made.run).axes if axes else ()
    positions = [axis.positions(length)[place].tolist() for axis, length, place in zip(grid, made.run.shape, places, strict=True)]
    columns = [data["point"].tolist(), *positions, *(data[name].tolist() for name in made.table.channels)]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def as_npz(made: Reconstruction) -> bytes:
    """Maps, rows and arrays, for :func:`numpy.load`.

    - ``maps``: shape (channels, ...), NaN where nothing was measured
    - ``rows``: the points in the order they were placed, as :attr:`PointTable.data`
    - ``array_0``, ``array_1``, ...: what is accumulated, and made of the maps
    - ``about``: JSON with the run object, the revision, and the names of the channels and of the arrays
    """
    maps = made.table.maps(made.run.shape)
    about = {"run": msgspec.to_builtins(made.run), "revision": made.revision, "channels": list(maps), "arrays": list(made.arrays)}
    out = io.BytesIO()
    np.savez_compressed(
        out,
        allow_pickle=False,
        about=np.array(msgspec.json.encode(about).decode()),
        maps=np.stack(list(maps.values())) if maps else np.empty((0, *made.run.shape)),
        rows=made.table.data,
        **{f"array_{number}": each.values for number, each in enumerate(made.arrays.values())},
    )
    return out.getvalue()


def as_nexus(made: Reconstruction) -> bytes:
    """As :func:`write_nexus` writes it."""
    with TemporaryDirectory() as folder:
        path = write_nexus(
            Path(folder) / "maps.nxs",
            start=made.run.metadata,
            maps=made.table.maps(made.run.shape),
            grid=grid_of(made.run),
            channels=[Channel(channel.name, channel.label, channel.units, channel.colour) for channel in made.run.channels],
            revision=made.revision,
            notices=[notice.message for notice in made.notices],
            arrays={name: each.values for name, each in made.arrays.items()},
        )
        return path.read_bytes()


def as_picture(made: Reconstruction) -> bytes:
    """As :func:`draw` draws it: PNG, the maps side by side."""
    return draw(made.run, made.table.maps(made.run.shape))


def as_thumbnail(made: Reconstruction) -> bytes:
    """As :func:`thumbnail` draws it."""
    return thumbnail(made.run, made.table.maps(made.run.shape))


FORMATS: dict[str, tuple[str, Callable[[Reconstruction], bytes]]] = {
    "map.csv": ("text/csv; charset=utf-8", as_csv),
    "map.npz": ("application/octet-stream", as_npz),
    "map.nxs": ("application/x-hdf5", as_nexus),
    "map.png": ("image/png", as_picture),
    "thumbnail.png": ("image/png", as_thumbnail),
}
"""By name: content type, and what makes it."""
