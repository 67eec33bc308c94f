"""Stand-ins for detector files that a recorded run speaks of and nobody has: replayed, the run looks like something.

For every stream resource in the recording, the HDF5 file its URI means after a path mapping, with as many frames as its stream datums
announce, in the shape and type its descriptor says. Run it as ``python -m wpb_stream.sim.standins RECORDING --map FROM=TO``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import h5py
import numpy as np
import numpy.typing as npt

from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.replay import read_recording
from wpb_stream.sim import sample

logger = logging.getLogger(__name__)

MARK = "wpb_standin"
"""Attribute of the files written here; a file without it is somebody's data and is never replaced."""
MIMETYPES = frozenset({"application/x-hdf5", "application/hdf5"})
DEFAULT_FRAME = (1216, 1936)


@dataclass(frozen=True, slots=True)
class _Dataset:
    """One dataset to write."""

    name: str
    item: tuple[int, ...]
    """Shape of one entry along the first axis: rows and columns last; () for one number."""
    dtype: np.dtype[Any]
    entries: int
    """Along the first axis."""
    per_point: int
    """Entries a point."""
    grid: Grid
    first_point: int
    """Point of the scan that the first entry belongs to."""


def write_standins(
    recording: Path,
    to: Path | Mapping[str, Path],
    frame: tuple[int, int] = DEFAULT_FRAME,
    dtype: npt.DTypeLike = np.uint8,
    seed: int = 0,
) -> list[Path]:
    """Write the files that a recording's stream resources mean.

    Frames show :mod:`wpb_stream.sim.sample` at the point's place in the scan; datasets that are no images hold sums of those frames.
    Only one frame is in memory at a time.

    :param recording: anything :func:`wpb_stream.replay.read_recording` reads
    :param to: folder under which the whole paths appear, or a mapping from the beginnings of paths to folders; URIs outside it are skipped,
        with a warning
    :param frame: rows, columns where the descriptor does not tell (zeros, or none)
    :param dtype: where the descriptor does not tell
    :param seed: of the noise
    :returns: the files written
    :raises FileExistsError: there is a file that was not written here
    :raises DocumentError: the file is no recording
    """
    mapping = {"/": to} if isinstance(to, Path) else to
    files: dict[Path, dict[str, _Dataset]] = {}
    for uri, dataset in _datasets(read_recording(recording), frame, np.dtype(dtype)):
        path = _mapped(uri, mapping)
        if path is None:
            logger.warning("no --map covers %s: skipped", uri)
            continue
        there = files.setdefault(path, {})
        # Several resources may share a dataset; the longest tells its length.
        if dataset.name not in there or there[dataset.name].entries < dataset.entries:
            there[dataset.name] = dataset
    for path, datasets in files.items():
        _write(path, list(datasets.values()), frame, seed)
    return list(files)


@dataclass(slots=True)
class _Resource:
    """What the recording says of one stream resource."""

    doc: Mapping[str, Any]
    descriptor: str = ""
    indices: int = 0
    first_point: int = 0
    """Point of index 0: a run's second file goes on where the first ended."""


def _datasets(
    documents: Iterable[tuple[str | None, Mapping[str, Any]]], frame: tuple[int, int], dtype: np.dtype[Any]
) -> Iterator[tuple[str, _Dataset]]:
    starts: dict[str, Mapping[str, Any]] = {}
    descriptors: dict[str, Mapping[str, Any]] = {}
    resources: dict[str, _Resource] = {}
    for name, doc in documents:
        if name == "start":
            starts[doc["uid"]] = doc
        elif name == "descriptor":
            descriptors[doc["uid"]] = doc
        elif name == "stream_resource":
            if doc.get("mimetype") in MIMETYPES:
                resources[doc["uid"]] = _Resource(doc)
            else:
                logger.warning("no stand-in for %s: its mimetype is %s", doc.get("uri"), doc.get("mimetype"))
        elif name == "stream_datum" and (resource := resources.get(doc["stream_resource"])):
            if not resource.descriptor:
                resource.descriptor = doc["descriptor"]
                resource.first_point = max(doc["seq_nums"]["start"] - 1 - doc["indices"]["start"], 0)
            resource.indices = max(resource.indices, doc["indices"]["stop"])
    for resource in resources.values():
        descriptor = descriptors.get(resource.descriptor, {})
        key = descriptor.get("data_keys", {}).get(resource.doc["data_key"], {})
        parameters = resource.doc["parameters"]
        item, per_point = _shape(key, parameters, frame)
        start = starts.get(resource.doc.get("run_start") or descriptor.get("run_start", ""), {})
        yield (
            resource.doc["uri"],
            _Dataset(
                name=parameters.get("dataset") or parameters.get("path") or "/entry/data/data",
                item=item,
                dtype=_dtype(key.get("dtype_numpy"), dtype),
                entries=resource.indices * per_point,
                per_point=per_point,
                grid=_grid(start, resource.first_point + resource.indices),
                first_point=resource.first_point,
            ),
        )


def _shape(key: Mapping[str, Any], parameters: Mapping[str, Any], frame: tuple[int, int]) -> tuple[tuple[int, ...], int]:
    """Shape of one entry, and entries a point; ophyd-async puts the latter first in the descriptor's shape, older devices leave it out."""
    shape = [int(side or 0) for side in key.get("shape") or ()]
    if not shape and key.get("dtype", "array") == "array":
        return frame, int(parameters.get("multiplier") or 1)
    if len(shape) == 2 and not 0 < len(parameters.get("chunk_shape") or ()) <= 2:
        item, per_point = tuple(shape), int(parameters.get("multiplier") or 1)
    else:
        item, per_point = tuple(shape[1:]), (shape[0] if shape else 1) or 1
    return (frame if item and min(item) == 0 else item), per_point


def _dtype(described: Any, default: np.dtype[Any]) -> np.dtype[Any]:
    try:
        dtype = np.dtype(described) if isinstance(described, str) else default
    except TypeError:
        return default
    return dtype if dtype.kind in "iuf" else default


def _grid(start: Mapping[str, Any], points: int) -> Grid:
    """How the run goes over the sample; snaked where it does not say, as ``demo_plan`` does."""
    shape = tuple(int(side) for side in start.get("shape") or ())
    if not shape or min(shape) < 1:
        shape = (max(points, 1),)
    snaking = start.get("snaking")
    if snaking is None or len(snaking) != len(shape):
        snaking = [False, *[start.get("snake_axes", True) not in (False, "False")] * (len(shape) - 1)]
    return Grid(shape, tuple(Axis(str(k), snaking=bool(snakes)) for k, snakes in enumerate(snaking)))


def _place(grid: Grid, point: int) -> tuple[float, float]:
    """Where a point lies on the sample: ``u`` along the last axis, ``v`` along the one before."""
    where = np.unravel_index(int(grid.cells(point % prod(grid.shape))), grid.shape)
    across, *down = [index / (length - 1) if length > 1 else 0.5 for index, length in zip(where, grid.shape, strict=True)][::-1]
    return float(across), float(down[0]) if down else 0.5


def _mapped(uri: str, mapping: Mapping[str, Path]) -> Path | None:
    path = PurePosixPath(unquote(urlsplit(uri).path))
    if ".." in path.parts:
        return None
    for beginning in sorted(mapping, key=len, reverse=True):
        if path.is_relative_to(beginning):
            return mapping[beginning] / path.relative_to(beginning)
    return None


def _write(path: Path, datasets: list[_Dataset], frame: tuple[int, int], seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with h5py.File(path, "r", locking=False) as old:
            if MARK not in old.attrs:
                raise FileExistsError(f"{path} is no stand-in: it is not replaced")
    # All datasets of a file show the same image: that of the first one that holds any.
    image_shape = next((dataset.item[-2:] for dataset in datasets if len(dataset.item) >= 2), frame)
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs[MARK] = True
        out = [
            file.create_dataset(
                dataset.name,
                shape=(dataset.entries, *dataset.item),
                maxshape=(None, *dataset.item),
                chunks=(1, *dataset.item) if dataset.item else (1024,),
                dtype=dataset.dtype,
            )
            for dataset in datasets
        ]
        for entry in range(max(dataset.entries for dataset in datasets)):
            for target, dataset in zip(out, datasets, strict=True):
                if entry < dataset.entries:
                    rng = np.random.default_rng((seed, entry))
                    u, v = _place(dataset.grid, dataset.first_point + entry // dataset.per_point)
                    image = sample.frame(u, v, (image_shape[0], image_shape[1]), rng)
                    target[entry] = np.asarray(_value(image, dataset.item)).astype(dataset.dtype)


def _value(image: npt.NDArray[np.uint8], item: tuple[int, ...]) -> npt.NDArray[Any] | int:
    if not item:
        return int(image.sum(dtype=np.int64))
    if len(item) == 1:
        return np.resize(image.sum(axis=0, dtype=np.int64), item)
    return np.broadcast_to(image if image.shape == item[-2:] else np.resize(image, item[-2:]), item)


def _parse_map(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    pairs = [value.partition("=") for value in values]
    if wrong := [value for value, pair in zip(values, pairs, strict=True) if not (pair[0].startswith("/") and pair[2])]:
        raise click.BadParameter(f"{wrong[0]!r} is not of the form /from=/to")
    return {beginning: Path(to) for beginning, _, to in pairs}


@click.command()
@click.argument("recording", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "mapping", metavar="FROM=TO", multiple=True, required=True, callback=_parse_map, help="Where paths go; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the noise.")
def main(recording: Path, mapping: dict[str, Path], seed: int) -> None:
    """Write stand-ins for the detector files of RECORDING, and list them.

    Example: python -m wpb_stream.sim.standins run.json --map /dls/b01-1/data=frames
    """
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        for path in write_standins(recording, mapping, seed=seed):
            click.echo(path)
    except FileExistsError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
