"""A network of its own for the streaming process, which loses packets and whose cable is pulled: by the kernel, which takes root."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.faults.judge import judged
from tests.helpers.faultproxy import FaultProxy
from tests.helpers.own_broker import Broker
from tests.helpers.scans import scan
from tests.integration.conftest import until_serving
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.host import free_port
from wpb_stream.replay import publish
from wpb_stream.settings import Settings, environment

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.whole,
    pytest.mark.skipif(os.getuid() != 0 or not shutil.which("tc"), reason="making a network takes root, and ip and tc of iproute2"),
]

OURS, THEIRS = "10.213.77.1", "10.213.77.2"
WAIT_S = 60.0
FREED_S = 25.0
"""Within this a client is let go whose cable was pulled: it is asked after 5 s, and given up after 10."""
_numbers = count(os.getpid())


def ip(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Cable:
    """Between us and a network of one machine."""

    namespace: str
    ours: str

    def within(self, *words: str) -> list[str]:
        """A command that runs on that machine."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def lose(self) -> None:
        """Let no more pass than half a megabit a second: what comes faster is dropped."""
        ip("tc", "qdisc", "add", "dev", self.ours, "root", "tbf", "rate", "500kbit", "burst", "3000", "limit", "3000")

    def lost(self) -> int:
        """The packets that were dropped."""
        (dropped,) = re.findall(r"dropped (\d+)", ip("tc", "-s", "qdisc", "show", "dev", self.ours))
        return int(dropped)

    def lose_no_more(self) -> None:
        """Let all pass."""
        ip("tc", "qdisc", "del", "dev", self.ours, "root")

    def pull(self) -> None:
        ip("ip", "link", "set", self.ours, "down")

    def put_back(self) -> None:
        ip("ip", "link", "set", self.ours, "up")


@pytest.fixture
def cable() -> Iterator[Cable]:
    number = next(_numbers) % 100_000
    made = Cable(f"wpb-test-{number}", f"wpb{number}")
    ip("ip", "netns", "add", made.namespace)
    try:
        ip("ip", "link", "add", made.ours, "type", "veth", "peer", "name", "eth0", "netns", made.namespace)
        ip("ip", "addr", "add", f"{OURS}/30", "dev", made.ours)
        ip(*made.within("ip", "addr", "add", f"{THEIRS}/30", "dev", "eth0"))
        for words in (["ip", "link", "set", made.ours, "up"], *(made.within("ip", "link", "set", name, "up") for name in ("eth0", "lo"))):
            ip(*words)
        yield made
    finally:
        ip("ip", "netns", "del", made.namespace)  # and the cable with it


@pytest.fixture
async def far(settings: Settings, postgres_cluster: EmbeddedPostgres, tmp_path: Path, cable: Cable) -> AsyncIterator[Settings]:
    """Settings of a streaming process at the other end of the cable."""
    port, url = free_port("127.0.0.1", 0), urlsplit(settings.database_url or "")
    async with FaultProxy(f"127.0.0.1:{port}", f"{OURS}:0") as bus, FaultProxy(postgres_cluster.socket, f"{OURS}:0") as database:
        broker = Broker(tmp_path / "broker", port=port, advertised=bus.address)
        await broker.start()
        changes = {
            "sources": (f"kafka://{bus.address}/documents",),
            "database_url": f"postgresql://{quote(url.username or '')}@{database.address}{url.path}",
            "listen": f"{THEIRS}:8000",
            "insecure": True,
        }
        yield settings.model_copy(update=changes)
        await broker.kill()


async def clients(cable: Cable) -> float:
    """How many the streaming process knows of."""
    code = f"import urllib.request as r; print(r.urlopen('http://{THEIRS}:8000/metrics', timeout=30).read().decode())"
    asking = await asyncio.create_subprocess_exec(*cable.within(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE)
    told, _ = await asking.communicate()
    (number,) = re.findall(r"^wpb_clients (\S+)", told.decode(), re.MULTILINE)
    return float(number)


async def test_packets_that_are_lost_and_a_cable_that_is_pulled_cost_a_scan_nothing_and_clients_that_are_gone_are_let_go(
    settings: Settings, far: Settings, cable: Cable, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (20, 30)).write()
    watched = settings.model_copy(update={"listen": far.listen})
    command = cable.within(sys.executable, "-m", "wpb_stream.cli", "stream")
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment(far)})
    try:
        await until_serving(far)
        async with judged(watched, run, settle_s=150.0):
            await publish([*run.head, *run.at(0, 30)], far.sources[0], speed=0)
            cable.lose()
            await publish(run.at(30, 500), far.sources[0], speed=0)
            async with asyncio.timeout(WAIT_S):
                while not cable.lost():
                    await asyncio.sleep(0.01)
            cable.lose_no_more()
            async with asyncio.timeout(WAIT_S):
                while await clients(cable) < 2:
                    await asyncio.sleep(0.1)
            cable.pull()
            async with asyncio.timeout(FREED_S):
                while await clients(cable):
                    await asyncio.sleep(0.1)
            cable.put_back()
            await publish([*run.at(500, 600), run.stop], far.sources[0], speed=0)
    finally:
        process.terminate()
        await process.wait()
