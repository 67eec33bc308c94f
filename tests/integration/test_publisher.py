"""A real RunEngine with the Publisher: no plan waits for Kafka or fails by it, and the map comes out in the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.topics import documents, make_topic, read_topic
from tests.integration.conftest import feed_url
from wpb_stream.client import Publisher, watch
from wpb_stream.host import free_port
from wpb_stream.settings import Settings
from wpb_stream.sim.instrument import Beamline

pytestmark = pytest.mark.integration

WAIT_S = 60.0
SHAPE, FRAME = (5, 6), (30, 40)
POINTS = 30
DOCUMENTS = 3 + 2 * POINTS + 1
"""start, descriptor, stream_resource; a stream_datum and an event for each point; stop."""


class Scanned:
    """A scan that was taken, and what its documents said."""

    def __init__(self) -> None:
        self.documents: list[tuple[str, Mapping[str, Any]]] = []

    def take(self, folder: Path, publisher: Publisher, at_event: int = 0, then: Callable[[], object] = lambda: None) -> Scanned:
        """Take it.

        :param then: called in the RunEngine's thread when so many events were published
        """

        def listen(name: str, doc: Mapping[str, Any]) -> None:
            self.documents.append((name, doc))
            if (name, doc.get("seq_num")) == ("event", at_event):
                then()

        beamline = Beamline(folder, SHAPE, FRAME)
        beamline.subscribe(publisher)
        beamline.subscribe(listen)
        beamline.scan()
        assert self.documents[-1][1]["exit_status"] == "success"
        assert len(self.documents) == DOCUMENTS
        return self

    @property
    def uid(self) -> str:
        return self.documents[0][1]["uid"]

    def map(self) -> npt.NDArray[np.float64]:
        """The total of each frame, from the detector's file, every second row backwards."""
        (resource,) = (doc for name, doc in self.documents if name == "stream_resource")
        with h5py.File(unquote(urlsplit(resource["uri"]).path)) as file:
            frames = np.asarray(file["/entry/data/data"])
        total = frames.sum(axis=(1, 2), dtype=np.float64).reshape(SHAPE)
        total[1::2] = total[1::2, ::-1]
        return total


async def assert_arrives(settings: Settings, scanned: Scanned) -> None:
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            if update.stopped and update.run.uid == scanned.uid:
                assert update.run.status == "success"
                np.testing.assert_array_equal(update.map("total"), scanned.map())
                return


def on(settings: Settings, source: str) -> Settings:
    return settings.model_copy(update={"sources": (source,)})


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def test_a_scan_that_is_published_out_of_the_run_engine_becomes_the_map(
    settings: Settings, streaming, spool: Path, tmp_path: Path
) -> None:
    publisher = Publisher(settings.sources[0], spool=spool)
    async with streaming(settings):
        scanned = await asyncio.to_thread(Scanned().take, tmp_path / "frames", publisher)
        await assert_arrives(settings, scanned)
    publisher.close()
    assert publisher.statistics() == {"published": DOCUMENTS, "waiting": 0, "waiting_bytes": 0, "spooled": 0, "failed": 0}


async def test_a_scan_without_any_broker_ends_as_ever_and_its_map_comes_out_of_the_spool(
    settings: Settings, streaming, spool: Path, tmp_path: Path
) -> None:
    publisher = Publisher(f"kafka://127.0.0.1:{free_port('127.0.0.1', 0)}/documents", spool=spool)
    scanned = await asyncio.to_thread(Scanned().take, tmp_path / "frames", publisher)
    assert publisher.statistics()["published"] == 0
    publisher.close()
    assert publisher.statistics()["spooled"] == DOCUMENTS
    settings = on(settings, f"file://{spool}/*.jsonl")
    async with streaming(settings):
        await assert_arrives(settings, scanned)


@pytest.mark.parametrize(
    ("goes", "comes"), [(ApacheKafka.freeze, ApacheKafka.thaw), (ApacheKafka.kill, ApacheKafka.start)], ids=["silent", "dead"]
)
async def test_a_scan_ends_while_the_broker_is_silent_or_dead_and_its_map_comes_when_it_is_back(
    goes: Callable[[ApacheKafka], None],
    comes: Callable[[ApacheKafka], None],
    settings: Settings,
    streaming,
    own_apache_kafka: ApacheKafka,
    spool: Path,
    tmp_path: Path,
) -> None:
    kafka = own_apache_kafka
    await make_topic(kafka.address(), "documents")
    url = f"kafka://{kafka.address()}/documents"
    publisher = Publisher(url, spool=spool)
    settings = on(settings, url)
    async with streaming(settings):
        scanned = await asyncio.to_thread(Scanned().take, tmp_path / "frames", publisher, 10, partial(goes, kafka))
        assert publisher.statistics()["waiting"] >= 2 * (POINTS - 10)
        comes(kafka)
        await assert_arrives(settings, scanned)
    publisher.close()
    assert publisher.statistics()["published"] == DOCUMENTS


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
import bluesky.plan_stubs as bps
from bluesky import RunEngine
from bluesky.plans import count
from bluesky.utils import RunEngineInterrupted
from ophyd_async.core import init_devices
from wpb_stream.client import Publisher
from wpb_stream.sim.stage import Motor

engine = RunEngine({})
publisher = Publisher(sys.argv[1], spool=sys.argv[2])
engine.subscribe(publisher)
with init_devices():
    x = Motor(name="x")

def interrupted(name, doc):
    if name == "event" and doc["seq_num"] == 3:
        for _ in range(2):  # as Ctrl-C pressed twice: pause now
            os.kill(os.getpid(), signal.SIGINT)

engine.subscribe(interrupted)
try:
    engine(count([x], num=1000, delay=0.05))
except RunEngineInterrupted:
    engine.abort("enough")
    engine(count([x], num=2))
    sys.exit(3)
"""


async def test_ctrl_c_interrupts_the_plan_and_not_the_publisher(kafka_address: str, kafka_topic: str, spool: Path) -> None:
    arguments = [sys.executable, "-c", INTERRUPTED, f"kafka://{kafka_address}/{kafka_topic}", str(spool)]
    done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 3, done.stderr
    found = documents(await read_topic(kafka_address, kafka_topic, 8))
    stops = [doc for name, doc in found if name == "stop"]
    assert [stop["exit_status"] for stop in stops] == ["abort", "success"]
    names = [name for name, _ in found]
    assert names[-5:] == ["start", "descriptor", "event", "event", "stop"]
    assert names.count("event") == sum(stop["num_events"]["primary"] for stop in stops)
    assert not spool.exists()
