"""Networks that are slow, part and heal, or end connections: between the bus, the database, the clients and the streaming process."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer

from tests.faults.judge import judged
from tests.faults.nursery import Nurse, Nursling
from tests.helpers.faultproxy import FaultProxy
from tests.helpers.own_broker import Broker
from tests.helpers.scans import scan
from tests.integration.conftest import Streaming
from tests.integration.feed.stranger import Stranger
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.host import free_port
from wpb_stream.replay import Recorded, parse_kafka_url, publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

WAIT_S = 60.0


@dataclass(frozen=True)
class Networks:
    """What lies between the streaming process and all others."""

    bus: FaultProxy
    database: FaultProxy
    clients: FaultProxy
    settings: Settings
    """Of a streaming process that knows the others by nothing else."""
    watched: Settings
    """The same for those who watch it."""

    async def publish(self, documents: Sequence[Recorded]) -> None:
        await publish(documents, self.settings.sources[0], speed=0)


@pytest.fixture
async def networks(settings: Settings, postgres_cluster: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Networks]:
    port, socket = free_port("127.0.0.1", 0), postgres_cluster.socket
    with tempfile.TemporaryDirectory() as folder:  # tmp_path may be too long for a socket
        async with (
            FaultProxy(f"127.0.0.1:{port}") as bus,
            FaultProxy(socket, Path(folder, socket.name)) as database,
            FaultProxy(settings.listen) as clients,
        ):
            broker = Broker(tmp_path / "broker", port=port, advertised=bus.address)
            await broker.start()
            changes = {
                "sources": (f"kafka://{bus.address}/documents",),
                "database_url": (settings.database_url or "").replace(str(socket.parent), folder),
            }
            changed = settings.model_copy(update=changes)
            yield Networks(bus, database, clients, changed, settings.model_copy(update={"listen": clients.address}))
            await broker.kill()


@pytest.fixture
async def behind(nurse: Nurse, networks: Networks, tmp_path: Path) -> AsyncIterator[Nursling]:
    """A streaming process behind these networks."""
    process = Nursling(nurse, networks.settings, tmp_path / "stream.log")
    yield process
    await process.kill()


async def until_held(network: FaultProxy) -> None:
    """Wait until something waits for a partition to heal."""
    async with asyncio.timeout(WAIT_S):
        while not network.held:
            await asyncio.sleep(0.001)


async def until_rows(clients: Sequence[Stranger], uid: str, rows: int) -> None:
    """Wait until each client has that many rows of a run."""
    async with asyncio.timeout(WAIT_S):
        while any(uid not in client.held or client.held[uid].rows < rows for client in clients):
            await asyncio.sleep(0.002)


async def test_a_scan_during_which_each_network_is_slow_parts_and_heals_and_ends_its_connections_is_whole(
    networks: Networks, behind: Nursling, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (9, 6)).write()
    rows = iter([run.at(6 * row, 6 * row + 6) for row in range(9)])
    each = (networks.clients, networks.database, networks.bus)
    await behind.serve()
    async with judged(networks.watched, run):
        await networks.publish(run.head)
        for network in each:
            network.latency_s, network.bytes_per_s = 0.02, 500_000.0
            await networks.publish(next(rows))
        for network in each:
            network.latency_s, network.bytes_per_s = 0.0, inf
            network.partition()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(networks.publish(next(rows)))
                await until_held(network)
                network.heal()
        for network in each:
            network.reset()
            await networks.publish(next(rows))
        await networks.publish([run.stop])


async def test_documents_that_were_stored_though_the_answer_of_the_database_was_lost_are_on_the_map(
    networks: Networks, behind: Nursling, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (3, 6)).write()
    await behind.serve()
    async with judged(networks.watched, run) as clients:
        await networks.publish([*run.head, *run.at(0, 6)])
        await until_rows(clients, run.uid, 6)
        networks.database.cut_before = b"COMMIT\0"
        await networks.publish(run.at(6, 12))
        async with asyncio.timeout(WAIT_S):
            while networks.database.cut_before is not None:
                await asyncio.sleep(0.002)
        await networks.publish([*run.at(12, 18), run.stop])


async def test_a_database_that_answers_no_more_on_connections_that_stay_open_is_asked_on_others(
    networks: Networks, behind: Nursling, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (2, 6)).write()
    await behind.serve(WPB_DATABASE_ANSWER_S="1")  # 60 s by default
    listed = f"http://{networks.watched.listen}/api/runs"
    async with judged(networks.watched, run) as clients:
        await networks.publish([*run.head, *run.at(0, 6)])
        await until_rows(clients, run.uid, 6)
        (before,) = (await asyncio.to_thread(until_answered, listed))["runs"]
        networks.database.forget()
        await networks.publish([*run.at(6, 12), run.stop])
        (after,) = (await asyncio.to_thread(until_answered, listed))["runs"]
        assert (before["uid"], after["uid"]) == (run.uid, run.uid)


def until_answered(url: str) -> dict[str, Any]:
    """Ask until there is an answer. Each time may fail, and none may take long."""
    while True:
        try:
            with urlopen(url, timeout=WAIT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code != 503:
                raise


async def test_a_bus_that_answers_no_more_on_connections_that_stay_open_is_asked_on_others(
    networks: Networks, behind: Nursling, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (2, 6)).write()
    await behind.serve(WPB_KAFKA_OPTIONS='{"request_timeout_ms": 3000}')  # 40 s by default
    async with judged(networks.watched, run):
        await networks.publish([*run.head, *run.at(0, 6)])
        networks.bus.forget()
        await networks.publish([*run.at(6, 12), run.stop])


async def test_clients_that_are_cut_off_after_any_message_of_a_run_have_its_map_all_the_same(
    settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    """One that stays with its revision, and one that follows the newest."""
    cut_after = 0
    brokers, topic = parse_kafka_url(settings.sources[0])
    async with (
        streaming(settings),
        FaultProxy(settings.listen) as one,
        FaultProxy(settings.listen) as other,
        AIOKafkaProducer(bootstrap_servers=brokers) as producer,
    ):

        async def send(documents: Sequence[Recorded]) -> None:
            for document in documents:
                await producer.send_and_wait(topic, msgspec.msgpack.encode([document.name, document.doc]))

        while True:
            run = scan(tmp_path / "frames", (2, 3), seed=cut_after).write()
            clients = {one: Stranger(run.uid, pinned=True), other: Stranger(run.uid, pinned=False)}
            await send(run.head)
            before = [network.connections for network in clients]
            one.cut_after = other.cut_after = cut_after
            async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
                for network, client in clients.items():
                    tasks.create_task(client.until_ended(run.uid, f"ws://{network.address}/ws", within_s=None))
                for point in range(run.points):
                    await send(run.at(point, point + 1))
                    for client in clients.values():
                        while run.uid not in client.held or client.held[run.uid].rows <= point:
                            await asyncio.sleep(0.002)
                await send([run.stop])
            for client in clients.values():
                np.testing.assert_array_equal(client.map(run.uid, "total"), run.map("total"))
                client.drop()
            if [network.connections for network in clients] == [count + 1 for count in before]:
                break  # none was cut off: there are no more messages
            cut_after += 1
    assert cut_after > run.points
