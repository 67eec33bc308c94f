"""Scans to publish: documents by event-model, frames whose sums are known, and the maps they must become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
from event_model import compose_run

from wpb_stream.replay import Recorded

DATASET = "/entry/data/data"
BANDS = {"red": (0, 1), "green": (1, 2), "blue": (2, 3), "total": (0, 3)}
"""Thirds of a frame's height that each channel sums, as no regions are named."""


@dataclass(frozen=True)
class Scan:
    """One raster scan, whole: publish it in the parts a test needs."""

    documents: list[Recorded]
    """start, descriptor, stream_resource; a stream_datum and an event for each point; stop."""
    frames: npt.NDArray[np.uint16]
    """Shape (points, rows, columns)."""
    shape: tuple[int, ...]
    file: Path

    @property
    def uid(self) -> str:
        return self.documents[0].doc["uid"]

    @property
    def points(self) -> int:
        return len(self.frames)

    @property
    def head(self) -> list[Recorded]:
        """What comes before the first point."""
        return self.documents[:3]

    def at(self, first: int, stop: int) -> list[Recorded]:
        """The documents of these points."""
        return self.documents[3:-1][2 * first : 2 * stop]

    @property
    def stop(self) -> Recorded:
        return self.documents[-1]

    def write(self, frames: int | None = None, *, a_chunk: int = 1) -> Scan:
        """Write the first ``frames``, or all, so many a chunk, in a file that is then closed."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(self.file, "w", libver="latest") as file:
            file.create_dataset(
                DATASET, data=self.frames[:frames], chunks=(a_chunk, *self.frames.shape[1:]), maxshape=(None, *self.frames.shape[1:])
            )
        return self

    def values(self, channel: str) -> npt.NDArray[np.float64]:
        """What a channel is at each point, shape (points,)."""
        top, bottom = (self.frames.shape[1] * third // 3 for third in BANDS[channel])
        return self.frames[:, top:bottom].astype(np.uint64).sum(axis=(1, 2)).astype(np.float64)

    def map(self, channel: str) -> npt.NDArray[np.float64]:
        """What a channel's map must be: every second row backwards, as the fast axis snakes."""
        rows = self.values(channel).reshape(self.shape)
        rows[1::2] = rows[1::2, ::-1]
        return rows

    def cell(self, point: int) -> int:
        """Where a point lands."""
        row, step = divmod(point, self.shape[1])
        return row * self.shape[1] + (self.shape[1] - 1 - step if row % 2 else step)


def random_frames(points: int, seed: int = 0, columns: int = 4) -> npt.NDArray[np.uint16]:
    """Frames of 6 rows, none of them dark."""
    return np.random.default_rng(seed).integers(1, 60_000, (points, 6, columns), dtype=np.uint16)


def scan(
    folder: Path,
    shape: tuple[int, ...] = (3, 4),
    *,
    seed: int = 0,
    frames: npt.NDArray[np.uint16] | None = None,
    time: float | None = None,
    exit_status: Literal["success", "abort", "fail"] = "success",
    reason: str = "",
    points_per_datum: int | None = None,
    uri: str | None = None,
    **metadata: Any,
) -> Scan:
    """A snaking raster whose camera writes to a file in ``folder``; nothing is written yet.

    :param time: when it starts, seconds since 1970
    :param points_per_datum: announce that many at once, without events
    :param uri: of the file, if not its own
    :param metadata: what else the start document says; None takes a key away
    """
    points = int(np.prod(shape))
    frames = random_frames(points, seed) if frames is None else frames
    planned = {
        "plan_name": "grid_scan",
        "scan_id": 7,
        "shape": list(shape),
        "snaking": [False, *[True] * (len(shape) - 1)],
        "motors": ["stage-y", "stage-x"][-len(shape) :],
        "extents": [[0.0, float(n - 1)] for n in shape],
    }
    run = compose_run(time=time, metadata={key: value for key, value in {**planned, **metadata}.items() if value is not None})
    file = folder / f"{run.start_doc['uid']}.h5"
    camera = {"source": "sim://camera", "shape": [1, *frames.shape[1:]], "dtype": "array", "dtype_numpy": "<u2", "external": "STREAM:"}
    stage = {"source": "sim://stage", "shape": [], "dtype": "number", "units": "mm"}
    described = run.compose_descriptor(name="primary", data_keys={"camera": camera, "stage-x": stage, "stage-y": stage})
    assert run.compose_stream_resource is not None
    resource = run.compose_stream_resource(
        mimetype="application/x-hdf5", uri=uri or f"file://localhost{file}", data_key="camera", parameters={"dataset": DATASET}
    )
    documents: list[tuple[str, Any]] = [
        ("start", run.start_doc),
        ("descriptor", described.descriptor_doc),
        ("stream_resource", resource.stream_resource_doc),
    ]
    for first in range(0, points, points_per_datum or 1):
        stop = min(first + (points_per_datum or 1), points)
        datum = resource.compose_stream_datum(
            {"start": first, "stop": stop}, {"start": first + 1, "stop": stop + 1}, described.descriptor_doc
        )
        documents.append(("stream_datum", datum))
        if points_per_datum is None:
            data = {"stage-x": float(first), "stage-y": 0.0}
            documents.append(("event", described.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0), validate=False)))
    # event-model counts events it composed; Bluesky counts those of external detectors too.
    documents.append(("stop", {**run.compose_stop(exit_status, reason), "num_events": {"primary": prod(shape)}}))
    return Scan([Recorded(name, dict(doc)) for name, doc in documents], frames, shape, file)


def interleaved(*runs: Sequence[Recorded]) -> Iterator[Recorded]:
    """One document of each in turn, until all are out."""
    for position in range(max(map(len, runs))):
        for run in runs:
            yield from run[position : position + 1]
