"""From a document on the bus to its row at a client: the whole walk, on real services, at a steady rate.

Prints the median and the 99th percentile, with the settings' defaults and with windows and updates as short as they go.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import h5py
import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

from wpb_stream.client import watch
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.host import free_port
from wpb_stream.service import Service
from wpb_stream.settings import Settings, environment, load
from wpb_stream.supervisor import Supervisor

SHAPE = (25, 40)
FRAME = (256, 320)
RATE = 100.0
"""Points a second."""


def documents(file: Path) -> tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, dict[str, Any]]]]:
    """The documents of a step scan: those before its first point, and one stream datum a point with the stop document at the end."""
    run, descriptor, resource = str(uuid4()), str(uuid4()), str(uuid4())
    key = {"source": "bench", "shape": [1, *FRAME], "dtype": "array", "dtype_numpy": "|u1", "external": "STREAM:"}
    before: list[tuple[str, dict[str, Any]]] = [
        ("start", {"uid": run, "time": 1.0, "plan_name": "bench", "shape": list(SHAPE), "snaking": [False, True]}),
        ("descriptor", {"uid": descriptor, "run_start": run, "time": 1.0, "name": "primary", "data_keys": {"camera": key}, "hints": {}}),
        (
            "stream_resource",
            {
                "uid": resource,
                "run_start": run,
                "data_key": "camera",
                "mimetype": "application/x-hdf5",
                "uri": f"file://localhost{file}",
                "parameters": {"dataset": "/entry/data/data", "chunk_shape": [1, *FRAME]},
            },
        ),
    ]
    points: list[tuple[str, dict[str, Any]]] = []
    for index in range(SHAPE[0] * SHAPE[1]):
        bounds = {"seq_nums": {"start": index + 1, "stop": index + 2}, "indices": {"start": index, "stop": index + 1}}
        points.append(("stream_datum", {"uid": f"{resource}/{index}", "stream_resource": resource, "descriptor": descriptor, **bounds}))
    return before, [*points, ("stop", {"uid": str(uuid4()), "run_start": run, "time": 2.0, "exit_status": "success"})]


async def latencies(settings: Settings, max_rate: float) -> list[float]:
    """Seconds from sending each point's document to having its row."""
    before, points = documents(settings.data_roots[0] / "frames.h5")
    server, topic = settings.sources[0].removeprefix("kafka://").split("/")
    sent: dict[int, float] = {}
    took: list[float] = []
    producer = AIOKafkaProducer(bootstrap_servers=server)
    await producer.start()

    async def publish() -> None:
        for document in before:
            await producer.send_and_wait(topic, msgspec.msgpack.encode(document))
        await asyncio.sleep(1.0)  # the reader processes of a beamline are warm
        began = perf_counter()
        for point, document in enumerate(points):
            await asyncio.sleep(max(0.0, began + point / RATE - perf_counter()))
            sent[point] = perf_counter()
            await producer.send(topic, msgspec.msgpack.encode(document))

    async def receive() -> None:
        async for update in watch(f"ws://{settings.listen}/ws", max_rate=max_rate):
            now = perf_counter()
            took.extend(now - sent[int(point)] for point in update.new["point"])
            if update.stopped:
                return

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(receive())
        await publish()
    await producer.stop()
    return took


@asynccontextmanager
async def streaming(folder: Path, **flags: Any) -> AsyncIterator[Settings]:
    """PostgreSQL, a broker and a streaming process."""
    postgres, broker = EmbeddedPostgres(folder), EmbeddedBroker(folder, free_port("127.0.0.1", 0))
    settings = load(
        data=folder,
        data_roots=str(folder),
        database_url=postgres.database_url,
        sources=f"kafka://{broker.address}/bench",
        listen=f"127.0.0.1:{free_port('127.0.0.1', 0)}",
        **flags,
    )

    async def ready() -> bool:
        _, writer = await asyncio.open_connection(*settings.listen.split(":"))
        writer.close()
        return True

    command = [sys.executable, "-m", "wpb_stream.cli", "stream"]
    async with Supervisor() as supervisor:
        await supervisor.start(postgres.service(), broker.service())
        await create_topic(broker.address, "bench")
        await supervisor.start(Service(name="wpb stream", argv=command, env=environment(settings), log=folder / "stream.log", ready=ready))
        yield settings


async def compare() -> None:
    """Print the latencies, with the default settings and with the shortest."""
    print(f"From document to client, {SHAPE[0]} x {SHAPE[1]} points of {FRAME[0]} x {FRAME[1]} at {RATE:g} points a second")
    for name, max_rate, flags in (
        ("defaults (windows of 50 ms, 20 updates/s)", 20.0, {}),
        ("shortest (windows of 1 ms, 60 updates/s)", 60.0, {"window_seconds": 0.001, "kafka_fetch_wait_ms": 1}),
    ):
        with tempfile.TemporaryDirectory() as name_of_folder:
            folder = Path(name_of_folder)
            folder.chmod(0o755)
            with h5py.File(folder / "frames.h5", "w", libver="latest") as file:
                frames = np.random.default_rng(1).integers(0, 200, (SHAPE[0] * SHAPE[1], *FRAME), dtype=np.uint8)
                file.create_dataset("/entry/data/data", data=frames, chunks=(1, *FRAME))
            async with streaming(folder, **flags) as settings:
                milliseconds = 1000 * np.array(await latencies(settings, max_rate))
        median, late = np.percentile(milliseconds, [50, 99])
        print(f"  {name:45s} median {median:6.1f} ms   99th percentile {late:6.1f} ms   ({len(milliseconds)} points)")


if __name__ == "__main__":
    os.environ.pop("WPB_CONFIG", None)
    asyncio.run(compare())
