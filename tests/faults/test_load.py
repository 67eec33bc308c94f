"""Much at once: what it costs, what gives first, and that nothing is lost. The figures are printed: run it with `-s`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from tests.faults.crowd import fingerprint, watched
from tests.faults.judge import assert_batch_map, assert_kept_once, judged, until_kept
from tests.faults.nursery import Nursling
from tests.faults.test_kafka import metric
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.scans import Scan, interleaved, random_frames, scan
from tests.helpers.topics import make_topic
from tests.integration.watching import until_latest_stopped
from wpb_stream.core.envelope import encode
from wpb_stream.feed.sent import LAGS_S
from wpb_stream.replay import parse_kafka_url, publish
from wpb_stream.settings import Settings, split_address

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.whole]

LOAD_S = float(os.environ.get("TEST_LOAD_S", "300"))
POINTS_A_S = 1000
CLIENTS = 100
WAIT_S = 1200.0


@pytest.fixture
async def settings(settings: Settings, apache_kafka: ApacheKafka, topic: str, request: pytest.FixtureRequest) -> Settings:
    """Of a streaming process that listens to Apache Kafka, as the embedded broker is slower than what is measured; with windows of so many
    frames, where a test says so."""
    await make_topic(apache_kafka.address(), topic)
    windows = {"window_frames": request.param} if hasattr(request, "param") else {}
    return settings.model_copy(update={"sources": (f"kafka://{apache_kafka.address()}/{topic}",), **windows})


class Meter:
    """What a streaming process takes, looked at every second."""

    def __init__(self, settings: Settings, pid: int) -> None:
        self._settings, self._process = settings, psutil.Process(pid)
        self.published = 0
        """Points, so far."""
        self.samples: list[dict[str, float]] = []

    def _cpu_s(self) -> tuple[float, float]:
        own = self._process.cpu_times()
        readers = [child.cpu_times() for child in self._process.children(recursive=True)]
        return own.user + own.system, sum(each.user + each.system for each in readers)

    @asynccontextmanager
    async def measuring(self, name: str) -> AsyncIterator[None]:
        """Measure while the context lasts, then print what was seen."""
        began, (own, readers) = monotonic(), self._cpu_s()
        looking = asyncio.ensure_future(self._look())
        try:
            yield
        finally:
            looking.cancel()
            took, (own_after, readers_after) = monotonic() - began, self._cpu_s()
            memory = [sample["memory"] for sample in self.samples]
            queue, behind = ([sample[name] for sample in self.samples] for name in ("queue", "behind"))
            told = {"MiB": memory, "messages in the queue": queue, "points published and not placed": behind}
            print(  # noqa: T201
                f"\n{name}: {took:.1f} s; CPU {(own_after - own) / took:.0%} of a core, readers {(readers_after - readers) / took:.0%}; "
                f"load of the machine {os.getloadavg()[0]:.1f}"
            )
            for what, values in told.items():
                print(f"  {what}: {_over_time(values)}")  # noqa: T201

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            queue = await asyncio.to_thread(metric, self._settings, "wpb_queue_messages")
            placed = await asyncio.to_thread(metric, self._settings, "wpb_rows_placed_total")
            memory = self._process.memory_info().rss / 2**20
            self.samples.append({"memory": memory, "queue": queue, "behind": max(0, self.published - placed)})


def _over_time(values: Sequence[float]) -> str:
    """A few of them, evenly spaced, and the largest."""
    return f"{' '.join(f'{value:.0f}' for value in values[:: max(1, len(values) // 8)])}, at most {max(values, default=0):.0f}"


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[tuple[AIOKafkaProducer, str]]:
    brokers, topic = parse_kafka_url(settings.sources[0])
    producer = AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=5)
    await producer.start()
    yield producer, topic
    await producer.stop()


async def judge(settings: Settings, one: Scan, clients: asyncio.Future[tuple[set[str], int]] | None = None) -> None:
    async with asyncio.timeout(WAIT_S):
        await until_kept(settings, one)
        maps, cut_off = await clients if clients is not None else (None, 0)
    assert_kept_once(settings, one)
    await asyncio.to_thread(assert_batch_map, settings, one)
    assert maps in (None, {fingerprint(one.map("total"))})
    print(f"clients cut off and back again: {cut_off}")  # noqa: T201


async def until_metric(settings: Settings, name: str, value: float) -> None:
    """Wait until a metric has come to that value."""
    async with asyncio.timeout(WAIT_S):
        while await asyncio.to_thread(metric, settings, name) < value:
            await asyncio.sleep(0.1)


async def watching(settings: Settings, run: Scan, clients: int) -> asyncio.Future[tuple[set[str], int]]:
    """Publish a run's beginning, and have so many clients there."""
    await publish(run.head, settings.sources[0], speed=0)
    await until_metric(settings, "wpb_runs_running", 1)
    told = asyncio.ensure_future(watched(split_address(settings.listen)[1], run.uid, run.points, clients))
    await until_metric(settings, "wpb_clients", clients)
    return told


async def test_a_fly_scan_of_a_thousand_points_a_second_with_a_hundred_clients(
    settings: Settings, nursling: Nursling, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (int(LOAD_S), POINTS_A_S), points_per_datum=10).write(a_chunk=10)
    await nursling.serve()
    meter = Meter(settings, nursling.pid)
    clients = await watching(settings, run, CLIENTS)
    async with meter.measuring(f"{POINTS_A_S} points a second, {CLIENTS} clients"), producing(settings) as (producer, topic):
        began = monotonic()
        for number, document in enumerate(run.documents[3:-1], 1):
            await producer.send(topic, encode(document.name or "", document.doc))
            meter.published = 10 * number
            if (ahead := meter.published / POINTS_A_S - (monotonic() - began)) > 0:
                await asyncio.sleep(ahead)
        await producer.flush()
    await publish([run.stop], settings.sources[0], speed=0)
    await judge(settings, run, clients)
    print("from a document to a client:", await asyncio.to_thread(_quantiles, settings))  # noqa: T201


def _quantiles(settings: Settings) -> str:
    count = metric(settings, "wpb_lag_seconds_count")
    buckets = [(bound, metric(settings, rf'wpb_lag_seconds_bucket{{le="{bound}"}}')) for bound in LAGS_S]
    return ", ".join(f"{below / max(count, 1):.1%} below {bound} s" for bound, below in buckets)


async def test_ten_runs_interleaved(settings: Settings, nursling: Nursling, tmp_path: Path) -> None:
    runs = [scan(tmp_path / "frames", (40, 50), seed=seed).write(a_chunk=50) for seed in range(10)]
    await nursling.serve()
    async with Meter(settings, nursling.pid).measuring("ten runs of 2,000 points interleaved"), judged(settings, *runs, clients=1):
        await publish(interleaved(*(run.documents for run in runs)), settings.sources[0], speed=0)


@pytest.mark.parametrize("settings", [2048], indirect=True)
async def test_a_run_of_a_million_points(settings: Settings, nursling: Nursling, tmp_path: Path) -> None:
    # Windows of 64 frames, the default, show a scan sooner than anyone needs who waits for a million points.
    rows = int(os.environ.get("TEST_LOAD_ROWS", "1000"))
    run = scan(tmp_path / "frames", (rows, 1000), frames=random_frames(rows * 1000, 1, 1), points_per_datum=1000).write(a_chunk=1000)
    await nursling.serve()
    clients, meter = await watching(settings, run, 2), Meter(settings, nursling.pid)
    async with meter.measuring(f"{run.points:,} points"):
        meter.published = await publish(run.documents[3:], settings.sources[0], speed=0) * 1000 - 1000
        await until_metric(settings, "wpb_rows_placed_total", run.points)
    await judge(settings, run, clients)


async def test_a_burst_of_ten_thousand_documents_a_second(settings: Settings, nursling: Nursling, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames", (100, 200)).write(a_chunk=200)
    messages = [encode(document.name or "", document.doc) for document in run.documents]
    await nursling.serve()
    async with Meter(settings, nursling.pid).measuring(f"{len(messages)} documents at once"), producing(settings) as (producer, topic):
        began = monotonic()
        for message in messages:
            await producer.send(topic, message)
        await producer.flush()
        sent = monotonic() - began
        while await asyncio.to_thread(_documents, settings) < 2 * run.points:
            await asyncio.sleep(0.05)
        stored = monotonic() - began
        await judge(settings, run)
        ended = monotonic() - began
    told = f"{len(messages) / sent:.0f} documents a second for {sent:.1f} s; all stored after {stored:.1f} s, all shown after {ended:.1f} s"
    print(told)  # noqa: T201


def _documents(settings: Settings) -> float:
    return sum(
        metric(settings, rf'wpb_documents_total{{name="{name}"}}')
        for name in ("start", "descriptor", "stream_resource", "stream_datum", "event", "stop")
    )


async def test_a_start_with_a_hundred_thousand_runs_in_the_catalogue(settings: Settings, nursling: Nursling, tmp_path: Path) -> None:
    first, later = scan(tmp_path / "frames").write(), scan(tmp_path / "frames", seed=1).write()
    began = monotonic()
    await nursling.serve()
    print(f"\nstart on an empty catalogue: {monotonic() - began:.2f} s")  # noqa: T201
    await publish(first.documents, settings.sources[0], speed=0)
    await until_latest_stopped(settings, first.uid)
    assert await nursling.stop() == 0
    with psycopg.connect(settings.database_url or "") as connection:
        connection.execute(
            """INSERT INTO runs (uid, ended_seq, info, plan_name, status, started_at, ended_at, notices)
            SELECT 'old-' || n, nextval('runs_ended_seq'), info, plan_name, status, started_at - n * interval '1 min',
                ended_at - n * interval '1 min', notices FROM runs, generate_series(1, 100000) n WHERE uid = %s""",
            [first.uid],
        )
        connection.execute(
            """INSERT INTO documents (run_uid, name, uid, body, received_at)
            SELECT 'old-' || n, name, uid || n, body, received_at - interval '2 days' FROM documents, generate_series(1, 100000) n
            WHERE run_uid = %s AND name IN ('start', 'descriptor', 'stream_resource', 'stop')""",
            [first.uid],
        )
        connection.execute(
            """INSERT INTO revisions (run_uid, revision, produced_by, file, rows, info)
            SELECT 'old-' || n, revision, produced_by, file, rows, info FROM revisions, generate_series(1, 100000) n WHERE run_uid = %s""",
            [first.uid],
        )
    for _ in range(2):
        began = monotonic()
        await nursling.serve()
        print(f"start with 100,000 runs and 400,000 documents: {monotonic() - began:.2f} s")  # noqa: T201
        assert await nursling.stop() == 0
    await nursling.serve()
    async with Meter(settings, nursling.pid).measuring("a scan after that"), judged(settings, later):
        await publish(later.documents, settings.sources[0], speed=0)
