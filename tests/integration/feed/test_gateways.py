"""Gateways beside a streaming process: their clients get what its own get, wherever they come from, and whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from tests.helpers.rawfeed import RawClient, joined, raw_client
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import StreamingProcess, feed_url, until_serving
from tests.integration.watching import assert_is_map_of, until_stopped
from wpb_stream.embedded.broker import create_topic
from wpb_stream.host import free_port
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True)
class Site:
    """A streaming process that serves nobody here, and two gateways that do."""

    settings: Settings
    streaming: StreamingProcess
    places: tuple[Settings, Settings]
    gateways: tuple[StreamingProcess, StreamingProcess]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(feed_url(place) for place in self.places)

    async def publish(self, *documents: Any) -> None:
        await publish(documents, self.settings.sources[0], speed=0)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(module_settings: Settings) -> AsyncIterator[Site]:
    url = f"{module_settings.sources[0]}-board"
    await create_topic(*url.removeprefix("kafka://").split("/"))
    settings = module_settings.model_copy(update={"gateway_topic": url, "reader_processes": 1})
    ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    one, other = (settings.model_copy(update={"listen": f"127.0.0.1:{port}"}) for port in ports)
    found = Site(settings, StreamingProcess(settings), (one, other), (StreamingProcess(one, "gateway"), StreamingProcess(other, "gateway")))
    async with AsyncExitStack() as stack:
        for process in (found.streaming, *found.gateways):
            stack.push_async_callback(process.kill)
        await found.streaming.serve()
        for gateway in found.gateways:
            await gateway.start()
        for place in found.places:
            await until_serving(place)
        yield found


@pytest.fixture
def running(site: Site) -> Scan:
    """A scan whose frames are there, and nothing else yet."""
    return scan(site.settings.data_roots[0]).write()


async def subscribed(client: RawClient, run: str, **request: Any) -> None:
    """Follow a run as soon as the gateway knows it."""
    while (await client.answer("subscribe", run=run, **request))["type"] == "error":
        await asyncio.sleep(0.02)


async def test_clients_of_two_gateways_get_the_map_while_it_grows_and_one_whose_gateway_is_killed_goes_on_at_the_other(
    site: Site, running: Scan
) -> None:
    one, other = site.urls
    async with raw_client(one) as first, raw_client(other) as second:
        await second.send("subscribe", run="latest")
        await site.publish(*running.head, *running.at(0, 5))
        await subscribed(first, running.uid)
        held = await first.rows(5)
        await site.gateways[0].kill()
        async with raw_client(other) as moved:
            assert (await moved.answer("subscribe", run=running.uid, revision="live", from_row=5))["from_row"] == 5
            await site.publish(*running.at(5, 8))
            held += await moved.rows(8)
            await site.gateways[0].serve()
            async with raw_client(one) as late:  # a gateway that starts in mid-run has all rows
                await subscribed(late, running.uid)
                await late.rows(8)
                await site.publish(*running.at(8, 12), running.stop)
                rest = await moved.until("run_stopped")
                await late.until("run_stopped", rows=12)
        whole = await second.until("run_stopped", run=running.uid)
    assert not any(isinstance(message, dict) and message["type"] == "revised" for message in [*rest, *whole])
    for messages in ([*held, *rest], whole):
        points = joined(messages, "point")
        assert sorted(points) == list(range(12))
        np.testing.assert_array_equal(joined(messages, "total"), running.values("total")[points])
    for place in site.places:  # from the catalogue, and the results folder
        assert_is_map_of(await until_stopped(place, running.uid), running)


async def test_a_streaming_process_that_is_killed_is_followed_by_the_clients_of_gateways_into_its_next_revision(
    site: Site, running: Scan
) -> None:
    async with raw_client(site.urls[0]) as client:
        await client.send("subscribe", run="latest")
        await site.publish(*running.head, *running.at(0, 5))
        while (await client.until("run"))[-1]["run"]["uid"] != running.uid:
            pass
        await client.rows(5)
        await site.streaming.kill()
        await site.publish(*running.at(5, 12), running.stop)
        await site.streaming.start()
        (*_, revised) = await client.until("revised")
        messages = await client.until("run_stopped")
    assert revised["revision"] == "live.2"
    points = joined(messages, "point")
    assert sorted(points) == list(range(12))
    np.testing.assert_array_equal(joined(messages, "total"), running.values("total")[points])
    for place in site.places:
        assert_is_map_of(await until_stopped(place, running.uid), running)
