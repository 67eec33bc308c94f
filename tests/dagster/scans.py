"""Finished scans in a real catalogue: documents by event-model, frames in real HDF5 files, the live revision as `wpb stream` leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from event_model import compose_run

from wpb_dagster.reconstruction import reconstruct_run, replay
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.catalogue.records import Batch
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.board import Versioned
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.table import PointTable
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_stream.settings import load

DATASET = "/entry/data/data"


def write_frames(path: Path, frames: npt.NDArray[Any]) -> Path:
    """A detector's file: one frame a chunk. One that is there is replaced, as HDF5 does not write over a file that is being read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path.with_suffix(".part"), "w", libver="latest") as file:
        file.create_dataset(DATASET, data=frames, chunks=(1, *frames.shape[1:]), maxshape=(None, *frames.shape[1:]))
    return path.with_suffix(".part").rename(path)


def random_frames(points: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Frames of 12 x 16 pixels."""
    return np.random.default_rng(seed).integers(0, 255, (points, 12, 16), dtype=np.uint8)


def raster(
    file: Path,
    shape: Sequence[int] = (4, 5),
    *,
    uid: str | None = None,
    points: int | None = None,
    frames_per_datum: int = 3,
    camera: bool = True,
    **metadata: Any,
) -> list[Document]:
    """The documents of a snaking raster whose camera writes to ``file``; without a shape it is a line, without the camera it is nothing."""
    planned: dict[str, Any] = {}
    if shape:
        motors = [f"stage-{axis}" for axis in "zyx"[-len(shape) :]]
        snaking = [False, *[True] * (len(shape) - 1)]
        planned = {"shape": list(shape), "snaking": snaking, "extents": [[0, n - 1] for n in shape], "motors": motors}
    run = compose_run(uid=uid, metadata={"plan_name": "grid_scan", "scan_id": 7, **planned, **metadata})
    if not camera:
        return [Document("start", dict(run.start_doc)), Document("stop", dict(run.compose_stop()))]
    data_key = {"source": "sim", "shape": [1, 12, 16], "dtype": "array", "dtype_numpy": "|u1", "external": "STREAM:"}
    described = run.compose_descriptor(name="primary", data_keys={"camera": data_key})
    resource = run.compose_stream_resource(
        mimetype="application/x-hdf5", uri=f"file://localhost{file}", data_key="camera", parameters={"dataset": DATASET}
    )
    documents = [("start", run.start_doc), ("descriptor", described.descriptor_doc), ("stream_resource", resource.stream_resource_doc)]
    total = points if points is not None else int(np.prod(shape)) if shape else 3
    for first in range(0, total, frames_per_datum):
        stop = min(first + frames_per_datum, total)
        datum = resource.compose_stream_datum(
            indices={"start": first, "stop": stop}, seq_nums={"start": first + 1, "stop": stop + 1}, descriptor=described.descriptor_doc
        )
        documents.append(("stream_datum", datum))
    documents.append(("stop", run.compose_stop()))
    return [Document(name, dict(doc)) for name, doc in documents]


@dataclass(frozen=True)
class Beamline:
    """A catalogue, a results folder, and the folder of the detectors' files."""

    database_url: str
    results: Results
    roots: DataRoots

    def reconstruct(self, documents: Sequence[Document], revision: str) -> tuple[LiveRun, PointTable | None]:
        """What the streaming process has at the end of the run."""
        run, refs = replay(documents, chooser(load().defaults_of))
        live = LiveRun.begin(run, revision, Pace(), 0.0)
        if not run.measures:
            live.end()
            return live, None
        frames = ScanFrames(tuple(refs), self.roots)
        made = reconstruct_run(run, frames, window_frames=4, ended=True, produced_by="wpb stream", revision=revision)
        live.reconstruction.run, live.reconstruction.arrays = made.info, made.arrays
        return live, made.table

    def make_anew(self, documents: Sequence[Document], revision: str = "live.2") -> None:
        """A run that had ended, to whose documents others were added, as `wpb stream` leaves it."""
        self.begin(documents)
        live, table = self.reconstruct(documents, revision)
        file = self.results.save(documents[0].doc["uid"], revision, table, live.reconstruction.arrays) if table is not None else None
        asyncio.run(self._end(live, documents, file))

    def begin(self, documents: Sequence[Document]) -> None:
        """A run as the catalogue has it while it streams: its documents so far, and its place in the list."""
        asyncio.run(self._store(documents))
        asyncio.run(self._begin(documents))

    def acquire(
        self,
        documents: Sequence[Document],
        table: PointTable | None = None,
        live: bool = True,
        arrays: Mapping[str, Versioned] | None = None,
    ) -> None:
        """A whole run as `wpb stream` leaves it.

        :param table: what the live reconstruction had; by default what the files give
        :param arrays: the same of what was accumulated
        :param live: whether there is a live revision at all
        """
        self.begin(documents)
        reconstruction, made = self.reconstruct(documents, "live")
        table = table or made
        arrays = reconstruction.reconstruction.arrays if arrays is None else arrays
        file = self.results.save(documents[0].doc["uid"], "live", table, arrays) if live and table is not None else None
        asyncio.run(self._end(reconstruction, documents, file))

    async def _store(self, documents: Sequence[Document]) -> None:
        async with CatalogueWriter(self.database_url) as writer:
            await writer.take_over()
            await writer.store(Batch([(documents[0].doc["uid"], document) for document in documents], [], {}))

    async def _begin(self, documents: Sequence[Document]) -> None:
        run, _ = replay(documents[:1], chooser(load().defaults_of))
        info = LiveRun.begin(run, "live", Pace(), 0.0).reconstruction.run
        async with CatalogueWriter(self.database_url) as writer:
            await writer.take_over()
            await writer.begin_run(info, documents[0].doc["time"])

    async def _end(self, live: LiveRun, documents: Sequence[Document], file: str | None) -> None:
        async with CatalogueWriter(self.database_url) as writer:
            await writer.take_over()
            await writer.end_run(live.reconstruction, documents[-1].doc.get("time", documents[0].doc["time"]), file)
