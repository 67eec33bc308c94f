"""One streaming process for each module of tests of the feed, with runs that are over."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.helpers.rawfeed import RawClient, raw_client
from tests.helpers.scans import Scan, random_frames, scan
from tests.helpers.services import empty_database
from tests.integration.conftest import feed_url, streaming_here
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.host import free_port
from wpb_stream.replay import publish
from wpb_stream.settings import Settings, load

CHANNELS = ["red", "green", "blue", "total"]
_numbers = itertools.count(1)
MORNING = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def module_settings(
    tmp_path_factory: pytest.TempPathFactory, postgres_cluster: EmbeddedPostgres, broker: tuple[EmbeddedBroker, asyncio.AbstractEventLoop]
) -> Iterator[Settings]:
    """Settings of the one streaming process that the tests of a module share; runs get new uids, so they do not disturb each other."""
    folder, name = tmp_path_factory.mktemp("feed"), f"feed_{next(_numbers)}"
    asyncio.run_coroutine_threadsafe(create_topic(broker[0].address, name), broker[1]).result()
    with empty_database(postgres_cluster, name) as url:
        yield load(
            sources=f"kafka://{broker[0].address}/{name}",
            database_url=url,
            data=folder / "data",
            data_roots=str(folder),
            listen=f"127.0.0.1:{free_port('127.0.0.1', 0)}",
            frame_deadline_s=2.0,
            window_frames=2048,
            dagster_port=1,  # a Dagster that somebody has at the usual port is none of theirs
        )


@dataclass(frozen=True)
class Beamline:
    """A streaming process that serves, and the bus it listens to."""

    settings: Settings

    @property
    def url(self) -> str:
        return feed_url(self.settings)

    @property
    def folder(self) -> Path:
        return self.settings.data_roots[0]

    async def publish(self, *documents: Any) -> None:
        await publish(documents, self.settings.sources[0], speed=0)

    async def begin(self, one: Scan, points: int = 0) -> None:
        """Publish a scan's beginning and wait until it is the latest run, with that many rows."""
        one.write()
        async with raw_client(self.url) as client:
            await self.publish(*one.head, *one.at(0, points))
            await client.send("subscribe", run="latest")
            while (await client.until("run"))[-1]["run"]["uid"] != one.uid:
                pass
            if points:
                await client.rows(points)

    async def take(self, *scans: Scan) -> None:
        """Publish whole scans one after another and wait until each has ended."""
        for one in scans:
            one.write()
            async with raw_client(self.url) as client:
                await self.publish(*one.documents)
                await client.send("subscribe", run="latest")
                await client.until("run_stopped", run=one.uid)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def beamline(module_settings: Settings) -> AsyncIterator[Beamline]:
    async with streaming_here(module_settings):
        yield Beamline(module_settings)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def past(beamline: Beamline) -> list[Scan]:
    """Four finished runs, oldest first, an hour apart."""
    times = [(MORNING + timedelta(hours=hours)).timestamp() for hours in range(4)]
    scans = [
        scan(beamline.folder, seed=1, time=times[0], data_session="cm40001-2"),
        scan(beamline.folder, seed=2, time=times[1], exit_status="abort", reason="the beam was lost"),
        scan(beamline.folder, seed=3, time=times[2], plan_name="fly"),
        scan(
            beamline.folder,
            seed=4,
            time=times[3],
            plan_name="fly",
            scan_id=812,
            instrument_session="cm40001-2",
            sample={"name": "Titanium foil"},
        ),
    ]
    await beamline.take(*scans)
    return scans


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def large(beamline: Beamline) -> Scan:
    """A finished run of 40,000 points: 1.6 MB of rows."""
    one = scan(beamline.folder, (200, 200), frames=random_frames(40_000, 31, columns=1), points_per_datum=40_000)
    await beamline.take(one)
    return one


@pytest_asyncio.fixture(loop_scope="module")
async def client(beamline: Beamline, past: list[Scan]) -> AsyncIterator[RawClient]:
    """A connection to a server that knows some runs."""
    async with raw_client(beamline.url) as connected:
        yield connected
