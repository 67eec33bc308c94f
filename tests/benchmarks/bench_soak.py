"""Thousands of runs through one streaming process: what it holds, and how much memory, while a client watches ``latest`` throughout.

``python -m tests.benchmarks soak [RUNS]`` from the root of the repository; 2,000 runs by default. After them come some that never
end, documents without a run, broken messages and events of blueapi's worker; and then healthy runs again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import msgspec
import psutil
from aiokafka import AIOKafkaProducer

from tests.helpers.scans import Scan, scan
from wpb_stream.client import Update, watch
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.frames.worker import IDLE_S
from wpb_stream.host import free_port
from wpb_stream.replay import parse_kafka_url, publish, with_new_uids
from wpb_stream.service import Service
from wpb_stream.settings import Settings, environment, load
from wpb_stream.supervisor import Supervisor

FILES = 8
"""Frame files that all runs share in turn."""
TOGETHER = 5
"""Runs published at once; the next ones follow when the last of them is over."""
LOST, ORPHANS, BROKEN, EVENTS, AFTER = 200, 1000, 1000, 1000, 100
RUN_IDLE_S = 20.0
"""So that runs without an end are lost while one waits for it."""
WAIT_S = 300.0
COUNTED = ("threads", "tasks", "runs", "owners", "parked", "unclaimed", "growing", "on the board", "slices kept")
"""What is printed of the census."""


class Soak:
    """One streaming process, and what it is made to do."""

    def __init__(self, settings: Settings, pid: int, answer: Path, scans: Sequence[Scan]) -> None:
        self.settings, self._answer, self._scans = settings, answer, scans
        self._process = psutil.Process(pid)
        self._ended: asyncio.Queue[Update] = asyncio.Queue()
        self._done = 0
        self._began = perf_counter()

    async def watch_latest(self) -> None:
        """The client that is there all the time."""
        async for update in watch(f"ws://{self.settings.listen}/ws"):
            if update.stopped:
                self._ended.put_nowait(update)

    async def healthy(self, runs: int) -> None:
        """Play so many runs that end, and wait for the last of them."""
        for first in range(0, runs, TOGETHER):
            played = [list(with_new_uids(self._scan().documents)) for _ in range(min(TOGETHER, runs - first))]
            await publish((document for run in played for document in run), self.settings.sources[0], speed=0)
            async with asyncio.timeout(WAIT_S):
                while (await self._ended.get()).run.uid != played[-1][0].doc["uid"]:
                    pass

    def _scan(self) -> Scan:
        self._done += 1
        return self._scans[self._done % len(self._scans)]

    async def unended(self, runs: int) -> None:
        """Play so many runs up to their fifth point, and wait until they count as lost."""
        for _ in range(runs):
            run = self._scan()
            await publish(with_new_uids([*run.head, *run.at(0, 5)]), self.settings.sources[0], speed=0)
        async with asyncio.timeout(WAIT_S):
            while (await self._ended.get()).run.status != "lost":
                pass
        await asyncio.sleep(2.0)  # the others, which began before it, but may be written after it

    async def send(self, values: Iterable[bytes]) -> None:
        """Put messages on the bus as they are."""
        brokers, topic = parse_kafka_url(self.settings.sources[0])
        producer = AIOKafkaProducer(bootstrap_servers=brokers)
        await producer.start()
        for value in values:
            await producer.send(topic, value)
        await producer.stop()

    async def measure(self, what: str) -> None:
        """Print a line of what the process is and holds."""
        self._answer.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(30):
            while not self._answer.exists():
                await asyncio.sleep(0.05)
        held: dict[str, int] = json.loads(self._answer.read_text())
        readers = [child for child in self._process.children() if child.name().startswith("python")]
        memory = [process.memory_info().rss / 2**20 for process in (self._process, *readers)]
        files = [sum(_names_data(process) for process in (self._process, *readers)), held["open files"]]
        counts = [held[name] for name in COUNTED]
        sizes = " ".join(f"{size:6.1f}" for size in memory)
        print(f"{what:28} {perf_counter() - self._began:5.0f} {sizes}", *(f"{count:6}" for count in (*files, *counts)), flush=True)

    @staticmethod
    def heading() -> None:
        """Print what the columns of :meth:`measure` are."""
        print("seconds since the start; MiB of the process and of its readers; detector files open in all of them; handles of the process;")
        print(", ".join(COUNTED))


def _names_data(process: psutil.Process) -> int:
    """Handles on detector files."""
    return sum(file.path.endswith(".h5") for file in process.open_files())


def orphans(count: int) -> Iterator[bytes]:
    """Stream datums of runs that never begin."""
    for _ in range(count):
        bounds = {"seq_nums": {"start": 1, "stop": 2}, "indices": {"start": 0, "stop": 1}}
        resource = str(uuid4())
        yield msgspec.msgpack.encode(
            ("stream_datum", {"uid": f"{resource}/0", "stream_resource": resource, "descriptor": str(uuid4()), **bounds})
        )


def worker_events(count: int) -> Iterator[bytes]:
    """What blueapi's worker says of tasks that made no run."""
    for number in range(count):
        status = {"task_id": str(uuid4()), "task_complete": False, "task_failed": False}
        yield msgspec.json.encode({"state": "RUNNING", "task_status": status, "errors": [], "warnings": [f"warning {number}"]})


@asynccontextmanager
async def soaking(folder: Path) -> AsyncIterator[Soak]:
    """PostgreSQL, a broker, and a streaming process that can be counted."""
    postgres, broker = EmbeddedPostgres(folder), EmbeddedBroker(folder, free_port("127.0.0.1", 0))
    settings = load(
        data=folder,
        data_roots=str(folder / "frames"),
        database_url=postgres.database_url,
        sources=f"kafka://{broker.address}/soak",
        listen=f"127.0.0.1:{free_port('127.0.0.1', 0)}",
        run_idle_s=RUN_IDLE_S,
    )

    async def ready() -> bool:
        _, writer = await asyncio.open_connection(*settings.listen.split(":"))
        writer.close()
        return True

    scans = [scan(folder / "frames", seed=number).write() for number in range(FILES)]
    answer = folder / "census.json"
    command = [sys.executable, "-m", "tests.benchmarks.counted_stream", str(answer)]
    log = folder / "stream.log"
    async with Supervisor() as supervisor:
        await supervisor.start(postgres.service(), broker.service())
        await create_topic(broker.address, "soak")
        await supervisor.start(Service(name="wpb stream", argv=command, env=environment(settings), log=log, ready=ready))
        pid = supervisor.pid("wpb stream")
        assert pid is not None
        soak = Soak(settings, _python(pid), answer, scans)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(soak.watch_latest())
            yield soak
            watching.cancel()


def _python(pid: int) -> int:
    """The streaming process itself: the service's process may be its launcher."""
    process = psutil.Process(pid)
    while "tests.benchmarks.counted_stream" not in process.cmdline():
        (process,) = process.children()
    return process.pid


async def main(runs: int = 2000) -> None:
    print(f"{runs} runs of 3 x 4 points, {TOGETHER} at a time; memory of the streaming process and of each of its readers")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with soaking(folder) as soak:
            soak.heading()
            await soak.measure("started")
            done = 0
            for until in sorted({20, 100, 500, 1000, 2000, runs}):
                if until <= runs:
                    await soak.healthy(until - done)
                    done = until
                    await soak.measure(f"{done} runs")
            await soak.unended(LOST)
            await soak.measure(f"{LOST} runs without an end")
            await soak.send(orphans(ORPHANS))
            await soak.send(b"\x00 no document %d" % number for number in range(BROKEN))
            await soak.send(worker_events(EVENTS))
            await soak.healthy(20)
            await soak.measure(f"{ORPHANS} orphans, broken, events")
            await soak.healthy(AFTER)
            await soak.measure(f"{AFTER} runs more")
            await asyncio.sleep(2 * IDLE_S)
            await soak.measure(f"{2 * IDLE_S:g} s without any run")


if __name__ == "__main__":
    os.environ.pop("WPB_CONFIG", None)
    asyncio.run(main(*map(int, sys.argv[1:])))
