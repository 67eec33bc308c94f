"""The corpus of odd runs through the running process: all at once, shuffled and doubled, each with the map it must have."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from aiokafka import AIOKafkaProducer

from tests.helpers.corpus import Case, Expected, corpus
from tests.helpers.documents import FRAME_SHAPE
from tests.helpers.scans import DATASET, scan
from tests.integration.watching import WAIT_S, assert_is_map_of, until_latest_stopped, until_stopped
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import Update
from wpb_stream.core.documents import MAX_BYTES
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.replay import parse_kafka_url, publish
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration

FRAMES = 200
FILES = ("camera.h5", "side.h5", "position.h5", "before.h5", "a.h5", "b.h5", "run 1/camera.h5")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def level(file: str, index: int) -> int:
    """What every pixel of a frame holds: no two frames have it in common."""
    return 1 + index + 1000 * [Path(name).name for name in FILES].index(file)


def write(folder: Path) -> None:
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        levels = np.array([level(Path(name).name, index) for index in range(FRAMES)], np.uint16)
        with h5py.File(folder / name, "w", libver="latest") as file:
            frames = np.broadcast_to(levels[:, None, None], (FRAMES, *FRAME_SHAPE))
            file.create_dataset(DATASET, data=frames, chunks=(1, *FRAME_SHAPE))


def messages(name: str, case: Case, order: random.Random) -> Iterator[bytes]:
    """The documents of a case as JSON, with uids of its own: the cases share runs."""
    delivered = case.documents if case.ordered else order.sample([*case.documents, *case.documents], 2 * len(case.documents))
    for document in delivered:
        text = json.dumps([document.name, document.doc])
        yield UUID.sub(lambda uid: str(uuid5(NAMESPACE_OID, name + uid[0])), text).encode()


def total_of(update: Update, expected: Expected) -> npt.NDArray[np.float64]:
    """What the map of the whole frame must be."""
    grid = Grid(tuple(update.run.shape), tuple(Axis(axis.name, snaking=axis.snaking) for axis in update.run.axes))
    total: npt.NDArray[np.float64] = np.full(grid.size, np.nan)
    for point, (file, index) in expected.items():
        total[grid.cells(point)] = level(file, index) * FRAME_SHAPE[0] * FRAME_SHAPE[1]
    return total.reshape(grid.shape)


async def until_made_of(settings: Settings, run: str, expected: Expected) -> Update:
    """Watch a run until it has ended with its map; one that is revised as documents came after its end has ended once too early."""
    async with asyncio.timeout(WAIT_S):
        while True:
            update = await until_stopped(settings, run)
            if np.array_equal(update.map("total"), total_of(update, expected), equal_nan=True):
                return update
            await asyncio.sleep(0.1)


async def test_all_odd_runs_at_once_shuffled_and_doubled_have_the_maps_they_must(settings: Settings, streaming, tmp_path: Path) -> None:
    folder, order = tmp_path / "frames", random.Random(11)
    write(folder)
    healthy = scan(folder).write()
    cases = {name: (case, list(messages(name, case, order))) for name, case in corpus().items()}
    brokers, topic = parse_kafka_url(settings.sources[0])
    impatient = settings.model_copy(update={"path_map": (f"/data={folder}", f"/C:/data={folder}"), "run_idle_s": 5.0, "stop_grace_s": 0.5})
    async with streaming(impatient):
        async with AIOKafkaProducer(bootstrap_servers=brokers, max_request_size=MAX_BYTES) as producer:
            waiting = [sent for _, sent in cases.values()]
            while waiting := [sent for sent in waiting if sent]:
                await producer.send_and_wait(topic, order.choice(waiting).pop(0))
        await publish(healthy.documents, settings.sources[0], speed=0)
        assert_is_map_of(await until_latest_stopped(settings, healthy.uid), healthy)  # what was published before it is taken in by then
        for name, (case, _) in cases.items():
            uid = str(uuid5(NAMESPACE_OID, name + next(document.uid for document in case.documents if document.name == "start")))
            update = await until_made_of(settings, uid, case.expected)
            assert case.notices <= {notice.code for notice in update.notices}, name
            assert "internal" not in {notice.code for notice in update.notices}, name
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert catalogue.dead_letters() == []
