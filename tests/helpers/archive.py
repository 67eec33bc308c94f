"""A catalogue of runs that are over, filled without a bus: for tests of what is done with many of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.records import Batch
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.board import Reconstruction
from wpb_stream.core.documents import Document
from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo
from wpb_stream.core.table import PointTable

FIRST = datetime(2026, 3, 1, 9, tzinfo=UTC)
COLOURS = ("red", "green", "blue")


def made_run(
    uid: str,
    values: npt.ArrayLike,
    *,
    number: int = 1,
    plan_name: str = "grid_scan",
    status: str = "success",
    points_expected: int | None = None,
    started: datetime = FIRST,
    **metadata: Any,
) -> Reconstruction:
    """A run with one revision: its channels are multiples of the values, in the colours, and ``total``.

    :param values: in the shape of the scan, of which each point is measured in its turn; NaN at the end for points that are not there yet
    """
    flat = np.asarray(values, np.float64)
    rows = int(np.isfinite(flat).sum())
    channels = [ChannelInfo(name, name.capitalize(), "counts", name if name in COLOURS else None, None) for name in (*COLOURS, "total")]
    axes = [AxisInfo(name, "mm", 0.0, length - 1.0, False) for name, length in zip("yx"[-flat.ndim :], flat.shape, strict=True)]
    begun, ended = started.isoformat().replace("+00:00", "Z"), (started + timedelta(minutes=2)).isoformat().replace("+00:00", "Z")
    start = {"uid": uid, "scan_id": number, "plan_name": plan_name, **metadata}
    over = status != "running"
    info = RunInfo(
        *(uid, number, plan_name, status, begun, ended if over else None, "raster" if flat.ndim == 2 else "line", list(flat.shape)),
        *(axes, channels, [], points_expected or flat.size, rows, start),
    )
    table = PointTable([channel.name for channel in channels])
    points = np.arange(rows)
    table.append(points, points, np.outer(flat.ravel()[:rows], [1, -1, 2, 4]))
    return Reconstruction(info, "live", table, "a test", ended=over)


async def fill(database_url: str, results: Results, runs: Iterable[Reconstruction]) -> None:
    """Put these runs into an empty catalogue, in their order."""
    upgrade(database_url)
    async with CatalogueWriter(database_url) as writer:
        await writer.take_over()
        for made in runs:
            begun = datetime.fromisoformat(made.run.started or "").timestamp()
            start = Document("start", {"time": begun, **made.run.metadata})
            await writer.store(Batch([(made.run.uid, start)], [], {}))
            await writer.begin_run(made.run, begun)
            if made.ended:
                await writer.end_run(made, begun + 120, results.save(made.run.uid, made.revision, made.table))
