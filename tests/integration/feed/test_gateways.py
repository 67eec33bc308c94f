"""Gateways beside a streaming process: their clients get what its own get, wherever they come from, and whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import pytest_asyncio

from tests.helpers.rawfeed import RawClient, joined, raw_client
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import StreamingProcess, feed_url, until_serving
from tests.integration.watching import assert_is_map_of, until_latest_stopped, until_stopped
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.client import watch
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.embedded.broker import create_topic
from wpb_stream.gateway import gateway
from wpb_stream.host import free_port
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "gateways" / "nginx.conf"


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
    await asyncio.to_thread(upgrade, settings.database_url or "")  # else gateways would have to wait until the streaming process did
    async with AsyncExitStack() as stack:
        for process in (found.streaming, *found.gateways):
            stack.push_async_callback(process.kill)
            await process.start()
        for place in (settings, *found.places):
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


@pytest.mark.faults
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


async def test_a_gateway_serves_frames_and_http_of_a_run_that_grows_and_says_how_far_it_is(site: Site, running: Scan) -> None:
    async with raw_client(site.urls[0]) as client:
        await site.publish(*running.head, *running.at(0, 5))
        await subscribed(client, running.uid)
        await client.rows(5)
        np.testing.assert_array_equal((await client.frame(run=running.uid, point=4)).values, running.frames[4])
        shown = json.loads(await get(site.places[0], f"/api/runs/{running.uid}"))
        assert (shown["run"]["rows"], shown["revision"]) == (5, "live")
        assert await get(site.places[0], "/readyz") == b"ready\n"
        told = (await get(site.places[0], "/metrics")).decode().splitlines()
        assert {"wpb_gateway_unread_messages 0.0", "wpb_gateway_gaps_total 0.0"} <= set(told)
        await site.publish(*running.at(5, 12), running.stop)
        await client.until("run_stopped")
        shown = json.loads(await get(site.places[0], f"/api/runs/{running.uid}"))
        assert (shown["run"]["rows"], shown["run"]["status"], shown["run"]["stopped"] is None) == (12, "success", False)


async def get(place: Settings, path: str) -> bytes:
    """What there is at a path."""
    with await asyncio.to_thread(urlopen, f"{place.served.rstrip('/')}{path}", timeout=30) as answer:
        return answer.read()


@pytest.mark.faults
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


@pytest.fixture
async def balanced(site: Site, tmp_path: Path) -> AsyncIterator[str]:
    """HOST:PORT of nginx before the two gateways, as docs/examples/gateways has it but for addresses and TLS."""
    nginx = shutil.which("nginx")
    assert nginx is not None, "there is no nginx here; apt-get install nginx-light, or `make test`"
    text = EXAMPLE.read_text()
    place = f"127.0.0.1:{free_port('127.0.0.1', 0)}"
    replaced = {"listen 443 ssl;": f"listen {place};", **{f"127.0.0.1:800{n + 1}": site.places[n].listen for n in range(2)}}
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    text = re.sub(r"ssl_certificate.*;", "", text)
    paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(f"daemon off; pid {tmp_path}/pid; events {{}} http {{ access_log off; {paths} {text} }}")
    command = (nginx, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path), "-e", str(tmp_path / "error.log"))
    process = await asyncio.create_subprocess_exec(*command)
    await until_serving(site.settings.model_copy(update={"listen": place}))
    yield place
    process.terminate()
    await process.wait()


@pytest.mark.faults
async def test_a_client_behind_nginx_goes_on_when_its_gateway_is_killed_for_good(site: Site, running: Scan, balanced: str) -> None:
    in_front = site.settings.model_copy(update={"listen": balanced})
    await site.publish(*running.head, *running.at(0, 5))
    async with raw_client(site.urls[1]) as client:
        await subscribed(client, running.uid)
    revisions, killed = set[str](), False
    async with asyncio.timeout(60), aclosing(watch(feed_url(in_front), running.uid)) as updates:
        async for update in updates:
            revisions.add(update.revision)
            if update.rows >= 5 and not killed:
                killed = True
                for place, process in zip(site.places, site.gateways, strict=True):
                    if b"wpb_clients 1.0" in await get(place, "/metrics"):
                        await process.kill()
                await site.publish(*running.at(5, 12), running.stop)
            if update.stopped:
                break
    assert_is_map_of(update, running)
    assert revisions == {"live"}


@pytest.mark.asyncio(loop_scope="function")
async def test_the_clients_of_a_streaming_process_do_not_wait_for_a_topic_whose_broker_says_nothing(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    one = scan(tmp_path / "frames").write()
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        url = f"kafka://127.0.0.1:{silent.sockets[0].getsockname()[1]}/board"
        async with streaming(settings.model_copy(update={"gateway_topic": url})):
            await asked.wait()
            await publish(one.documents, settings.sources[0], speed=0)
            assert_is_map_of(await until_latest_stopped(settings, one.uid), one)
            owed = [line for line in (await get(settings, "/metrics")).decode().splitlines() if line.startswith("wpb_gateway_rows_owed")]
            assert owed == ["wpb_gateway_rows_owed 12.0"]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_gateway_without_a_topic_or_without_a_catalogue_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(ServiceError, match="WPB_GATEWAY_TOPIC"):
        await gateway(settings)
    with pytest.raises(ServiceError, match="start `wpb stream`"):
        await gateway(settings.model_copy(update={"gateway_topic": settings.sources[0]}))
