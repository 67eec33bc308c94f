"""What a recomputation gives of a run, and that a client sees the same of it, however badly its documents are delivered."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from event_model import sanitize_doc

from tests.helpers.documents import as_json
from tests.helpers.laboratory import Laboratory
from tests.integration.conftest import Streaming
from tests.integration.watching import publish_values, until_latest_stopped
from wpb_dagster.reconstruction import Reconstructed, reconstruct_run
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.client import Update
from wpb_stream.core.documents import Document, parse
from wpb_stream.core.run import Run
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import FrameRef
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_stream.settings import Settings, load


def as_received(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Document]:
    """Documents as they are after a bus."""
    received = [parse(as_json(name, sanitize_doc(dict(doc)))) for name, doc in documents]
    assert all(isinstance(one, Document) for one in received)
    return [one for one in received if isinstance(one, Document)]


def reconstructed(documents: Sequence[Document], folder: Path, window_frames: int = 5) -> list[Reconstructed]:
    """Each of the runs in these documents, in the order they began."""
    runs, refs, began = Runs(chooser(load().defaults_of)), dict[str, list[FrameRef]](), dict[str, Run]()
    for document in documents:
        for applied in runs.apply(document):
            began[applied.run.uid] = applied.run
            refs.setdefault(applied.run.uid, []).extend(applied.frames)
    return [
        reconstruct_run(
            run,
            ScanFrames(tuple(refs[uid]), DataRoots((folder,))),
            window_frames=window_frames,
            ended=True,
            produced_by="test",
            revision="live",
        )
        for uid, run in began.items()
    ]


async def live_and_batch(lab: Laboratory, settings: Settings, streaming: Streaming) -> tuple[Update, Reconstructed]:
    """What a client sees of the one run that was taken in a laboratory, and what a recomputation gives of it.

    The documents come backwards, and once more in no order; the process that reads them is restarted in the middle.
    """
    documents = as_received(lab.documents)
    (batch,) = reconstructed(documents, lab.folder)
    shuffled = random.Random(7).sample(documents[1:], len(documents) - 1)
    messages = [as_json(document.name, document.doc) for document in [documents[0], *documents[:0:-1], *shuffled]]
    middle = len(documents) // 2
    async with streaming(settings):
        await publish_values(settings, messages[:middle])
    async with streaming(settings):
        await publish_values(settings, messages[middle:])
        return await until_latest_stopped(settings, batch.info.uid), batch


def assert_alike(update: Update, batch: Reconstructed) -> None:
    """Both have the same channels, maps without a gap, arrays and kinds of notices, bit for bit."""
    maps = batch.table.maps(batch.info.shape)
    assert [(channel.name, channel.units) for channel in update.run.channels] == [(c.name, c.units) for c in batch.info.channels]
    assert [channel.name for channel in update.run.channels] == list(maps)
    for channel, values in maps.items():
        assert update.map(channel).tobytes() == values.tobytes(), channel
        assert np.isfinite(values).all(), channel
    assert list(update.arrays) == update.run.arrays == list(batch.arrays)
    for name, array in update.arrays.items():
        assert _whole(array) == _whole(batch.arrays[name].values), name
    assert {notice.code for notice in update.notices} == {notice.code for notice in batch.notices}


def _whole(array: npt.NDArray[Any]) -> tuple[np.dtype[Any], tuple[int, ...], bytes]:
    return array.dtype, array.shape, array.tobytes()
